import type { InternalAxiosRequestConfig } from 'axios'
import { AxiosHeaders, CanceledError } from 'axios'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { configureClient } from '~/api/client'
import { client } from '~/api/generated/client.gen'
import { fetchHistoryShared } from '~/api/histories'
import type { HistoryQuery } from '~/api/metrics'

/** The requests that were made: method, path, queries. */
let requests: { method: string, path: string, queries: HistoryQuery[], signal: InternalAxiosRequestConfig['signal'] }[]

// Replaces HTTP: each answer holds the metric that was asked for.
async function adapter(config: InternalAxiosRequestConfig) {
  const url = new URL(client.instance.getUri(config), 'http://bongsu.test')
  const queries: HistoryQuery[] = config.data ? JSON.parse(config.data as string).queries : [{ metric: url.searchParams.getAll('metric') }]
  requests.push({ method: config.method ?? '', path: url.pathname, queries, signal: config.signal })
  await new Promise((resolve, reject) => {
    setTimeout(resolve, 100)
    config.signal?.addEventListener?.('abort', () => reject(new CanceledError()))
  })
  const answers = queries.map(({ metric }) => (metric?.[0] === 'bad' ? { error: { code: 'invalid_input', message: 'bad', field: 'metric', limit: null } } : { series: metric }))
  return { status: 200, statusText: '', headers: new AxiosHeaders(), config, data: config.data ? { answers } : answers[0] }
}

const ask = (metric: string, signal = new AbortController().signal) => fetchHistoryShared({ metric: [metric] }, signal)

beforeEach(() => {
  vi.useFakeTimers()
  configureClient('http://bongsu.test')
  client.setConfig({ adapter })
  requests = []
})
afterEach(() => vi.useRealTimers())

describe('histories that are asked for together', () => {
  it('make one request, in which each query is once', async () => {
    const answers = Promise.all([ask('a'), ask('b'), ask('a'), ask('c')])
    await vi.runAllTimersAsync()
    expect((await answers).map(({ series }) => series)).toEqual([['a'], ['b'], ['a'], ['c']])
    expect(requests.map(({ method, path, queries }) => [method, path, queries.map(({ metric }) => metric?.[0])])).toEqual([
      ['post', '/api/metrics/histories', ['a', 'b', 'c']],
    ])
  })

  it('are asked for as usual when there is only one, and again later', async () => {
    for (let i = 0; i < 2; i++) {
      const answer = ask('a')
      await vi.runAllTimersAsync()
      expect((await answer).series).toEqual(['a'])
    }
    expect(requests.map(({ method, path }) => [method, path])).toEqual([['get', '/api/metrics/history'], ['get', '/api/metrics/history']])
  })

  it('make several requests when they are too many or too large for one', async () => {
    const many = Promise.all(Array.from({ length: 70 }, (_, i) => ask(`m${i}`)))
    await vi.runAllTimersAsync()
    await many
    expect(requests.map(({ queries }) => queries.length)).toEqual([60, 10])
    requests = []
    const large = Promise.all(['a', 'b', 'c'].map(letter => ask('가'.repeat(7_000) + letter)))
    await vi.runAllTimersAsync()
    await large
    expect(requests.map(({ queries }) => queries.length)).toEqual([2, 1])
  })

  it('fail one by one', async () => {
    const answers = Promise.allSettled([ask('a'), ask('bad')])
    await vi.runAllTimersAsync()
    const [good, bad] = await answers
    expect(good.status).toBe('fulfilled')
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'invalid_input', message: 'bad', field: 'metric' } })
  })

  it('are aborted when nobody waits for any of them', async () => {
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()]
    const answers = Promise.allSettled([ask('a', first.signal), ask('a', second.signal), ask('b', third.signal)])
    await vi.advanceTimersByTimeAsync(20)
    first.abort()
    third.abort()
    expect(requests[0]!.signal!.aborted).toBe(false)
    second.abort()
    expect(requests[0]!.signal!.aborted).toBe(true)
    await vi.runAllTimersAsync()
    expect((await answers).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  })

  it('are not asked for when nobody waits any more before they are sent', async () => {
    const gone = new AbortController()
    void ask('a', gone.signal)
    const answer = ask('b')
    gone.abort()
    await vi.runAllTimersAsync()
    await answer
    expect(requests.map(({ queries }) => queries)).toEqual([[{ metric: ['b'] }]])
  })
})
