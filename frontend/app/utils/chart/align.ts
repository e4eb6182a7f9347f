import type { SeriesData } from './series'

/**
 * The value of a line at one time of the shared time axis: a number, `null` (a gap: the line breaks) or `undefined` (only other lines
 * have a value at this time: the line continues).
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

// A single missing frame is noise; two in a row are a gap.
const RAW_GAP_STEPS = 3
// Buckets are aligned, so a single missing one is a gap. The half step tolerates rounding.
const BUCKET_GAP_STEPS = 1.5

export function gapThreshold(stepMs: number | null, intervalMs: number): number {
  return stepMs === null ? intervalMs * RAW_GAP_STEPS : stepMs * BUCKET_GAP_STEPS
}

/** The times at which a line breaks: 1 ms after the last value before each gap. */
export function findGaps(times: readonly number[], thresholdMs: number): number[] {
  const gaps: number[] = []
  for (let i = 1; i < times.length; i++) {
    if (times[i]! - times[i - 1]! > thresholdMs) gaps.push(times[i - 1]! + 1)
  }
  return gaps
}

export function alignSeries(series: readonly SeriesData[], thresholdMs: number, scale: (item: SeriesData) => number = () => 1): AlignedData {
  const gaps = series.map(item => findGaps(item.times, thresholdMs))
  const times = [...new Set([...series.map(item => item.times), ...gaps].flat())].sort((a, b) => a - b)
  const indexOf = new Map(times.map((time, i) => [time, i]))

  const lines = series.map((item, seriesIndex) => {
    const factor = scale(item)
    const align = (values: readonly (number | null)[]): Cell[] => {
      const cells = new Array<Cell>(times.length).fill(undefined)
      item.times.forEach((time, i) => {
        const value = values[i] ?? null
        cells[indexOf.get(time)!] = value === null ? null : value * factor
      })
      for (const time of gaps[seriesIndex]!) cells[indexOf.get(time)!] = null
      return cells
    }
    return { key: item.key, values: align(item.values), min: item.min && align(item.min), max: item.max && align(item.max) }
  })
  return { times, lines }
}

/** Picks at most `limit` indexes, evenly spread, including the first and the last. */
export function thinIndexes(length: number, limit: number): number[] {
  if (length <= limit) return Array.from({ length }, (_, i) => i)
  const step = (length - 1) / (limit - 1)
  return Array.from({ length: limit }, (_, i) => Math.round(i * step))
}
