// What the palette finds: servers, pages, metrics and actions.
import type { CatalogMetric } from '~/api/catalog'
import type { Server } from '~/api/servers'
import { matchServers, matchTexts } from './search'

export type PaletteGroup = 'servers' | 'pages' | 'metrics' | 'actions'

/** A page to go to, or something to do. `lang`: the language of the label, if it is another one. */
export interface PaletteEntry { key: string, label: string, icon: string, lang?: string }

export interface PaletteItem extends PaletteEntry {
  group: PaletteGroup
  server: Server | null
}

/** More of a group are found by typing more. */
const MOST_SERVERS = 50
const MOST_METRICS = 20

/** What matches a query, the servers first. Metrics are many: they only appear once something is typed. */
export function paletteItems(
  query: string,
  { servers, pages, metrics, actions }: { servers: readonly Server[], pages: readonly PaletteEntry[], metrics: readonly CatalogMetric[], actions: readonly PaletteEntry[] },
): PaletteItem[] {
  const plain = (group: PaletteGroup, entries: readonly PaletteEntry[]): PaletteItem[] =>
    matchTexts(entries, query, entry => entry.label).map(entry => ({ ...entry, group, server: null }))
  const metricEntries = query.trim() === '' ? [] : metrics.map(({ metric }) => ({ key: metric, label: metric, icon: 'i-lucide-chart-line' }))
  return [
    ...matchServers(servers, query).slice(0, MOST_SERVERS)
      .map((server): PaletteItem => ({ group: 'servers', key: `server-${server.id}`, label: server.name, icon: 'i-lucide-server', server })),
    ...plain('pages', pages),
    ...plain('metrics', metricEntries).slice(0, MOST_METRICS),
    ...plain('actions', actions),
  ]
}
