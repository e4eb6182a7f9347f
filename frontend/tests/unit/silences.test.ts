import { describe, expect, it } from 'vitest'
import type { Silence, SilenceInfo } from '~/api/silences'
import { DAYS, newSilence, silenceForm, sortSilences, stateOfSilence, toSilence, windowsOf } from '~/utils/silences'
import { TagSyntaxError } from '~/utils/tags'

const HOUR_MS = 3_600_000
const NOW = 1_790_000_000_000
const info = (id: number, silence: Silence, until: number | null = null): SilenceInfo => ({ id, silence, active_until_ms: until, created_by: 'kim', created_ms: id })

describe('the form of a silence', () => {
  it('begins now, and lasts as long as it says', () => {
    const form = { ...newSilence(NOW, 'Asia/Seoul'), length: '2h' as const, names: 'web-*, db-01,', tags: 'role=web', rules: 'Disk *', comment: ' upgrade ' }
    expect(toSilence(form, NOW + 5, null)).toEqual({
      kind: 'silence', comment: 'upgrade', scope: { names: ['web-*', 'db-01'], tags: { role: 'web' } }, rules: ['Disk *'],
      starts_ms: NOW + 5, ends_ms: NOW + 5 + 2 * HOUR_MS, weekly: null,
    })
  })

  it('says a window of every week', () => {
    const form = { ...newSilence(NOW, 'Asia/Seoul'), when: 'weekly' as const, days: ['sat', 'sun'] as const, start: '03:30', duration: ' 90m ' }
    expect(toSilence(form, NOW, null)).toMatchObject({ starts_ms: 0, ends_ms: null, weekly: { days: ['sat', 'sun'], start: '03:30', duration: '90m', timezone: 'Asia/Seoul' } })
  })

  it('keeps what it does not show, and whatever was not changed', () => {
    const weekly: Silence = {
      kind: 'maintenance', comment: 'backup', scope: { servers: [3], names: ['db-*'], tags: {}, without_names: ['db-99'] }, rules: [], severities: ['info'], series: 'disk*',
      starts_ms: NOW - HOUR_MS, ends_ms: null, weekly: { days: [...DAYS], start: '02:00', duration: '2h', timezone: 'UTC' },
    }
    expect(toSilence(silenceForm(weekly, NOW, 'Asia/Seoul'), NOW, weekly)).toEqual(weekly)
    const between: Silence = { ...weekly, weekly: null, starts_ms: NOW, ends_ms: NOW + HOUR_MS }
    expect(toSilence(silenceForm(between, NOW, 'UTC'), NOW, between)).toEqual(between)
  })

  it('does not take tags that are none', () => {
    expect(() => toSilence({ ...newSilence(NOW, 'UTC'), tags: 'web' }, NOW, null)).toThrow(TagSyntaxError)
  })
})

it('shows what is silent now first, then what comes, then what is over', () => {
  const list = [info(1, { ends_ms: NOW - 1 }), info(2, { starts_ms: NOW + 1, ends_ms: NOW + 2 }), info(3, { ends_ms: NOW + 9 }, NOW + 9), info(4, { ends_ms: NOW }), info(5, { weekly: null, ends_ms: null })]
  expect(list.map(item => stateOfSilence(item, NOW))).toEqual(['over', 'scheduled', 'active', 'over', 'scheduled'])
  expect(sortSilences(list, NOW).map(({ id }) => id)).toEqual([3, 5, 2, 4, 1])
})

describe('when a silence is active', () => {
  const MONDAY = Date.UTC(2026, 10, 23)
  const DAY_MS = 24 * HOUR_MS
  const hours = (silence: Silence, days = 7) => windowsOf(silence, MONDAY, MONDAY + days * DAY_MS).map(({ fromMs, toMs }) => [(fromMs - MONDAY) / HOUR_MS, (toMs - MONDAY) / HOUR_MS])

  it('is between two times, as far as one looks', () => {
    expect(hours({ starts_ms: MONDAY + HOUR_MS, ends_ms: MONDAY + 3 * HOUR_MS })).toEqual([[1, 3]])
    expect(hours({ starts_ms: 0, ends_ms: null })).toEqual([[0, 168]])
    expect(hours({ starts_ms: 0, ends_ms: MONDAY })).toEqual([])
  })
  it('is every week at a local time, also if it began before', () => {
    expect(hours({ weekly: { days: ['mon', 'sun'], start: '22:00', duration: '4h', timezone: 'UTC' } })).toEqual([[0, 2], [22, 26], [166, 168]])
    expect(hours({ weekly: { days: ['tue'], start: '03:30', duration: '1h30m', timezone: 'Asia/Seoul' } })).toEqual([[18.5, 20]])
    expect(hours({ weekly: { start: '00:00', duration: '1h', timezone: 'UTC' } }, 2)).toEqual([[0, 1], [24, 25]])
  })
  it('is no longer than the silence', () => {
    expect(hours({ starts_ms: MONDAY + 24.5 * HOUR_MS, ends_ms: MONDAY + 2 * DAY_MS, weekly: { start: '00:00', duration: '1h', timezone: 'UTC' } })).toEqual([[24.5, 25]])
  })
  it('counts whole days by the calendar', () => {
    // In New York, the clocks go back on 1 November 2026: that day has 25 hours.
    const saturday = Date.UTC(2026, 9, 31, 4)
    const [window] = windowsOf({ weekly: { days: ['sun'], start: '00:00', duration: '1d', timezone: 'America/New_York' } }, saturday, saturday + 3 * DAY_MS)
    expect((window!.toMs - window!.fromMs) / HOUR_MS).toBe(25)
  })
})
