// From widgets to the explorer; chartWidgets.ts leads back.
import type { WidgetSource } from '~/api/dashboards'
import type { Server } from '~/api/servers'
import type { Drawing } from './chart/plot'
import { metricsOf, selectionOf } from './dashboards'
import type { Choices, DashboardTime } from './dashboards'
import { EXPLORER_RANGES, EXPLORER_RANGE_MS, writeExplorer } from './explorer'
import { selectServers } from './selectServers'

/** The query of the explorer's URL that shows the source of a widget. Its ranges are fewer: the next longer one is taken. */
export function explorerQueryOf(source: WidgetSource, drawing: Drawing | undefined, choices: Choices, time: DashboardTime, servers: readonly Server[]) {
  const selection = selectionOf(source, choices)
  const selects = selection.name.length > 0 || selection.tag.length > 0
  return writeExplorer({
    metrics: metricsOf(source, choices),
    queries: [],
    servers: selects ? selectServers(servers, selection).map(({ id }) => id) : [],
    labels: selection.labels.join(' '),
    combine: source.combine ?? 'none',
    by: source.by ?? '',
    range: EXPLORER_RANGES.find(range => EXPLORER_RANGE_MS[range] >= time.rangeMs) ?? '365d',
    between: time.between,
    drawing: drawing === 'stack' || drawing === 'log' ? drawing : 'lines',
    compare: 'none',
  })
}
