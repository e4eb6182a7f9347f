import type { CurrentSeries } from '~/api/metrics'
import { liveValue, seriesKey } from './series'
import type { HistoryData, SeriesData } from './series'

export interface LiveFrame {
  timeMs: number
  /** Between frames of this server: how much one sample weighs in a bucket. */
  intervalMs: number
  series: CurrentSeries[]
}

/** Adds one live frame to a fetched history and drops what left the range. A frame that is not newer changes nothing. */
export function appendFrame(history: HistoryData, frame: LiveFrame, metrics: ReadonlySet<string>, rangeMs: number): HistoryData {
  if (frame.timeMs <= history.endMs) return history
  const startMs = frame.timeMs - rangeMs
  const known = new Map(history.series.map(series => [series.key, series]))
  for (const live of frame.series) {
    if (!metrics.has(live.metric)) continue
    const key = seriesKey(live.metric, live.labels)
    const series = known.get(key) ?? emptySeries(key, live, history.stepMs)
    known.set(key, appendValue(series, frame.timeMs, liveValue(live), history.stepMs, frame.intervalMs))
  }
  const series = [...known.values()].map(item => dropBefore(item, history.stepMs === null ? startMs : startMs - history.stepMs))
  return { ...history, startMs, endMs: frame.timeMs, series }
}

function emptySeries(key: string, live: CurrentSeries, stepMs: number | null): SeriesData {
  const bucketed = stepMs !== null
  return { key, metric: live.metric, labels: live.labels, times: [], values: [], min: bucketed ? [] : null, max: bucketed ? [] : null }
}

function appendValue(series: SeriesData, timeMs: number, value: number | null, stepMs: number | null, intervalMs: number): SeriesData {
  if (stepMs === null) return { ...series, times: [...series.times, timeMs], values: [...series.values, value] }
  // Buckets that hold no data are not listed.
  if (value === null) return series
  const bucket = Math.floor(timeMs / stepMs) * stepMs
  const last = series.times.length - 1
  if (series.times[last] !== bucket) {
    return {
      ...series,
      times: [...series.times, bucket],
      values: [...series.values, value],
      min: series.min && [...series.min, value],
      max: series.max && [...series.max, value],
    }
  }
  // How many samples the newest bucket holds already is not in the answer; its age tells it well enough until the next fetch.
  const before = Math.max(1, Math.round((timeMs - bucket) / intervalMs))
  const old = series.values[last] ?? value
  return {
    ...series,
    values: withLast(series.values, (old * before + value) / (before + 1)),
    min: series.min && withLast(series.min, Math.min(series.min[last] ?? value, value)),
    max: series.max && withLast(series.max, Math.max(series.max[last] ?? value, value)),
  }
}

function withLast(values: (number | null)[], value: number): (number | null)[] {
  const copy = values.slice()
  copy[copy.length - 1] = value
  return copy
}

function dropBefore(series: SeriesData, startMs: number): SeriesData {
  const first = series.times.findIndex(time => time >= startMs)
  if (first === 0) return series
  const from = first < 0 ? series.times.length : first
  return {
    ...series,
    times: series.times.slice(from),
    values: series.values.slice(from),
    min: series.min && series.min.slice(from),
    max: series.max && series.max.slice(from),
  }
}
