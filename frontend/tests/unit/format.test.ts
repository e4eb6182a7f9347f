import { describe, expect, it } from 'vitest'
import {
  NO_VALUE, formatAxisTime, formatAxisValue, formatBitRate, formatByteRate, formatBytes, formatDelta, formatDuration, formatExactTime,
  formatNumber, formatPercent, formatPoints, formatRelative, formatShare, formatUnit,
} from '~/utils/format'
import type { Locale } from '~/utils/languages'

/** Replaces no-break spaces with spaces. */
const plain = (text: string) => text.replace(/[\u00A0\u202F]/g, ' ')

describe('bytes', () => {
  it.each([
    [0, '0 B'], [999, '999 B'], [1000, '0.98 KiB'], [1024, '1.00 KiB'], [1536, '1.50 KiB'], [10 * 1024, '10.0 KiB'],
    [150 * 1024 ** 2, '150 MiB'], [999.4 * 1024, '999 KiB'], [1023 * 1024, '1.00 MiB'], [8 * 1024 ** 3, '8.00 GiB'],
    [2.5 * 1024 ** 4, '2.50 TiB'], [2 ** 80, '1,048,576 EiB'], [-2048, '-2.00 KiB'],
  ])('%d is %s', (value, text) => expect(plain(formatBytes(value, 'en'))).toBe(text))

  it('drops trailing zeros of capacities', () => {
    expect(plain(formatBytes(8 * 1024 ** 3, 'ko', { trim: true }))).toBe('8 GiB')
    expect(plain(formatBytes(7.75 * 1024 ** 3, 'ko', { trim: true }))).toBe('7.75 GiB')
  })

  it.each([null, undefined, NaN, Infinity])('%s is no value', value => expect(formatBytes(value, 'ko')).toBe(NO_VALUE))
  it('can be a rate', () => expect(plain(formatByteRate(1536, 'en'))).toBe('1.50 KiB/s'))
})

describe('bit rates are decimal', () => {
  it.each([[0, '0 bit/s'], [999, '999 bit/s'], [1000, '1.00 kbit/s'], [1e9, '1.00 Gbit/s'], [94.27e6, '94.3 Mbit/s']])('%d is %s', (value, text) => {
    expect(plain(formatBitRate(value, 'en'))).toBe(text)
  })
})

describe('percent', () => {
  it.each([[0, '0.0%'], [0.0743, '7.4%'], [0.99949, '99.9%'], [0.9995, '100%'], [1, '100%']])('%d is %s', (ratio, text) => {
    expect(formatPercent(ratio, 'en')).toBe(text)
  })
  it('changes in percentage points', () => {
    expect(formatPoints(0.032, 'ko')).toBe('3.2%p')
    expect(plain(formatPoints(0.032, 'en'))).toBe('3.2 pp')
    expect(plain(formatDelta(-0.032, 'ratio', 'en'))).toBe('3.2 pp')
    expect(plain(formatDelta(-2048, 'bytes', 'en'))).toBe('2.00 KiB')
  })
})

describe('numbers have at most four digits', () => {
  it.each([[0, '0'], [3, '3'], [0.4, '0.40'], [1.234, '1.23'], [12.34, '12.3'], [123.4, '123'], [1234.4, '1,234'], [9999, '9,999'], [12_345, '12.3K']])('%d is %s', (value, text) => {
    expect(formatNumber(value, 'en')).toBe(text)
  })
  it('are counted in ten thousands in Korean', () => expect(formatNumber(12_345, 'ko')).toBe('1.23만'))
})

describe('durations', () => {
  it.each([
    [0, '0s', '0초'], [59, '59s', '59초'], [60, '1m', '1분'], [3_661, '1h 1m', '1시간 1분'], [86_400, '24h', '24시간'],
    [3 * 86_400 + 4 * 3_600 + 59, '3d 4h', '3일 4시간'], [86_400 * 2 + 30, '2d', '2일'], [-5, '0s', '0초'],
  ])('%d s is %s, %s', (seconds, en, ko) => {
    expect(formatDuration(seconds, 'en')).toBe(en)
    expect(formatDuration(seconds, 'ko')).toBe(ko)
  })
})

describe('times', () => {
  const now = Date.UTC(2026, 10, 23, 12, 0, 0)
  it.each([[0, '0s ago', '0초 전'], [3_000, '3s ago', '3초 전'], [61_000, '1m ago', '1분 전'], [7_200_000, '2h ago', '2시간 전'], [86_400_000 * 3, '3d ago', '3일 전']])('%d ms before now is %s, %s', (age, en, ko) => {
    expect(formatRelative(now - age, now, 'en')).toBe(en)
    expect(formatRelative(now - age, now, 'ko')).toBe(ko)
  })
  it('are never in the future', () => expect(formatRelative(now + 5_000, now, 'en')).toBe(formatRelative(now, now, 'en')))
  it('can be exact', () => {
    expect(formatExactTime(now, 'ko', 'Asia/Seoul')).toBe('2026년 11월 23일 21:00:00')
    expect(formatExactTime(now, 'en', 'UTC')).toBe('Nov 23, 2026, 12:00:00')
  })
  it('have seconds on an axis only for short steps, and a date at midnight', () => {
    expect(formatAxisTime(now, 300_000, 'en', 'UTC')).toBe('12:00')
    expect(formatAxisTime(now, 5_000, 'en', 'UTC')).toBe('12:00:00')
    expect(formatAxisTime(now, 300_000, 'ko', 'Asia/Seoul')).toBe('21:00')
    expect(formatAxisTime(Date.UTC(2026, 10, 23), 3_600_000, 'ko', 'UTC')).toBe('11월 23일')
  })
})

it('formats by unit, shorter on an axis', () => {
  expect(formatUnit(0.5, 'ratio', 'en')).toBe('50.0%')
  expect(formatAxisValue(0.5, 'ratio', 'en')).toBe('50%')
  expect(plain(formatAxisValue(4 * 1024 ** 3, 'bytes', 'en'))).toBe('4 GiB')
  expect(plain(formatAxisValue(1.5e6, 'bits_per_second', 'en'))).toBe('1.5 Mbit/s')
  expect(formatAxisValue(0.5, 'number', 'en')).toBe('0.5')
})

it.each<[Locale, string, string, string, string, string]>([
  ['de', '1,43 GiB', '50,0 %', '3,2 PP', '1 Tg. 2 Std.', 'vor 5 Min.'],
  ['es', '1,43 GiB', '50,0 %', '3,2 p. p.', '1d 2h', 'hace 5 min'],
  ['fr', '1,43 Gio', '50,0 %', '3,2 pts', '1j 2h', 'il y a 5 min'],
  ['pt-BR', '1,43 GiB', '50,0%', '3,2 p.p.', '1 dia 2 h', 'há 5 min.'],
  ['ja', '1.43 GiB', '50.0%', '3.2 pt', '1 日 2 時間', '5分前'],
  ['zh-CN', '1.43 GiB', '50.0%', '3.2个百分点', '1天 2小时', '5分钟前'],
])('writes values as %s does', (locale, bytes, percent, points, duration, age) => {
  const texts = [formatBytes(1_536_000_000, locale), formatPercent(0.5, locale), formatPoints(0.032, locale), formatDuration(93_784, locale), formatRelative(0, 300_000, locale)]
  expect(texts.map(plain)).toEqual([bytes, percent, points, duration, age])
})

it('calls a share 100% only if it is all', () => {
  expect([0.99999, 1, 0.5, null].map(share => plain(formatShare(share, 'en')))).toEqual(['99.9%', '100%', '50.0%', NO_VALUE])
})
