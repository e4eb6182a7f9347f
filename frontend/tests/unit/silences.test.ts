import { describe, expect, it } from 'vitest'
import type { Silence, SilenceInfo } from '~/api/silences'
import { DAYS, newSilence, silenceForm, sortSilences, stateOfSilence, toSilence } from '~/utils/silences'
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
