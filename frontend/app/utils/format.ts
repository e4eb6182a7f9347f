// The only place where values become text. Pure: the locale comes in, so that every function is testable and follows the switch.
// At most four significant digits; a no-break space between number and unit.

export type Locale = 'ko' | 'en'
export type DisplayUnit = 'ratio' | 'bytes' | 'bytes_per_second' | 'bits_per_second' | 'per_second' | 'number'

export const NO_VALUE = '–'

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']
const BIT_UNITS = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']
const NBSP = '\u00A0'
// From here on 1,000 of a unit would round to four digits: take the next unit.
const NEXT_UNIT = 999.5

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

// Making an Intl formatter costs ~20 us, using one ~0.5 us, and a page formats hundreds of values a second.
const cache = new Map<string, unknown>()
function cached<T>(key: string, make: () => T): T {
  let found = cache.get(key) as T | undefined
  if (found === undefined) {
    found = make()
    cache.set(key, found)
  }
  return found
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

function scaled(value: number, base: number, units: string[]): { value: number, unit: string } {
  let index = 0
  let rest = value
  while (Math.abs(rest) >= NEXT_UNIT && index < units.length - 1) {
    rest /= base
    index++
  }
  return { value: rest, unit: units[index]! }
}

function digitsFor(value: number): number {
  const size = Math.abs(value)
  if (size === 0 || size >= 99.95) return 0
  return size < 9.995 ? 2 : 1
}

export interface ByteOptions {
  /** Leave out zeros after the point, for capacities ("8 GiB"); live values keep them, so that their width stays. @default false */
  trim?: boolean
}

export function formatBytes(value: number | null | undefined, locale: Locale, options: ByteOptions = {}): string {
  if (isMissing(value)) return NO_VALUE
  const { value: number, unit } = scaled(value, 1024, BYTE_UNITS)
  return decimal(locale, number, unit === 'B' ? 0 : digitsFor(number), options.trim) + NBSP + unit
}

export function formatByteRate(value: number | null | undefined, locale: Locale): string {
  return isMissing(value) ? NO_VALUE : `${formatBytes(value, locale)}/s`
}

/** Decimal units, as networks are sold: 1 kbit = 1,000 bit. */
export function formatBitRate(value: number | null | undefined, locale: Locale): string {
  if (isMissing(value)) return NO_VALUE
  const { value: number, unit } = scaled(value, 1000, BIT_UNITS)
  return decimal(locale, number, unit === 'bit/s' ? 0 : digitsFor(number)) + NBSP + unit
}

export function formatPercent(ratio: number | null | undefined, locale: Locale): string {
  if (isMissing(ratio)) return NO_VALUE
  const percent = ratio * 100
  return `${decimal(locale, percent, Math.abs(percent) >= 99.95 ? 0 : 1)}%`
}

/** A difference between two ratios, in percentage points. */
export function formatPoints(ratio: number | null | undefined, locale: Locale): string {
  if (isMissing(ratio)) return NO_VALUE
  return decimal(locale, ratio * 100, Math.abs(ratio) >= 0.9995 ? 0 : 1) + (locale === 'ko' ? '%p' : `${NBSP}pp`)
}

export function formatNumber(value: number | null | undefined, locale: Locale): string {
  if (isMissing(value)) return NO_VALUE
  if (Math.abs(value) >= 9_999.5) {
    return cached(`c${locale}`, () => new Intl.NumberFormat(locale, { notation: 'compact', maximumSignificantDigits: 3 })).format(value)
  }
  if (Math.abs(value) >= 999.5) return decimal(locale, value, 0)
  return decimal(locale, value, digitsFor(value), Number.isInteger(value))
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
    case 'number': return formatNumber(value, locale)
  }
}

/** The size of a change: ratios change by percentage points, all else by its own unit. */
export function formatDelta(value: number, unit: DisplayUnit, locale: Locale): string {
  const size = Math.abs(value)
  return unit === 'ratio' ? formatPoints(size, locale) : formatUnit(size, unit, locale)
}

/** The two largest units: "3d 4h", "3일 4시간"; a range of one day is "24h". */
export function formatDuration(seconds: number | null | undefined, locale: Locale): string {
  if (isMissing(seconds)) return NO_VALUE
  const total = Math.max(0, Math.floor(seconds))
  if (total === DAY) return unitText(24, 'hour', locale)
  const parts: [number, 'day' | 'hour' | 'minute' | 'second'][] = [
    [Math.floor(total / DAY), 'day'],
    [Math.floor(total % DAY / HOUR), 'hour'],
    [Math.floor(total % HOUR / MINUTE), 'minute'],
    [total % MINUTE, 'second'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return unitText(0, 'second', locale)
  return parts.slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => unitText(count, unit, locale))
    .join(' ')
}

function unitText(count: number, unit: string, locale: Locale): string {
  return cached(`u${locale}${unit}`, () => new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'narrow' })).format(count)
}

export function formatRelative(timeMs: number | null | undefined, nowMs: number, locale: Locale): string {
  if (isMissing(timeMs)) return NO_VALUE
  const format = cached(`r${locale}`, () => new Intl.RelativeTimeFormat(locale, { style: 'narrow', numeric: 'always' }))
  // A clock that is a little ahead must not say "in 1 second".
  const seconds = Math.max(0, Math.floor((nowMs - timeMs) / 1000))
  if (seconds < MINUTE) return format.format(-seconds, 'second').replace('-', '')
  if (seconds < HOUR) return format.format(-Math.floor(seconds / MINUTE), 'minute')
  if (seconds < DAY) return format.format(-Math.floor(seconds / HOUR), 'hour')
  return format.format(-Math.floor(seconds / DAY), 'day')
}

export function formatExactTime(timeMs: number | null | undefined, locale: Locale, timeZone?: string): string {
  if (isMissing(timeMs)) return NO_VALUE
  return cached(`e${locale}${timeZone}`, () => new Intl.DateTimeFormat(locale, {
    year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone,
  })).format(timeMs)
}

/** A bucket: "23 Nov 2026, 21:47:20 – 21:51:00", the date only once. */
export function formatTimeSpan(startMs: number, endMs: number, locale: Locale, timeZone?: string): string {
  return cached(`s${locale}${timeZone}`, () => new Intl.DateTimeFormat(locale, {
    year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone,
  })).formatRange(startMs, endMs)
}

/** For the axis of a chart: the date at midnight, else hours and minutes, and seconds only when the steps are that small. */
export function formatAxisTime(timeMs: number, stepMs: number, locale: Locale, timeZone?: string): string {
  const seconds = stepMs < 60_000
  const text = cached(`a${locale}${seconds}${timeZone}`, () => new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit', minute: '2-digit', second: seconds ? '2-digit' : undefined, hourCycle: 'h23', timeZone,
  })).format(timeMs)
  if (!/^00:00(:00)?$/.test(text)) return text
  return cached(`m${locale}${timeZone}`, () => new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', timeZone })).format(timeMs)
}

/** For the axis of a chart, where values are round: no zeros after the point. */
export function formatAxisValue(value: number, unit: DisplayUnit, locale: Locale): string {
  switch (unit) {
    case 'ratio': return `${decimal(locale, value * 100, 2, true)}%`
    case 'bytes': return formatBytes(value, locale, { trim: true })
    case 'bytes_per_second': return `${formatBytes(value, locale, { trim: true })}/s`
    case 'bits_per_second': {
      const { value: number, unit: name } = scaled(value, 1000, BIT_UNITS)
      return decimal(locale, number, 2, true) + NBSP + name
    }
    case 'per_second': return `${axisNumber(value, locale)}/s`
    case 'number': return axisNumber(value, locale)
  }
}

function axisNumber(value: number, locale: Locale): string {
  return Math.abs(value) >= 9_999.5 ? formatNumber(value, locale) : decimal(locale, value, 2, true)
}
