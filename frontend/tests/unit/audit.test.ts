import { expect, it } from 'vitest'
import { changesOf } from '~/utils/audit'

const time = (timeMs: number): string => new Date(timeMs).toISOString()

it('shows what was changed, added and removed', () => {
  const entry = { before: { role: 'viewer', note: 'old' }, after: { role: 'admin', tags: { team: 'web' } } }
  expect(changesOf(entry, time)).toEqual(['role: viewer → admin', 'note: old', 'tags: {"team":"web"}'])
  expect(changesOf({ before: null, after: null }, time)).toEqual([])
})

it('writes times as times, and numbers as numbers', () => {
  const entry = { before: { expires_ms: 0, uses: 1 }, after: { expires_ms: 1_750_000_060_000, uses: 2 } }
  expect(changesOf(entry, time)).toEqual(['expires_ms: 0 → 2025-06-15T15:07:40.000Z', 'uses: 1 → 2'])
})
