// The history of a widget's source: its series, their unit, and what they are called.
import type { HistorySeries, MetricsHistory } from '~/api/metrics'
import { toHistoryData, seriesKey } from './chart/series'
import type { HistoryData, SeriesData } from './chart/series'
import { displayUnit } from './explorer'
import type { DisplayUnit } from './format'
import { SECOND_MS } from './units'

export interface SourceHistory {
  /** A series of a server has its server among its labels. */
  data: HistoryData
  /** How the axis of a chart shows it. */
  unit: DisplayUnit
  baseUnit: string
  /** Whether the points are growths per second. */
  isRate: boolean
  /** The same for each metric. */
  units: ReadonlyMap<string, { unit: string, isRate: boolean }>
  /** Whether there are no more series than these. */
  isComplete: boolean
  /** How far apart samples are. */
  spacingMs: number
}

const USUAL_SPACING_MS = 10 * SECOND_MS

export function historyOf(answer: MetricsHistory): SourceHistory {
  const data = toHistoryData(answer)
  const series = data.series.map((item, i): SeriesData => {
    const id = answer.series[i]!.server_id
    const labels = id === null ? item.labels : { ...item.labels, server: String(id) }
    return { ...item, labels, key: seriesKey(item.metric, labels) }
  })
  const units = new Map(answer.series.map(item => [item.metric, baseUnitOf(item)]))
  const { unit: baseUnit, isRate } = answer.series[0] ? baseUnitOf(answer.series[0]) : { unit: '', isRate: false }
  const times = answer.series.find(({ times: found }) => found.length > 1)?.times
  return {
    data: { ...data, series },
    unit: displayUnit(baseUnit, isRate),
    baseUnit,
    isRate,
    units,
    isComplete: answer.next === null,
    spacingMs: answer.step_ms === null && times ? times.at(-1)! - times.at(-2)! : USUAL_SPACING_MS,
  }
}

function baseUnitOf({ aggregation, kind, unit }: HistorySeries): { unit: string, isRate: boolean } {
  if (aggregation === 'count') return { unit: '', isRate: false }
  return { unit, isRate: kind === 'counter' && aggregation !== 'increase' }
}

export interface NameOptions {
  serverName: (id: number) => string
  /** The name of what stands for everything. */
  allName: string
}

interface Named { key: string, metric: string, labels: Record<string, string> }

// Left out where the rest tells things apart.
const MINOR_LABELS = ['fstype', 'device']

/** What a line, bar or row is called: only what tells it from the others. */
export function namesOf(items: readonly Named[], { serverName, allName }: NameOptions): Map<string, string> {
  const differ = (values: (string | undefined)[]) => new Set(values).size > 1
  const severalMetrics = differ(items.map(({ metric }) => metric))
  const severalServers = differ(items.map(({ labels }) => labels.server))
  const telling = [...new Set(items.flatMap(({ labels }) => Object.keys(labels)))].filter(name => name !== 'server' && differ(items.map(({ labels }) => labels[name])))
  const isUnique = (names: readonly string[]) => new Set(items.map(({ metric, labels }) => JSON.stringify([metric, labels.server, ...names.map(name => labels[name])]))).size === items.length
  const shown = MINOR_LABELS.reduce((names, minor) => {
    const rest = names.filter(name => name !== minor)
    return isUnique(rest) ? rest : names
  }, telling)
  return new Map(items.map(({ key, metric, labels }) => {
    const parts = [
      ...(severalServers && labels.server !== undefined ? [serverName(Number(labels.server))] : []),
      ...shown.map(name => (name.startsWith('tag:') ? `${name.slice(4)}=${labels[name] || '–'}` : labels[name] || `${name}=–`)),
      ...(severalMetrics ? [metricTitle(metric)] : []),
    ]
    if (parts.length > 0) return [key, parts.join(' · ')]
    const only = Object.entries(labels).filter(([name]) => name !== 'server').map(([, value]) => value).filter(Boolean)
    return [key, only.join(' · ') || (labels.server === undefined ? allName : serverName(Number(labels.server)))]
  }))
}

const UNIT_ENDINGS = /_(?:total|bytes|ratio|seconds|celsius|bits|hertz)$/
const ACRONYMS = new Set(['cpu', 'gpu', 'tcp', 'udp', 'oom', 'io', 'rpm'])

/** `network_receive_bytes_total` as people say it: Network receive. Its values tell the unit. */
export function metricTitle(metric: string): string {
  let name = metric
  while (UNIT_ENDINGS.test(name)) name = name.replace(UNIT_ENDINGS, '')
  const words = name.split('_').map(word => (ACRONYMS.has(word) ? word.toUpperCase() : word)).join(' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export const STATISTICS = ['last', 'avg', 'min', 'max', 'sum'] as const
export type Statistic = typeof STATISTICS[number]

/** One number of the points of a series. The sum of rates counts what came: rate times the time between points. */
export function statisticOf(series: SeriesData, statistic: Statistic, stepMs: number | null, isRate: boolean): number | null {
  const values = series.values.filter(value => value !== null)
  if (values.length === 0) return null
  switch (statistic) {
    case 'last': return values.at(-1)!
    case 'avg': return values.reduce((a, b) => a + b, 0) / values.length
    case 'min': return (series.min ?? values).reduce<number>((low, value) => Math.min(low, value ?? low), Infinity)
    case 'max': return (series.max ?? values).reduce<number>((high, value) => Math.max(high, value ?? high), -Infinity)
    case 'sum': {
      if (!isRate) return values.reduce((a, b) => a + b, 0)
      return series.values.reduce<number>((total, value, i) => {
        const lengthMs = stepMs ?? (i > 0 ? series.times[i]! - series.times[i - 1]! : 0)
        return total + (value ?? 0) * lengthMs / SECOND_MS
      }, 0)
    }
  }
}
