// The only place where values become text. The functions are pure: callers pass the locale.
// Numbers have at most four significant digits, and a no-break space before their unit.

import type { Locale } from './languages'
import { MINUTE_MS } from './units'

export type DisplayUnit = 'ratio' | 'bytes' | 'bytes_per_second' | 'bits_per_second' | 'per_second' | 'seconds' | 'number'

export const NO_VALUE = '–'

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']
const BIT_UNITS = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']
const NBSP = '\u00A0'
// Larger numbers would round to 1,000: use the next unit.
const MAX_BEFORE_NEXT_UNIT = 999.5
// Larger numbers would round to 10,000.
const MAX_FOUR_DIGITS = 9_999.5

// Percentage points.
const POINTS: Record<Locale, string> = {
  'en': `${NBSP}pp`, 'ko': '%p', 'de': `${NBSP}PP`, 'es': `${NBSP}p.${NBSP}p.`, 'fr': `${NBSP}pts`, 'pt-BR': `${NBSP}p.p.`, 'ja': `${NBSP}pt`, 'zh-CN': '个百分点',
}
// Where the narrow style mixes long and short units, or leaves words out ("-5 min").
const SHORT_UNITS = new Set<Locale>(['de', 'ja'])
const SHORT_AGES = new Set<Locale>(['de', 'fr'])

const MINUTE_S = 60
const HOUR_S = 60 * MINUTE_S
const DAY_S = 24 * HOUR_S

// Creating an Intl formatter takes about 20 us, using one about 0.5 us, and a page formats hundreds of values per second.
const cache = new Map<string, unknown>()
function cached<T>(key: string, create: () => T): T {
  let formatter = cache.get(key) as T | undefined
  if (formatter === undefined) {
    formatter = create()
    cache.set(key, formatter)
  }
  return formatter
}

function decimal(locale: Locale, value: number, digits: number, trim = false): string {
  return cached(`d${locale}${digits}${trim}`, () => new Intl.NumberFormat(locale, {
    minimumFractionDigits: trim ? 0 : digits,
    maximumFractionDigits: digits,
  })).format(value)
}

function isMissing(value: number | null | undefined): value is null | undefined {
  return value === null || value === undefined || !Number.isFinite(value)
}

function scale(value: number, base: number, units: string[]): { scaled: number, unit: string } {
  let index = 0
  let scaled = value
  while (Math.abs(scaled) >= MAX_BEFORE_NEXT_UNIT && index < units.length - 1) {
    scaled /= base
    index++
  }
  return { scaled, unit: units[index]! }
}

function fractionDigits(value: number): number {
  const size = Math.abs(value)
  if (size === 0 || size >= 99.95) return 0
  return size < 9.995 ? 2 : 1
}

export interface ByteOptions {
  /** Drops trailing zeros, for capacities ("8 GiB"). Live values keep them, so that their width does not change. @default false */
  trim?: boolean
}

export function formatBytes(value: number | null | undefined, locale: Locale, options: ByteOptions = {}): string {
  if (isMissing(value)) return NO_VALUE
  const { scaled, unit } = scale(value, 1024, BYTE_UNITS)
  return decimal(locale, scaled, unit === 'B' ? 0 : fractionDigits(scaled), options.trim) + NBSP + (locale === 'fr' ? unit.replace('B', 'o') : unit)
}

export function formatByteRate(value: number | null | undefined, locale: Locale): string {
  return isMissing(value) ? NO_VALUE : `${formatBytes(value, locale)}/s`
}

/** In decimal units, which are usual for networks: 1 kbit = 1,000 bit. */
export function formatBitRate(value: number | null | undefined, locale: Locale): string {
  if (isMissing(value)) return NO_VALUE
  const { scaled, unit } = scale(value, 1000, BIT_UNITS)
  return decimal(locale, scaled, unit === 'bit/s' ? 0 : fractionDigits(scaled)) + NBSP + unit
}

export function formatPercent(ratio: number | null | undefined, locale: Locale): string {
  if (isMissing(ratio)) return NO_VALUE
  return percent(locale, ratio, Math.abs(ratio) >= 0.9995 ? 0 : 1)
}

function percent(locale: Locale, ratio: number, digits: number, trim = false): string {
  return cached(`p${locale}${digits}${trim}`, () => new Intl.NumberFormat(locale, {
    style: 'percent',
    minimumFractionDigits: trim ? 0 : digits,
    maximumFractionDigits: digits,
  })).format(ratio)
}

/** A share of a whole: only all of it is 100%. */
export function formatShare(ratio: number | null | undefined, locale: Locale): string {
  return isMissing(ratio) || ratio >= 1 ? formatPercent(ratio, locale) : percent(locale, Math.floor(ratio * 1_000) / 1_000, 1)
}

/** The difference of two ratios in percentage points. */
export function formatPoints(ratio: number | null | undefined, locale: Locale): string {
  if (isMissing(ratio)) return NO_VALUE
  return decimal(locale, ratio * 100, Math.abs(ratio) >= 0.9995 ? 0 : 1) + POINTS[locale]
}

export function formatNumber(value: number | null | undefined, locale: Locale): string {
  if (isMissing(value)) return NO_VALUE
  if (Math.abs(value) >= MAX_FOUR_DIGITS) {
    return cached(`c${locale}`, () => new Intl.NumberFormat(locale, { notation: 'compact', maximumSignificantDigits: 3 })).format(value)
  }
  if (Math.abs(value) >= MAX_BEFORE_NEXT_UNIT) return decimal(locale, value, 0)
  return decimal(locale, value, fractionDigits(value), Number.isInteger(value))
}

export function formatRate(value: number | null | undefined, locale: Locale): string {
  return isMissing(value) ? NO_VALUE : `${formatNumber(value, locale)}/s`
}

export function formatUnit(value: number | null | undefined, unit: DisplayUnit, locale: Locale): string {
  switch (unit) {
    case 'ratio': return formatPercent(value, locale)
    case 'bytes': return formatBytes(value, locale)
    case 'bytes_per_second': return formatByteRate(value, locale)
    case 'bits_per_second': return formatBitRate(value, locale)
    case 'per_second': return formatRate(value, locale)
    case 'seconds': return formatSeconds(value, locale)
    case 'number': return formatNumber(value, locale)
  }
}

/** A length of time: the wait for a disk as well as an uptime. */
function formatSeconds(value: number | null | undefined, locale: Locale): string {
  if (isMissing(value)) return NO_VALUE
  if (Math.abs(value) >= MINUTE_S) return formatDuration(value, locale)
  return Math.abs(value) < 1 && value !== 0 ? `${formatNumber(value * 1000, locale)}${NBSP}ms` : `${formatNumber(value, locale)}${NBSP}s`
}

// How people write the base units of metrics.
const SYMBOLS: Record<string, string> = { celsius: '°C', volts: 'V', watts: 'W', amperes: 'A', hertz: 'Hz', joules: 'J', bits: 'bit', rpm: 'rpm' }

/** A value in the base unit of its metric, whatever that is. `isRate`: it is a growth per second. */
export function formatBaseUnit(value: number | null | undefined, unit: string, isRate: boolean, locale: Locale): string {
  if (isMissing(value)) return NO_VALUE
  if (unit === 'bytes') return isRate ? formatByteRate(value, locale) : formatBytes(value, locale)
  // Seconds per second are a share of the time.
  if (unit === 'ratio' || (unit === 'seconds' && isRate)) return formatPercent(value, locale)
  if (unit === 'seconds') return formatSeconds(value, locale)
  const symbol = SYMBOLS[unit] ?? unit
  return [formatNumber(value, locale), symbol + (isRate ? '/s' : '')].filter(Boolean).join(isRate && !symbol ? '' : NBSP)
}

/** The size of a change: percentage points for ratios, the unit itself for everything else. */
export function formatDelta(value: number, unit: DisplayUnit, locale: Locale): string {
  const size = Math.abs(value)
  return unit === 'ratio' ? formatPoints(size, locale) : formatUnit(size, unit, locale)
}

/** In the two largest units: "3d 4h", "3일 4시간". Exactly one day is "24h". */
export function formatDuration(seconds: number | null | undefined, locale: Locale): string {
  if (isMissing(seconds)) return NO_VALUE
  const total = Math.max(0, Math.floor(seconds))
  if (total === DAY_S) return unitText(24, 'hour', locale)
  const parts: [number, 'day' | 'hour' | 'minute' | 'second'][] = [
    [Math.floor(total / DAY_S), 'day'],
    [Math.floor(total % DAY_S / HOUR_S), 'hour'],
    [Math.floor(total % HOUR_S / MINUTE_S), 'minute'],
    [total % MINUTE_S, 'second'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return unitText(0, 'second', locale)
  return parts.slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => unitText(count, unit, locale))
    .join(' ')
}

function unitText(count: number, unit: string, locale: Locale): string {
  return cached(`u${locale}${unit}`, () => new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: SHORT_UNITS.has(locale) ? 'short' : 'narrow' })).format(count)
}

export function formatRelative(timeMs: number | null | undefined, nowMs: number, locale: Locale): string {
  if (isMissing(timeMs)) return NO_VALUE
  const format = cached(`r${locale}`, () => new Intl.RelativeTimeFormat(locale, { style: SHORT_AGES.has(locale) ? 'short' : 'narrow', numeric: 'always' }))
  // A clock that runs slightly ahead must not make data come from the future.
  const seconds = Math.max(0, Math.floor((nowMs - timeMs) / 1000))
  if (seconds < MINUTE_S) return format.format(-seconds, 'second').replace('-', '')
  if (seconds < HOUR_S) return format.format(-Math.floor(seconds / MINUTE_S), 'minute')
  if (seconds < DAY_S) return format.format(-Math.floor(seconds / HOUR_S), 'hour')
  return format.format(-Math.floor(seconds / DAY_S), 'day')
}

export function formatExactTime(timeMs: number | null | undefined, locale: Locale, timeZone?: string): string {
  if (isMissing(timeMs)) return NO_VALUE
  return exactTimeFormat(locale, timeZone).format(timeMs)
}

/** The time span of a bucket; the date appears once: "23 Nov 2026, 21:47:20 – 21:51:00". */
export function formatTimeSpan(startMs: number, endMs: number, locale: Locale, timeZone?: string): string {
  return exactTimeFormat(locale, timeZone).formatRange(startMs, endMs)
}

function exactTimeFormat(locale: Locale, timeZone?: string): Intl.DateTimeFormat {
  return cached(`e${locale}${timeZone}`, () => new Intl.DateTimeFormat(locale, {
    year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone,
  }))
}

/** The day of a time: "Thu 26", "26(목)". */
export function formatDay(timeMs: number, locale: Locale, timeZone?: string): string {
  return cached(`w${locale}${timeZone}`, () => new Intl.DateTimeFormat(locale, { weekday: 'short', day: 'numeric', timeZone })).format(timeMs)
}

/** A label on a time axis: the date at midnight, otherwise the time, with seconds if the steps are shorter than a minute. */
export function formatAxisTime(timeMs: number, stepMs: number, locale: Locale, timeZone?: string): string {
  const seconds = stepMs < MINUTE_MS
  const text = cached(`a${locale}${seconds}${timeZone}`, () => new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit', minute: '2-digit', second: seconds ? '2-digit' : undefined, hourCycle: 'h23', timeZone,
  })).format(timeMs)
  if (!/^00:00(:00)?$/.test(text)) return text
  return cached(`m${locale}${timeZone}`, () => new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', timeZone })).format(timeMs)
}

/** A label on a value axis. Axis values are round, so trailing zeros are dropped. */
export function formatAxisValue(value: number, unit: DisplayUnit, locale: Locale): string {
  switch (unit) {
    case 'ratio': return percent(locale, value, 2, true)
    case 'bytes': return formatBytes(value, locale, { trim: true })
    case 'bytes_per_second': return `${formatBytes(value, locale, { trim: true })}/s`
    case 'bits_per_second': {
      const { scaled, unit: bitUnit } = scale(value, 1000, BIT_UNITS)
      return decimal(locale, scaled, 2, true) + NBSP + bitUnit
    }
    case 'per_second': return `${axisNumber(value, locale)}/s`
    case 'seconds': return value >= MINUTE_S ? formatDuration(value, locale) : value < 1 && value !== 0 ? `${axisNumber(value * 1000, locale)}${NBSP}ms` : `${axisNumber(value, locale)}${NBSP}s`
    case 'number': return axisNumber(value, locale)
  }
}

function axisNumber(value: number, locale: Locale): string {
  return Math.abs(value) >= MAX_FOUR_DIGITS ? formatNumber(value, locale) : decimal(locale, value, 2, true)
}
