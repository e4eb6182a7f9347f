import type { DisplayUnit } from './format'
import { MINUTE_MS } from './units'

export interface Trend {
  direction: 'up' | 'down' | 'flat'
  delta: number
}

const SPAN_MS = 10 * MINUTE_MS
// Single samples vary too much: compare the means over a minute.
const MEAN_MS = MINUTE_MS
// Smaller changes count as flat: one percentage point of a ratio, a tenth of any other value.
const FLAT_POINTS = 0.01
const FLAT_SHARE = 0.1

/** Compares the last minute with the minute ten minutes ago; `null` if either has no value. */
export function trendOf(times: readonly number[], values: readonly (number | null)[], nowMs: number, unit: DisplayUnit): Trend | null {
  const newValue = meanBetween(times, values, nowMs - MEAN_MS, nowMs)
  const oldValue = meanBetween(times, values, nowMs - SPAN_MS - MEAN_MS / 2, nowMs - SPAN_MS + MEAN_MS / 2)
  if (newValue === null || oldValue === null) return null
  const delta = newValue - oldValue
  const flat = unit === 'ratio' ? FLAT_POINTS : Math.max(Math.abs(oldValue), Math.abs(newValue)) * FLAT_SHARE
  if (Math.abs(delta) < flat || delta === 0) return { direction: 'flat', delta }
  return { direction: delta > 0 ? 'up' : 'down', delta }
}

function meanBetween(times: readonly number[], values: readonly (number | null)[], fromMs: number, toMs: number): number | null {
  let sum = 0
  let count = 0
  for (let i = times.length - 1; i >= 0 && times[i]! >= fromMs; i--) {
    const value = values[i] ?? null
    if (value === null || times[i]! > toMs) continue
    sum += value
    count++
  }
  return count === 0 ? null : sum / count
}
