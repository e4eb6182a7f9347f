import type { LiveSeries } from '~/api/metrics'
import { liveValue, seriesKey } from './series'
import type { HistoryData, SeriesData } from './series'

export interface LiveFrame {
  timeMs: number
  /** The agent's interval, which tells how many samples a bucket holds. */
  intervalMs: number
  series: LiveSeries[]
}

/** Adds a live frame to a fetched history and drops values before the range. Returns the same history if it has all of the frame. */
export function appendFrame(history: HistoryData, frame: LiveFrame, metrics: ReadonlySet<string>, rangeMs: number): HistoryData {
  const endMs = Math.max(frame.timeMs, history.endMs)
  const startMs = endMs - rangeMs
  const byKey = new Map(history.series.map(series => [series.key, series]))
  let changed = false
  for (const live of frame.series) {
    if (!metrics.has(live.metric)) continue
    const key = seriesKey(live.metric, live.labels)
    const series = byKey.get(key) ?? emptySeries(key, live, history.stepMs)
    // Of a server with several layouts, each frame holds some of its series.
    if (frame.timeMs <= series.newestMs) continue
    byKey.set(key, { ...appendValue(series, frame.timeMs, liveValue(live), history.stepMs, frame.intervalMs), newestMs: frame.timeMs })
    changed = true
  }
  if (!changed) return history
  const series = [...byKey.values()].map(item => dropBefore(item, history.stepMs === null ? startMs : startMs - history.stepMs))
  return { ...history, startMs, endMs, series }
}

function emptySeries(key: string, live: LiveSeries, stepMs: number | null): SeriesData {
  const bucketed = stepMs !== null
  return { key, metric: live.metric, labels: live.labels, times: [], values: [], min: bucketed ? [] : null, max: bucketed ? [] : null, newestMs: 0 }
}

function appendValue(series: SeriesData, timeMs: number, value: number | null, stepMs: number | null, intervalMs: number): SeriesData {
  if (stepMs === null) return { ...series, times: [...series.times, timeMs], values: [...series.values, value] }
  // A history lists only buckets that hold data.
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
  // The API does not say how many samples the newest bucket holds. Its age is a good enough estimate until the next fetch.
  // A server that somebody looks at samples more often than its interval says.
  const spacingMs = Math.min(intervalMs, timeMs - series.newestMs)
  const sampleCount = Math.max(1, Math.round((timeMs - bucket) / spacingMs))
  const mean = series.values[last] ?? value
  return {
    ...series,
    values: replaceLast(series.values, (mean * sampleCount + value) / (sampleCount + 1)),
    min: series.min && replaceLast(series.min, Math.min(series.min[last] ?? value, value)),
    max: series.max && replaceLast(series.max, Math.max(series.max[last] ?? value, value)),
  }
}

function replaceLast(values: (number | null)[], value: number): (number | null)[] {
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
