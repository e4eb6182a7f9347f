import type { SeriesData } from './series'

/**
 * One time axis for all lines. A value is a number, `null` (a gap: the line breaks) or `undefined` (this line has nothing at a
 * time that another line has: the line goes on).
 */
export type Cell = number | null | undefined

export interface AlignedLine {
  key: string
  values: Cell[]
  min: Cell[] | null
  max: Cell[] | null
}

export interface AlignedData {
  times: number[]
  lines: AlignedLine[]
}

// One lost frame of a server is noise (a slow tick), two in a row are an outage that a person must see.
const RAW_GAP_STEPS = 3
// Buckets are aligned, so the next one missing is a gap already; the half step forgives rounding.
const BUCKET_GAP_STEPS = 1.5

export function gapThreshold(stepMs: number | null, intervalMs: number): number {
  return stepMs === null ? intervalMs * RAW_GAP_STEPS : stepMs * BUCKET_GAP_STEPS
}

/** The times at which a line must break: just after the last value before each gap. */
export function findGaps(times: readonly number[], thresholdMs: number): number[] {
  const gaps: number[] = []
  for (let i = 1; i < times.length; i++) {
    if (times[i]! - times[i - 1]! > thresholdMs) gaps.push(times[i - 1]! + 1)
  }
  return gaps
}

export function alignSeries(series: readonly SeriesData[], thresholdMs: number, scale: (item: SeriesData) => number = () => 1): AlignedData {
  const gaps = series.map(item => findGaps(item.times, thresholdMs))
  const all = new Set<number>()
  for (const item of series) for (const time of item.times) all.add(time)
  for (const times of gaps) for (const time of times) all.add(time)
  const times = [...all].sort((a, b) => a - b)
  const index = new Map(times.map((time, i) => [time, i]))

  const lines = series.map((item, n) => {
    const factor = scale(item)
    const place = (values: readonly (number | null)[]): Cell[] => {
      const cells = new Array<Cell>(times.length).fill(undefined)
      item.times.forEach((time, i) => {
        const value = values[i] ?? null
        cells[index.get(time)!] = value === null ? null : value * factor
      })
      for (const time of gaps[n]!) cells[index.get(time)!] = null
      return cells
    }
    return { key: item.key, values: place(item.values), min: item.min && place(item.min), max: item.max && place(item.max) }
  })
  return { times, lines }
}

/** About `limit` rows spread evenly, the newest always among them: for the table beside a chart. */
export function thinIndexes(length: number, limit: number): number[] {
  if (length <= limit) return Array.from({ length }, (_, i) => i)
  const step = (length - 1) / (limit - 1)
  return Array.from({ length: limit }, (_, i) => Math.round(i * step))
}
