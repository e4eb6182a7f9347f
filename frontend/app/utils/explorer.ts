// What the explorer shows, as its URL says: charts of any metrics of any servers.
import type { CatalogMetric } from '~/api/catalog'
import type { HistoryQuery, HistorySeries, MetricsHistory } from '~/api/metrics'
import { gapThreshold } from './chart/align'
import type { Theme } from './chart/colors'
import { COMPARISONS, movedSeries } from './chart/compare'
import type { Comparison } from './chart/compare'
import { drawLines } from './chart/model'
import type { ChartModel } from './chart/model'
import { seriesKey, toHistoryData } from './chart/series'
import type { SeriesData } from './chart/series'
import type { DisplayUnit } from './format'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units'

export const EXPLORER_RANGES = ['15m', '1h', '6h', '24h', '7d', '30d', '365d'] as const
export type ExplorerRange = typeof EXPLORER_RANGES[number]
export const EXPLORER_RANGE_MS: Record<ExplorerRange, number> = {
  '15m': 15 * MINUTE_MS, '1h': HOUR_MS, '6h': 6 * HOUR_MS, '24h': 24 * HOUR_MS, '7d': 7 * DAY_MS, '30d': 30 * DAY_MS, '365d': 365 * DAY_MS,
}

export const COMBINATIONS = ['none', 'avg', 'max', 'min', 'sum', 'p95', 'count'] as const
export type Combination = typeof COMBINATIONS[number]

/** `log`: on a logarithmic scale. `stack`: one on top of the other. */
export const DRAWINGS = ['lines', 'log', 'stack'] as const
export type Drawing = typeof DRAWINGS[number]

/** More lines than this cannot be told apart; the page says that there are more. */
export const MOST_LINES = 60
const MOST_CHARTS = 12

export interface ExplorerState {
  metrics: readonly string[]
  /** In PromQL, which names servers and labels itself. One that is still to be written is empty. */
  queries: readonly string[]
  /** Empty: all. */
  servers: readonly number[]
  /** Such as `device=sda mountpoint!=/boot`. */
  labels: string
  combine: Combination
  /** With `combine`: `server`, `tag:NAME`, `label:NAME`; empty: all in one line. */
  by: string
  range: ExplorerRange
  /** Absolute times instead of `range`. */
  between: readonly [fromMs: number, toMs: number] | null
  drawing: Drawing
  compare: Comparison
}

type Query = Record<string, unknown>

const texts = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).filter((item): item is string => typeof item === 'string' && item !== '')
const text = (value: unknown): string => texts(value)[0] ?? ''
const given = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).filter(item => typeof item === 'string' || item === null).map(item => item ?? '')
const oneOf = <T extends string>(options: readonly T[], value: unknown, otherwise: T): T => options.find(option => option === text(value)) ?? otherwise

/** What is wrong or missing in the URL counts as not given. */
export function readExplorer(query: Query): ExplorerState {
  const [fromMs, toMs] = [Number(text(query.from)), Number(text(query.to))]
  return {
    metrics: [...new Set(texts(query.metric))].slice(0, MOST_CHARTS),
    queries: [...new Set(given(query.promql))].slice(0, MOST_CHARTS),
    servers: texts(query.server).flatMap(item => item.split(',')).map(Number).filter(id => Number.isInteger(id) && id > 0),
    labels: text(query.labels),
    combine: oneOf(COMBINATIONS, query.combine, 'none'),
    by: text(query.by),
    range: oneOf(EXPLORER_RANGES, query.range, '1h'),
    between: fromMs > 0 && toMs > fromMs ? [fromMs, toMs] : null,
    drawing: oneOf(DRAWINGS, query.draw, 'lines'),
    compare: oneOf(COMPARISONS, query.compare, 'none'),
  }
}

/** The query of the URL that restores this; what is as usual is left out. */
export function writeExplorer(state: ExplorerState): Record<string, string | string[] | undefined> {
  return {
    metric: state.metrics.length > 0 ? [...state.metrics] : undefined,
    promql: state.queries.length > 0 ? [...state.queries] : undefined,
    server: state.servers.length > 0 ? state.servers.join(',') : undefined,
    labels: state.labels || undefined,
    combine: state.combine === 'none' ? undefined : state.combine,
    by: state.combine === 'none' ? undefined : state.by || undefined,
    range: state.range === '1h' ? undefined : state.range,
    from: state.between ? String(Math.round(state.between[0])) : undefined,
    to: state.between ? String(Math.round(state.between[1])) : undefined,
    draw: state.drawing === 'lines' ? undefined : state.drawing,
    compare: state.compare === 'none' ? undefined : state.compare,
  }
}

/** The request for the history of one metric, now or `earlierMs` before. */
export function explorerQuery(state: ExplorerState, metric: string, maxPoints: number, earlierMs = 0): HistoryQuery {
  const agoMs = EXPLORER_RANGE_MS[state.range] + earlierMs
  return {
    metric: [metric],
    server: [...state.servers],
    labels: state.labels.split(/\s+/).filter(Boolean),
    start: state.between ? String(Math.round(state.between[0] - earlierMs)) : `-${agoMs / SECOND_MS}s`,
    end: state.between ? String(Math.round(state.between[1] - earlierMs)) : earlierMs > 0 ? `-${earlierMs / SECOND_MS}s` : 'now',
    max_points: maxPoints,
    limit: MOST_LINES,
    ...(state.combine === 'none' ? {} : { across: state.combine, group_by: state.by ? [state.by] : [] }),
  }
}

/** How a chart shows values in a base unit. `isRate`: they are growths per second. */
export function displayUnit(unit: string, isRate: boolean): DisplayUnit {
  if (unit === 'bytes') return isRate ? 'bytes_per_second' : 'bytes'
  // Seconds per second are a share of the time.
  if (unit === 'ratio' || (unit === 'seconds' && isRate)) return 'ratio'
  if (unit === 'seconds') return 'seconds'
  return isRate ? 'per_second' : 'number'
}

export interface ExplorerModelOptions {
  theme: Theme
  /** The longest interval of the selected servers. */
  intervalMs: number
  serverName: (id: number) => string
  /** The name of a line that stands for everything. */
  allName: string
  /** The same at an earlier time. */
  earlier?: { answer: MetricsHistory, nameOf: (name: string) => string } | null
}

export function explorerModel(answer: MetricsHistory, options: ExplorerModelOptions): ChartModel {
  const { earlier } = options
  const severalServers = new Set(answer.series.map(series => series.server_id)).size > 1
  const gapMs = Math.max(...[answer, earlier?.answer].map(found => gapThreshold(found?.step_ms ?? null, options.intervalMs)))
  const { times, lines } = drawLines(seriesOf(answer), {
    gapMs,
    theme: options.theme,
    nameOf: item => lineName(item.labels, severalServers, options),
    earlier: earlier && { series: movedSeries(seriesOf(earlier.answer), daysBetween(earlier.answer, answer)), nameOf: earlier.nameOf },
  })
  const first = answer.series[0] ?? earlier?.answer.series[0]
  return {
    times,
    lines,
    unit: first === undefined || first.aggregation === 'count' ? 'number' : displayUnit(first.unit, isRate(first)),
    startMs: answer.start_ms,
    endMs: answer.end_ms,
    stepMs: answer.step_ms,
    gapMs,
  }
}

/** In ms, a multiple of a day: two answers are not of the very same moment. */
function daysBetween(earlier: MetricsHistory, now: MetricsHistory): number {
  return Math.round((now.start_ms - earlier.start_ms) / DAY_MS) * DAY_MS
}

/** The series that hold something; their server is one of their labels. */
function seriesOf(answer: MetricsHistory): SeriesData[] {
  return toHistoryData(answer).series.map((item, i): SeriesData => {
    const id = answer.series[i]!.server_id
    const labels = id === null ? item.labels : { ...item.labels, server: String(id) }
    return { ...item, labels, key: seriesKey(item.metric, labels) }
  }).filter(item => item.times.length > 0)
}

/** Whether the points of a series are growths per second. */
function isRate({ kind, aggregation }: HistorySeries): boolean {
  return kind === 'counter' && aggregation !== 'increase' && aggregation !== 'count'
}

function lineName(labels: Record<string, string>, severalServers: boolean, { serverName, allName }: ExplorerModelOptions): string {
  const { server, ...others } = labels
  const names = Object.entries(others).map(([name, value]) => (name.startsWith('tag:') ? `${name.slice(4)}=${value || '–'}` : value || `${name}=–`))
  if (server !== undefined && (severalServers || names.length === 0)) names.unshift(serverName(Number(server)))
  return names.join(' · ') || allName
}

/** What the series of some metrics can be grouped by: server, tags, labels. */
export function groupings(catalog: readonly CatalogMetric[], metrics: readonly string[], tags: readonly Record<string, string>[]): string[] {
  const labels = catalog.filter(({ metric }) => metrics.includes(metric)).flatMap(({ labels: found }) => Object.keys(found))
  const sorted = (names: string[]) => [...new Set(names)].sort()
  return ['server', ...sorted(tags.flatMap(found => Object.keys(found))).map(name => `tag:${name}`), ...sorted(labels).map(name => `label:${name}`)]
}

/** `name=value` of every label of some metrics, for completion. */
export function labelChoices(catalog: readonly CatalogMetric[], metrics: readonly string[]): string[] {
  const choices = catalog.filter(({ metric }) => metrics.includes(metric))
    .flatMap(({ labels }) => Object.entries(labels).flatMap(([name, values]) => values.map(value => `${name}=${value}`)))
  return [...new Set(choices)].sort()
}
