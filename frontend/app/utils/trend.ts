import type { DisplayUnit } from './format'

export interface Trend {
  direction: 'up' | 'down' | 'flat'
  delta: number
}

const TREND_SPAN_MS = 600_000
// A single sample says little; a minute at either end does.
const WINDOW_MS = 60_000
// Under this nobody would call it a change: 1 percentage point, or a tenth of the earlier value.
const FLAT_RATIO = 0.01
const FLAT_SHARE = 0.1

/** How the last minute differs from the minute ten minutes ago; `null` when either has no value. */
export function trendOf(times: readonly number[], values: readonly (number | null)[], nowMs: number, unit: DisplayUnit): Trend | null {
  const now = meanBetween(times, values, nowMs - WINDOW_MS, nowMs)
  const then = meanBetween(times, values, nowMs - TREND_SPAN_MS - WINDOW_MS / 2, nowMs - TREND_SPAN_MS + WINDOW_MS / 2)
  if (now === null || then === null) return null
  const delta = now - then
  const flat = unit === 'ratio' ? FLAT_RATIO : Math.max(Math.abs(then), Math.abs(now)) * FLAT_SHARE
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
