import type { Server } from '~/api/servers'
import type { Selection } from './dashboards'

/** Whether a text matches a pattern as the API does it: `*` stands for anything, `|` separates alternatives, case does not matter. */
function isLike(text: string, pattern: string): boolean {
  return pattern.split('|').some((part) => {
    const escaped = part.split('*').map(piece => piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*')
    return new RegExp(`^${escaped}$`, 'is').test(text)
  })
}

/** The servers in service that a selection names: any of the names, all of the tags. */
export function selectServers(servers: readonly Server[], { name, tag }: Pick<Selection, 'name' | 'tag'>): Server[] {
  const filters = tag.map((text) => {
    const [left = '', ...rest] = text.split('=')
    return { name: left.replace(/!$/, ''), pattern: rest.join('='), negated: left.endsWith('!') }
  })
  return servers.filter(server => server.state !== 'retired'
    && (name.length === 0 || name.some(pattern => isLike(server.name, pattern)))
    && filters.every(filter => isLike(server.tags[filter.name] ?? '', filter.pattern) !== filter.negated))
}
