// From widgets to the explorer, and back.
import type { Widget, WidgetSource } from '~/api/dashboards'
import type { Server } from '~/api/servers'
import type { Drawing } from './chart/plot'
import { metricsOf, selectionOf } from './dashboards'
import type { Choices, DashboardTime } from './dashboards'
import { EXPLORER_RANGES, EXPLORER_RANGE_MS, writeExplorer } from './explorer'
import type { ExplorerState } from './explorer'
import { selectServers } from './selectServers'
import type { ChartView } from './views'

/** The query of the explorer's URL that shows the source of a widget. Its ranges are fewer: the next longer one is taken. */
export function explorerQueryOf(source: WidgetSource, drawing: Drawing | undefined, choices: Choices, time: DashboardTime, servers: readonly Server[]) {
  const selection = selectionOf(source, choices)
  const selects = selection.name.length > 0 || selection.tag.length > 0
  return writeExplorer({
    metrics: metricsOf(source, choices),
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

type ChartWidget = Omit<Widget & { type: 'chart' }, 'id' | 'place'>

/** A chart of the page of a server as a widget: its series without what the page converts or leaves out of them. */
export function chartOfView({ metrics }: ChartView, server: string): ChartWidget {
  const source = { metrics: [...metrics], servers: { names: [server], tags: [] }, labels: [], combine: 'none' as const, by: '' }
  return {
    type: 'chart', version: 1, title: '', phone: null,
    config: { source, drawing: 'lines', compare: 'none', low: null, high: null, legend: true, thresholds: [] },
  }
}

/** A chart of the explorer as a widget. Servers are named, so that the dashboard can be taken elsewhere. */
export function chartOf(state: ExplorerState, metric: string, servers: readonly Server[]): ChartWidget {
  return {
    type: 'chart', version: 1, title: '', phone: null,
    config: {
      source: {
        metrics: [metric],
        servers: { names: servers.filter(({ id }) => state.servers.includes(id)).map(({ name }) => name), tags: [] },
        labels: state.labels.split(/\s+/).filter(Boolean),
        combine: state.combine,
        by: state.combine === 'none' ? '' : state.by,
      },
      drawing: state.drawing, compare: state.compare, low: null, high: null, legend: true, thresholds: [],
    },
  }
}
