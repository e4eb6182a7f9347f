import type { HistorySeries, LiveSeries, MetricsHistory } from '~/api/metrics'

/** The values of one series: times ascending, `null` for a missing value. Immutable: an update creates a new object. */
export interface SeriesData {
  key: string
  metric: string
  labels: Record<string, string>
  times: number[]
  values: (number | null)[]
  /** Extremes of each bucket; `null` if the values are stored samples. */
  min: (number | null)[] | null
  max: (number | null)[] | null
  /** Live values after this time are not in it yet. */
  newestMs: number
}

export interface HistoryData {
  startMs: number
  endMs: number
  /** Length of a bucket; `null` if the values are stored samples. */
  stepMs: number | null
  series: SeriesData[]
}

export const EMPTY_HISTORY: HistoryData = { startMs: 0, endMs: 0, stepMs: null, series: [] }

/** `name{a="1",b="2"}`, independent of the order of the labels. */
export function seriesKey(metric: string, labels: Record<string, string>): string {
  const names = Object.keys(labels).sort()
  if (names.length === 0) return metric
  return `${metric}{${names.map(name => `${name}="${labels[name]}"`).join(',')}}`
}

export function toHistoryData(response: MetricsHistory): HistoryData {
  return {
    startMs: response.start_ms,
    endMs: response.end_ms,
    stepMs: response.step_ms,
    series: response.series.map(series => toSeriesData(series, response)),
  }
}

function toSeriesData(series: HistorySeries, response: MetricsHistory): SeriesData {
  return {
    key: seriesKey(series.metric, series.labels),
    metric: series.metric,
    labels: series.labels,
    times: series.times,
    values: series.values,
    min: series.min,
    max: series.max,
    // The newest frame may have been on its way while the history was read. A bucket does not tell what it holds.
    newestMs: response.step_ms === null ? series.times.at(-1) ?? response.start_ms : response.end_ms,
  }
}

/** What a history shows of this series: the rate of a counter, the value of a gauge. */
export function liveValue(series: LiveSeries): number | null {
  return series.kind === 'counter' ? series.rate : series.value
}

/** Adds up the series of some metrics at every time at which one of them has a value. */
export function sumSeries(series: readonly SeriesData[], metrics: readonly string[]): { times: number[], values: number[] } {
  const sums = new Map<number, number>()
  for (const item of series) {
    if (!metrics.includes(item.metric)) continue
    item.times.forEach((time, i) => {
      const value = item.values[i]
      if (value !== null && value !== undefined) sums.set(time, (sums.get(time) ?? 0) + value)
    })
  }
  const times = [...sums.keys()].sort((a, b) => a - b)
  return { times, values: times.map(time => sums.get(time)!) }
}
