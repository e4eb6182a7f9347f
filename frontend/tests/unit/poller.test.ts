import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Poller, backoffMs, nextPollDelay } from '~/utils/poller'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe('the next poll', () => {
  it('happens just after the next frame is due', () => expect(nextPollDelay(10_000, 12_000, 10_000)).toBe(8_400))
  it('does not speed up when a frame is overdue', () => expect(nextPollDelay(10_000, 25_000, 10_000)).toBe(10_000))
  it('happens at least every 10 s and at most once a second', () => {
    expect(nextPollDelay(null, 0, 60_000)).toBe(10_000)
    expect(nextPollDelay(null, 0, 100)).toBe(1_000)
    expect(nextPollDelay(1_000, 1_950, 1_000)).toBe(500)
  })
})

it('waits longer after each failure, up to 30 s', () => {
  expect([1, 2, 3, 6, 20].map(count => backoffMs(count, 0))).toEqual([1_000, 2_000, 4_000, 30_000, 30_000])
  expect(backoffMs(3, 1)).toBe(3_000)
})

describe('the poller', () => {
  it('runs repeatedly, backs off after failures and recovers', async () => {
    let failing = false
    const task = vi.fn(async () => { if (failing) throw new Error('away') })
    const onFailure = vi.fn()
    const poller = new Poller({ task, delayMs: () => 5_000, onFailure, random: () => 0 })
    poller.start()
    await vi.advanceTimersByTimeAsync(0)
    expect(task).toHaveBeenCalledTimes(1)
    failing = true
    await vi.advanceTimersByTimeAsync(5_000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(onFailure.mock.calls.map(call => call.slice(1))).toEqual([[1, 1_000], [2, 2_000]])
    failing = false
    await vi.advanceTimersByTimeAsync(2_000)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(task).toHaveBeenCalledTimes(5)
    poller.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(task).toHaveBeenCalledTimes(5)
  })

  it('runs the task once at a time, and once more if asked while it is running', async () => {
    const finish: (() => void)[] = []
    const task = vi.fn(() => new Promise<void>(resolve => finish.push(resolve)))
    const poller = new Poller({ task, delayMs: () => 5_000 })
    poller.start()
    poller.runNow()
    poller.stop()
    poller.start()
    expect(task).toHaveBeenCalledTimes(1)
    finish[0]!()
    await vi.advanceTimersByTimeAsync(0)
    expect(task).toHaveBeenCalledTimes(2)
    poller.stop()
  })
})
