import type { Server } from '~/api/servers'

/** Returns the items whose text contains every word of the query, in their given order. */
export function matchTexts<T>(items: readonly T[], query: string, textOf: (item: T) => string): T[] {
  const words = normalize(query).split(/\s+/).filter(Boolean)
  if (words.length === 0) return [...items]
  return items.filter((item) => {
    const text = normalize(textOf(item))
    return words.every(word => text.includes(word))
  })
}

/** Returns the servers whose name, host name, id or `more` contains every word of the query, in their given order. */
export function matchServers(servers: readonly Server[], query: string, more: (server: Server) => string = () => ''): Server[] {
  return matchTexts(servers, query, server => `${server.name} ${server.host?.hostname ?? ''} #${server.id} ${more(server)}`)
}

// macOS decomposes Korean syllables into letters; keyboards type them composed.
function normalize(text: string): string {
  return text.normalize('NFC').toLowerCase()
}
