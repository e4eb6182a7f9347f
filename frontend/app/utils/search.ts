import type { Server } from '~/api/servers'

/** The servers with every word of the query in their name, host name or id; in the order given. */
export function matchServers(servers: readonly Server[], query: string): Server[] {
  const words = fold(query).split(/\s+/).filter(Boolean)
  if (words.length === 0) return [...servers]
  return servers.filter((server) => {
    const text = fold(`${server.name} ${server.host?.hostname ?? ''} #${server.id}`)
    return words.every(word => text.includes(word))
  })
}

// macOS hands out Korean names decomposed into letters, keyboards type them composed.
function fold(text: string): string {
  return text.normalize('NFC').toLowerCase()
}
