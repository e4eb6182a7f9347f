// From charts of other pages to widgets. Apart from dashboardLinks.ts, which brings the explorer and all of the dashboards with it: 4 KB that the
// page of a server does not need.
import type { Widget } from '~/api/dashboards'
import type { Server } from '~/api/servers'
import type { ExplorerState } from './explorer'
import type { ChartView } from './views'

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
