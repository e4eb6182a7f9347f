import { describe, expect, it } from 'vitest'
import { fromLocalInput, isTimeZone, toLocalInput } from '~/utils/localTime'

const SUMMER = Date.UTC(2026, 6, 1, 12)

it('knows zones', () => {
  expect(['UTC', 'Asia/Seoul', '', 'Mars/Olympus'].map(isTimeZone)).toEqual([true, true, false, false])
})

describe('a time in a zone', () => {
  it('has its fields', () => {
    expect(toLocalInput(SUMMER, 'Asia/Seoul')).toBe('2026-07-01T21:00:00')
    expect(toLocalInput(SUMMER, 'America/New_York')).toBe('2026-07-01T08:00:00')
    expect(toLocalInput(SUMMER, 'UTC')).toBe('2026-07-01T12:00:00')
  })

  it('comes back', () => {
    for (const zone of ['Asia/Seoul', 'America/New_York', 'Asia/Kathmandu', 'UTC', undefined]) {
      for (const time of [SUMMER, Date.UTC(2026, 0, 1), Date.UTC(2026, 2, 8, 6, 59, 59), Date.UTC(2026, 2, 8, 7)]) {
        expect(fromLocalInput(toLocalInput(time, zone), zone), `${zone} ${time}`).toBe(time)
      }
    }
  })

  it('is later if the clocks skip it, and the first if it comes twice', () => {
    expect(fromLocalInput('2026-03-08T02:30', 'America/New_York')).toBe(Date.UTC(2026, 2, 8, 7, 30))
    expect(fromLocalInput('2026-11-01T01:30', 'America/New_York')).toBe(Date.UTC(2026, 10, 1, 5, 30))
  })

  it('is null as long as it is incomplete', () => {
    expect([fromLocalInput(''), fromLocalInput('2026-07-', 'UTC')]).toEqual([null, null])
  })
})
