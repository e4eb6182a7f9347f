// Present values of a widget's source: newest values of series, combined as the API combines histories.
import type { CurrentMetrics, LiveSeries } from '~/api/metrics'
import type { SharedPresent } from '~/api/shared'
import { liveValue, seriesKey } from './chart/series'

/** The newest value of one series of one server. `intervalMs`: how often there is one; `null`: not known. */
export interface Newest { serverId: number, timeMs: number, intervalMs: number | null, series: LiveSeries }

/** A value that a widget shows: of one series, or of several together. */
export interface PresentValue {
  key: string
  metric: string
  /** Of a series also its server: `server`. */
  labels: Record<string, string>
  unit: string
  isRate: boolean
  value: number | null
  /** The lowest and highest of what was combined. */
  extremes: readonly [low: number, high: number] | null
  timeMs: number
}

export type Combine = 'none' | 'avg' | 'max' | 'min' | 'sum' | 'p95' | 'count'

// Values of a server that are so much older than its newest are of series that ended: steps of theirs, but at least a minute.
const STALE_STEPS = 3
const STALE_MS = 60_000
// The API server leaves out what ended, but does not tell how often the others come.
const STALE_UNKNOWN_MS = 15 * 60_000

const isStale = ({ timeMs, intervalMs }: Newest, newestMs: number): boolean =>
  newestMs - timeMs > (intervalMs === null ? STALE_UNKNOWN_MS : Math.max(STALE_MS, STALE_STEPS * intervalMs))

/** Server id -> series key -> its newest value. */
export class NewestValues {
  private readonly servers = new Map<number, Map<string, Newest>>()

  take(serverId: number, timeMs: number, intervalMs: number | null, series: readonly LiveSeries[]): void {
    const ofServer = this.servers.get(serverId) ?? new Map<string, Newest>()
    this.servers.set(serverId, ofServer)
    for (const item of series) {
      const key = seriesKey(item.metric, item.labels)
      const known = ofServer.get(key)
      if (!known || known.timeMs <= timeMs) ofServer.set(key, { serverId, timeMs, intervalMs: intervalMs ?? known?.intervalMs ?? null, series: item })
    }
  }

  takeAll(answer: CurrentMetrics): void {
    for (const { server_id, time_ms, series } of answer.servers) this.take(server_id, time_ms, null, series)
  }

  /** Forgets the servers that are not selected any more. */
  keep(serverIds: readonly number[]): void {
    const selected = new Set(serverIds)
    for (const id of this.servers.keys()) if (!selected.has(id)) this.servers.delete(id)
  }

  /** The newest values of some metrics, without those of series that ended. */
  of(metrics: ReadonlySet<string>): Newest[] {
    return [...this.servers.values()].flatMap((ofServer) => {
      const found = [...ofServer.values()]
      const newestMs = found.reduce((newest, { timeMs }) => Math.max(newest, timeMs), 0)
      return found.filter(item => metrics.has(item.series.metric) && !isStale(item, newestMs))
    })
  }
}

/** `by`: `server`, `tag:NAME`, `label:NAME`; empty: all in one, for each metric. */
export function presentValues(newest: readonly Newest[], combine: Combine, by: string, tagsOf: (serverId: number) => Record<string, string>): PresentValue[] {
  if (combine === 'none') {
    return newest.map(({ serverId, timeMs, series }) => {
      const labels = { ...series.labels, server: String(serverId) }
      return { key: seriesKey(series.metric, labels), metric: series.metric, labels, unit: series.unit, isRate: series.kind === 'counter', value: liveValue(series), extremes: null, timeMs }
    })
  }
  const groups = new Map<string, { first: Newest, labels: Record<string, string>, values: number[], timeMs: number }>()
  for (const item of newest) {
    const labels = groupOf(item, by, tagsOf)
    const key = seriesKey(item.series.metric, labels)
    const group = groups.get(key) ?? { first: item, labels, values: [], timeMs: 0 }
    groups.set(key, group)
    const value = liveValue(item.series)
    if (value !== null) group.values.push(value)
    group.timeMs = Math.max(group.timeMs, item.timeMs)
  }
  return [...groups].map(([key, { first: { series }, labels, values, timeMs }]) => ({
    key, labels, timeMs,
    metric: series.metric,
    unit: combine === 'count' ? '' : series.unit,
    isRate: combine !== 'count' && series.kind === 'counter',
    value: combined(values, combine),
    extremes: values.length > 0 && combine !== 'sum' && combine !== 'count' ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : null,
  }))
}

/** The same of a dashboard that is shared by link, for which the API server combines. */
export function sharedValues({ current, groups }: SharedPresent['widgets'][string], combine: Combine, timeMs: number): PresentValue[] {
  if (combine === 'none') {
    const newest = current.flatMap(({ server_id, time_ms, series }) => series.map(item => ({ serverId: server_id, timeMs: time_ms, intervalMs: null, series: item })))
    return presentValues(newest, 'none', '', () => ({}))
  }
  const isCount = combine === 'count'
  return groups.map(({ metric, labels, unit, kind, value, min, max }) => ({
    key: seriesKey(metric, labels), metric, labels, value, timeMs,
    unit: isCount ? '' : unit,
    isRate: !isCount && kind === 'counter',
    extremes: min !== null && max !== null && !isCount && combine !== 'sum' ? [min, max] : null,
  }))
}

function groupOf({ serverId, series }: Newest, by: string, tagsOf: (serverId: number) => Record<string, string>): Record<string, string> {
  if (by === 'server') return { server: String(serverId) }
  if (by.startsWith('tag:')) return { [by]: tagsOf(serverId)[by.slice(4)] ?? '' }
  if (by.startsWith('label:')) return { [by.slice(6)]: series.labels[by.slice(6)] ?? '' }
  return {}
}

function combined(values: number[], combine: Exclude<Combine, 'none'>): number | null {
  if (combine === 'count') return values.length
  if (values.length === 0) return null
  const sum = () => values.reduce((total, value) => total + value, 0)
  switch (combine) {
    case 'sum': return sum()
    case 'avg': return sum() / values.length
    case 'max': return values.reduce((a, b) => Math.max(a, b))
    case 'min': return values.reduce((a, b) => Math.min(a, b))
    case 'p95': return quantile(values, 0.95)
  }
}

/** With linear interpolation between the two nearest, as the API does (numpy's default). */
function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = Math.floor(position)
  const low = sorted[below]!
  return low + ((sorted[below + 1] ?? low) - low) * (position - below)
}
