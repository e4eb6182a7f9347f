import { expect, it } from 'vitest'
import { panned, pinched, within, zoomed } from '~/utils/chart/gesture'

const MINUTE_MS = 60_000

it('moves the axis by a share of its length', () => {
  expect(panned([1_000, 2_000], 0.25)).toEqual([750, 1_750])
  expect(panned([1_000, 2_000], -1)).toEqual([2_000, 3_000])
})

it('zooms around the time that stays', () => {
  expect(zoomed([0, 4 * MINUTE_MS], 0, 0.5)).toEqual([0, 2 * MINUTE_MS])
  expect(zoomed([0, 4 * MINUTE_MS], 0.5, 2)).toEqual([-2 * MINUTE_MS, 6 * MINUTE_MS])
  const [from, to] = zoomed([0, MINUTE_MS], 1, 0.001)
  expect([from, to]).toEqual([MINUTE_MS - 10_000, MINUTE_MS])
})

it('keeps what lies under two fingers', () => {
  // Twice as far apart: half the time. The middle of the fingers moves from 0.5 to 0.6.
  const [from, to] = pinched([0, 100 * MINUTE_MS], [0.4, 0.6], [0.4, 0.8])!
  expect(from).toBeCloseTo(20 * MINUTE_MS)
  expect(to).toBeCloseTo(70 * MINUTE_MS)
  expect(from + 0.4 * (to - from)).toBeCloseTo(40 * MINUTE_MS)
  expect(from + 0.8 * (to - from)).toBeCloseTo(60 * MINUTE_MS)
  expect(pinched([0, MINUTE_MS], [0.4, 0.6], [0.5, 0.505])).toBeNull()
})

it('stays within what is there', () => {
  expect(within([-10, 10], [0, 100])).toEqual([0, 20])
  expect(within([95, 115], [0, 100])).toEqual([80, 100])
  expect(within([-50, 200], [0, 100])).toEqual([0, 100])
  expect(within([-50, 200], [-Infinity, 100])).toEqual([-150, 100])
})
