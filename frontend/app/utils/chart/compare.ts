// An earlier time, drawn behind the present one.
import { DAY_MS } from '../units'
import type { SeriesData } from './series'

export const COMPARISONS = ['none', 'day', 'week'] as const
export type Comparison = typeof COMPARISONS[number]

/** How much earlier. */
export const COMPARISON_MS: Record<Comparison, number> = { none: 0, day: DAY_MS, week: 7 * DAY_MS }

/** The series at times that are later by `byMs`, without the ranges of their buckets: two bands of one line would cover each other. */
export function movedSeries(series: readonly SeriesData[], byMs: number): SeriesData[] {
  return series.map(item => ({ ...item, times: item.times.map(time => time + byMs), min: null, max: null }))
}
