/** A path of this dashboard from an address's query; anything else (another site, a script) becomes `/`. */
export function localPath(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/')) return '/'
  try {
    const url = new URL(value, 'http://bongsu.invalid')
    // "//evil.example", "/\evil.example" and the like name another host.
    return url.origin === 'http://bongsu.invalid' ? url.pathname + url.search + url.hash : '/'
  }
  catch {
    return '/'
  }
}
