import { expect, it } from 'vitest'
import type { Health } from '~/api/health'
import { dropsOf, ingestRates } from '~/utils/activity'

function health(upSeconds: number, framesTotal: number, changes: Partial<Health> = {}): Health {
  return {
    status: 'ok',
    time_ms: 1_750_000_000_000 + upSeconds * 1000,
    uptime_seconds: upSeconds,
    ingest: { frames_total: framesTotal, samples_total: framesTotal * 150, duplicates_total: 0, rejected_total: {}, samples_refused_total: {}, queued_bytes: 0 },
    ...changes,
  }
}

it('gives the rate since the answer before', () => {
  expect(ingestRates(health(120, 1_400), health(100, 1_000))).toEqual({ frames: 20, samples: 3_000 })
})

it('gives the rate since the start when there is no answer before, or another API server gave it', () => {
  const sinceStart = { frames: 10, samples: 1_500 }
  expect(ingestRates(health(100, 1_000), null)).toEqual(sinceStart)
  // It started five seconds later.
  const other = health(50, 9_000)
  expect(ingestRates(health(100, 1_000), { ...other, time_ms: other.time_ms + 5_000 })).toEqual(sinceStart)
  expect(ingestRates(health(100, 1_000), health(100, 1_000))).toEqual(sinceStart)
  expect(ingestRates({ status: 'ok', time_ms: 0 }, null)).toBeNull()
})

it('lists what was dropped, most first', () => {
  const { ingest } = health(1, 0)
  const dropping = health(1, 0, {
    ingest: { ...ingest!, rejected_total: { wrong_frame_length: 3, unauthenticated: 0 }, samples_refused_total: { too_old: 70 } },
    live: { clients: 1, streams: 1, messages_total: 9, dropped_frames_total: 5, closed_total: {} },
    refused_total: { too_many_requests: 4 },
  })
  expect(dropsOf(dropping)).toEqual([
    { what: 'samples', code: 'too_old', count: 70 },
    { what: 'live', code: '', count: 5 },
    { what: 'early', code: 'too_many_requests', count: 4 },
    { what: 'requests', code: 'wrong_frame_length', count: 3 },
  ])
  expect(dropsOf({ status: 'ok', time_ms: 0 })).toEqual([])
})
