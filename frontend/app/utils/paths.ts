const BASE = 'http://bongsu.invalid'

/** Returns the value if it is a path of this dashboard; anything else, such as another site or a script, becomes `/`. */
export function localPath(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/')) return '/'
  try {
    const url = new URL(value, BASE)
    // `//evil.example` and `/\evil.example` start with a slash, but name another host.
    return url.origin === BASE ? url.pathname + url.search + url.hash : '/'
  }
  catch {
    return '/'
  }
}
