// PromQL in the explorer: the steps of a query, its answer as a history, and what may come next while somebody types.
import type { CatalogMetric } from '~/api/catalog'
import type { MetricsHistory } from '~/api/metrics'
import { MINUTE_MS, SECOND_MS } from './units'

/** A row of the answer to a query at the steps of a range; numbers are texts, as JSON has no infinity. */
export interface PromQLRow {
  metric: Record<string, string>
  values: [seconds: number, value: string][]
}

export interface PromQLQuery {
  text: string
  /** `null`: the last `rangeMs`. */
  between: readonly [fromMs: number, toMs: number] | null
  rangeMs: number
  points: number
}

const STEPS_S = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400]
const SHORTEST_RATE_MS = MINUTE_MS

/** The shortest step of a person's liking that gives at most so many points. */
export function stepMs(rangeMs: number, points: number): number {
  const least = rangeMs / SECOND_MS / points
  return (STEPS_S.find(step => step >= least) ?? Math.ceil(least / 86_400) * 86_400) * SECOND_MS
}

/** Grafana's names for the step, and for a range that always holds some samples. */
export function withVariables(text: string, step: number, intervalMs: number): string {
  const rate = Math.max(SHORTEST_RATE_MS, step + intervalMs, 4 * intervalMs)
  return text.replaceAll('$__rate_interval', `${Math.round(rate / SECOND_MS)}s`).replaceAll('$__interval', `${step / SECOND_MS}s`)
}

/** The answer in the form of a history, so that it is drawn like one. A server's name stands for its id. */
export function toHistory(rows: readonly PromQLRow[], startMs: number, endMs: number, step: number): MetricsHistory {
  return {
    start_ms: startMs,
    end_ms: endMs,
    resolution: 'raw',
    step_ms: step,
    missing: [],
    next: null,
    series: rows.map(({ metric: { __name__: metric = '', server, ...labels }, values }) => ({
      server_id: null,
      metric,
      labels: { ...(metric && rows.some(row => row.metric.__name__ !== metric) ? { metric } : {}), ...(server !== undefined && labels.instance === undefined ? { server } : {}), ...labels },
      type: '',
      unit: '',
      kind: 'gauge',
      aggregation: 'last',
      members: 1,
      times: values.map(([seconds]) => Math.round(seconds * SECOND_MS)),
      values: values.map(([, value]) => finite(value)),
      min: null,
      max: null,
    })),
  }
}

/** Infinity has no place in a chart. */
function finite(text: string): number | null {
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}

/** As CSV: one row for each series and step. */
export function toCsv(rows: readonly PromQLRow[]): string {
  const names = [...new Set(rows.flatMap(row => Object.keys(row.metric)))].sort()
  const quoted = (text: string) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const lines = rows.flatMap(row => row.values.map(([seconds, value]) =>
    [new Date(seconds * SECOND_MS).toISOString(), ...names.map(name => row.metric[name] ?? ''), value].map(quoted).join(',')))
  return [['time', ...names, 'value'].map(quoted).join(','), ...lines].join('\n') + '\n'
}

const FUNCTIONS = [
  'abs', 'absent', 'absent_over_time', 'avg_over_time', 'ceil', 'changes', 'clamp', 'clamp_max', 'clamp_min', 'count_over_time', 'day_of_month', 'day_of_week', 'day_of_year',
  'days_in_month', 'delta', 'deriv', 'exp', 'floor', 'histogram_quantile', 'hour', 'idelta', 'increase', 'irate', 'label_join', 'label_replace', 'last_over_time', 'ln', 'log10',
  'log2', 'mad_over_time', 'max_over_time', 'min_over_time', 'minute', 'month', 'predict_linear', 'present_over_time', 'quantile_over_time', 'rate', 'resets', 'round', 'scalar',
  'sgn', 'sort', 'sort_desc', 'sqrt', 'stddev_over_time', 'stdvar_over_time', 'sum_over_time', 'time', 'timestamp', 'vector', 'year',
] as const
const AGGREGATIONS = ['avg', 'bottomk', 'count', 'count_values', 'group', 'max', 'min', 'quantile', 'stddev', 'stdvar', 'sum', 'topk'] as const
const ADDED_LABELS = ['instance', 'server'] as const
const MOST_CHOICES = 12

export interface Completion {
  /** What is replaced: from here to the cursor. */
  from: number
  choices: { text: string, kind: 'metric' | 'function' | 'label' | 'value' }[]
}

const NOTHING: Completion = { from: 0, choices: [] }

/** What may stand at the cursor: metrics and functions; in braces labels, in quotes their values; after `by (` labels. */
export function complete(text: string, cursor: number, catalog: readonly CatalogMetric[]): Completion {
  const before = text.slice(0, cursor)
  const value = /([a-zA-Z_][\w.]*)\s*(?:=~|!~|!=|=)\s*"([^"\\]*)$/.exec(before)
  if (value) {
    const values = labelsOf(metricBefore(before, catalog)).get(value[1]!) ?? []
    return chosen(cursor, value[2]!, values.map(text => ({ text, kind: 'value' })))
  }
  if ((before.match(/"/g)?.length ?? 0) % 2 === 1) return NOTHING
  const word = /[a-zA-Z_:][\w:.]*$/.exec(before)?.[0] ?? ''
  const lead = before.slice(0, before.length - word.length)
  const labels = () => [...labelsOf(metricBefore(before, catalog)).keys(), ...ADDED_LABELS]
  if (/\{[^{}]*$/.test(lead)) {
    return /[{,]\s*$/.test(lead) ? chosen(cursor, word, [...new Set(labels())].sort().map(text => ({ text, kind: 'label' }))) : NOTHING
  }
  if (/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*$/.test(lead)) {
    const all = labelsOf(catalog).keys()
    return chosen(cursor, word, [...new Set([...all, ...ADDED_LABELS])].sort().map(text => ({ text, kind: 'label' })))
  }
  if (word === '' || /[\d.)\]]$/.test(lead) || /\[[^\]]*$/.test(lead)) return NOTHING
  return chosen(cursor, word, [
    ...catalog.map(({ metric }) => ({ text: metric, kind: 'metric' as const })),
    ...[...AGGREGATIONS, ...FUNCTIONS].map(text => ({ text, kind: 'function' as const })),
  ])
}

/** Those that begin with what is there come before those that hold it. */
function chosen(cursor: number, typed: string, choices: Completion['choices']): Completion {
  const low = typed.toLowerCase()
  const rank = ({ text }: Completion['choices'][number]) => (text.toLowerCase().startsWith(low) ? 0 : text.toLowerCase().includes(low) ? 1 : 2)
  const found = choices.filter(choice => rank(choice) < 2 && choice.text !== typed).sort((a, b) => rank(a) - rank(b))
  return { from: cursor - typed.length, choices: found.slice(0, MOST_CHOICES) }
}

/** The metric whose braces the cursor is in; all metrics if none is known. */
function metricBefore(before: string, catalog: readonly CatalogMetric[]): readonly CatalogMetric[] {
  const name = /([a-zA-Z_:][\w:]*)\s*\{[^{}]*$/.exec(before)?.[1]
  const found = catalog.filter(({ metric }) => metric === name)
  return found.length > 0 ? found : catalog
}

function labelsOf(metrics: readonly CatalogMetric[]): Map<string, string[]> {
  const found = new Map<string, Set<string>>()
  for (const { labels } of metrics) {
    for (const [name, values] of Object.entries(labels)) found.set(name, new Set([...found.get(name) ?? [], ...values]))
  }
  return new Map([...found].map(([name, values]) => [name, [...values].sort()]))
}
