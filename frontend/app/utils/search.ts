import type { Server } from '~/api/servers'

/** Returns the servers whose name, host name, id or `more` contains every word of the query, in their given order. */
export function matchServers(servers: readonly Server[], query: string, more: (server: Server) => string = () => ''): Server[] {
  const words = normalize(query).split(/\s+/).filter(Boolean)
  if (words.length === 0) return [...servers]
  return servers.filter((server) => {
    const text = normalize(`${server.name} ${server.host?.hostname ?? ''} #${server.id} ${more(server)}`)
    return words.every(word => text.includes(word))
  })
}

// macOS decomposes Korean syllables into letters; keyboards type them composed.
function normalize(text: string): string {
  return text.normalize('NFC').toLowerCase()
}
