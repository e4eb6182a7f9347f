import type { InternalAxiosRequestConfig } from 'axios'
import { AxiosError, AxiosHeaders } from 'axios'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { current, history, servers } from '../answers/metrics'
import { configureClient } from '~/api/client'
import type { CurrentMetrics } from '~/api/metrics'
import type { ServerEvent } from '~/api/events'
import { client } from '~/api/generated/client.gen'
import { useEventsStore } from '~/stores/events'
import { useMetricsStore } from '~/stores/metrics'
import { sortServers, useServersStore } from '~/stores/servers'

const NOW = Date.UTC(2026, 10, 23, 12)
type Answer = (url: URL) => object | { status: number, body: unknown } | 'unreachable'

let answer: Answer
let requests: URL[]

// Replaces HTTP: the generated client and everything above it are real.
async function adapter(config: InternalAxiosRequestConfig) {
  const url = new URL(client.instance.getUri(config), 'http://bongsu.test')
  requests.push(url)
  const result = answer(url)
  if (result === 'unreachable') throw new AxiosError('Network Error', 'ERR_NETWORK', config)
  const failed = 'status' in result && 'body' in result
  const response = { status: failed ? result.status : 200, statusText: '', headers: new AxiosHeaders(), config, data: failed ? result.body : result }
  if (failed) throw new AxiosError('Request failed', undefined, config, undefined, response)
  return response
}

const api: Answer = (url) => {
  if (url.pathname === '/api/servers') return servers(NOW)
  if (url.pathname === '/api/metrics/current') return current(url.searchParams, NOW)
  return history(url.searchParams, NOW)
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW - 5_000 })
  setActivePinia(createPinia())
  configureClient('http://bongsu.test')
  client.setConfig({ adapter })
  answer = api
  requests = []
})
afterEach(() => vi.useRealTimers())

describe('servers', () => {
  it('are sorted by state, then by name', async () => {
    const store = useServersStore()
    expect(store.loaded).toBe(false)
    await store.refresh()
    expect(store.servers.map(server => server.state).slice(0, 3)).toEqual(['down', 'late', 'up'])
    expect(store.notUp).toHaveLength(2)
    expect(store.get(2)?.name).toBe('db-primary')
  })
  it('are fetched page by page, with an unknown interval replaced by 10 s', async () => {
    const all = (servers(NOW) as { servers: { interval_ms: number }[] }).servers
    answer = url => (url.searchParams.has('cursor')
      ? { servers: all.slice(3), next: null }
      : { servers: all.slice(0, 3).map(server => ({ ...server, interval_ms: 0 })), next: '3' })
    const store = useServersStore()
    await store.refresh()
    expect(requests.map(url => url.search)).toEqual(['?retired=true', '?cursor=3&retired=true'])
    expect(store.servers).toHaveLength(7)
    expect(store.get(1)?.interval_ms).toBe(10_000)
  })
  it('are not loaded because the live stream tells of some', () => {
    const store = useServersStore()
    expect(store.applyStates(new Map([[1, { state: 'up', lastSeenMs: NOW }]]))).toBe(false)
    expect([store.loaded, store.all]).toEqual([false, []])
  })

  it('know the only one, whose page is the home', async () => {
    const store = useServersStore()
    await store.refresh()
    expect(store.only).toBeNull()
    store.apply([store.get(3)!])
    expect(store.only?.id).toBe(3)
  })
  it('are sorted without changing the given list', () => {
    const list = [...(servers(NOW) as { servers: Parameters<typeof sortServers>[0] }).servers]
    const ids = list.map(({ id }) => id)
    sortServers(list)
    expect(list.map(({ id }) => id)).toEqual(ids)
  })
})

describe('metrics', () => {
  const request = { serverId: 1, metrics: ['cpu_usage_ratio'], rangeMs: 900_000, endMs: null, maxPoints: 400 }

  it('fetch a window once and append live frames to it', async () => {
    const store = useMetricsStore()
    await store.openWindow('w', request)
    expect(requests[0]?.search).toBe('?server=1&metric=cpu_usage_ratio&start=-900s&end=now&max_points=400')
    const window = store.windows.get('w')!
    expect(window.status).toBe('ready')
    const frame = current(new URLSearchParams({ server: '1' }), NOW + 20_000) as CurrentMetrics
    store.applyCurrent(frame, 10_000)
    const data = store.windows.get('w')!.data
    expect(data.endMs).toBe(frame.servers[0]!.time_ms)
    expect(data.series[0]!.times.at(-1)).toBe(data.endMs)
    store.applyCurrent(frame, 10_000)
    expect(store.windows.get('w')!.data).toBe(data)
  })

  it('end the history of a server that is down with its last frame, and append nothing', async () => {
    const store = useMetricsStore()
    await store.openWindow('w', { ...request, endMs: NOW - 3_600_000 })
    expect(requests[0]?.searchParams.get('start')).toBe(String(NOW - 4_500_000))
    expect(requests[0]?.searchParams.get('end')).toBe(String(NOW - 3_600_000 + 1))
    const { data } = store.windows.get('w')!
    store.applyCurrent(current(new URLSearchParams({ server: '1' }), NOW) as CurrentMetrics, 10_000)
    expect(store.windows.get('w')!.data).toBe(data)
  })

  it('show the parts of a server that several streams bring, and forget those that end', () => {
    const store = useMetricsStore()
    const gauge = (metric: string, value: number) => ({ metric, labels: {}, unit: '', kind: 'gauge' as const, value, rate: null })
    const frame = { serverId: 1, timeMs: NOW, intervalMs: 1_000 }
    store.applyFrame({ ...frame, stream: 1, series: [gauge('a', 1), gauge('b', 2)] })
    store.applyFrame({ ...frame, stream: 2, timeMs: NOW + 1, series: [gauge('b', 3), gauge('c', 4)] })
    const values = () => Object.fromEntries([...store.snapshots.get(1)!.byMetric].map(([metric, series]) => [metric, series.map(item => item.value)]))
    expect(values()).toEqual({ a: [1], b: [3], c: [4] })
    expect(store.snapshots.get(1)!.timeMs).toBe(NOW + 1)
    store.keepStreams(1, [2])
    expect(values()).toEqual({ b: [3], c: [4] })
  })

  it('add frames that arrived while the history was fetched', async () => {
    const store = useMetricsStore()
    const pending = store.openWindow('w', request)
    const late = current(new URLSearchParams({ server: '1' }), NOW + 20_000) as CurrentMetrics
    store.applyCurrent(late, 10_000)
    await pending
    expect(store.windows.get('w')!.data.series[0]!.times.at(-1)).toBe(late.servers[0]!.time_ms)
  })

  it('tell where the values come from', () => {
    const store = useMetricsStore()
    expect(store.status).toBe('connecting')
    store.markSuccess('polling')
    expect(store.status).toBe('live')
    store.markStreamLost(2)
    expect(store.status).toBe('polling')
    store.markSuccess('stream')
    expect(store.status).toBe('live')
    store.behind = true
    expect(store.status).toBe('delayed')
    store.markStreamLost(0)
    expect(store.status).toBe('reconnecting')
    store.markFailure(new Error('x'), 3, 1_000)
    expect(store.status).toBe('offline')
    store.markSuccess('stream')
    expect(store.status).toBe('live')
  })

  it('use the clock of the API server', async () => {
    const store = useMetricsStore()
    await store.refreshCurrent(1, 10_000)
    expect(store.clockOffsetMs).toBe(5_000)
    expect(store.snapshots.get(1)?.byMetric.has('cpu_usage_ratio')).toBe(true)
  })

  it('keep the old values and the error when a later fetch fails', async () => {
    const store = useMetricsStore()
    await store.openWindow('w', request)
    const { data } = store.windows.get('w')!
    answer = () => ({ status: 503, body: { error: { code: 'disk_full', message: 'The disk is full.', field: null, limit: null } } })
    await store.refetchWindows()
    expect(store.windows.get('w')).toMatchObject({ status: 'ready', error: { code: 'disk_full', status: 503 } })
    expect(store.windows.get('w')!.data).toBe(data)
  })

  it('tell an unreachable API server from one that fails', async () => {
    const store = useMetricsStore()
    answer = () => 'unreachable'
    await store.openWindow('a', request)
    expect(store.windows.get('a')).toMatchObject({ status: 'error', error: { code: 'network', status: null } })
    answer = () => ({ status: 502, body: '<html>' })
    await store.openWindow('b', request)
    expect(store.windows.get('b')).toMatchObject({ status: 'error', error: { code: 'http_502' } })
  })

  it('forget a closed window, even if its answer arrives later', async () => {
    const store = useMetricsStore()
    const opened = store.openWindow('w', request)
    store.closeWindow('w')
    await opened
    expect(store.windows.size).toBe(0)
  })

  it('go from live to reconnecting to offline and back', () => {
    const store = useMetricsStore()
    expect(store.status).toBe('connecting')
    store.markSuccess()
    expect(store.status).toBe('live')
    store.markFailure(new Error('x'), 1, 1_000)
    expect(store.status).toBe('reconnecting')
    store.markFailure(new Error('x'), 3, 4_000)
    expect(store).toMatchObject({ status: 'offline', retryAtMs: NOW - 1_000, lastAnswerMs: NOW - 5_000 })
    store.markSuccess()
    expect(store).toMatchObject({ status: 'live', retryAtMs: null, lastError: null })
  })
})

describe('events', () => {
  const event = (id: number, serverId = 1): ServerEvent => ({
    id, time_ms: NOW + id * 1_000, server_id: serverId, server_name: 'web-1', type: 'server_up', alert_id: null, rule_name: '', severity: null, series: '', before: '', after: '',
  })
  /** The events `count` to 1, in pages of 100. */
  const pages = (count: number): Answer => (url) => {
    const newest = Number(url.searchParams.get('cursor') ?? count)
    const ids = Array.from({ length: Math.min(100, newest) }, (_, i) => newest - i)
    return { events: ids.map(id => event(id)), next: newest > 100 ? String(newest - 100) : null }
  }
  const ids = () => useEventsStore().events.map(item => item.id)

  it('are fetched newest first, and further back on request', async () => {
    const store = useEventsStore()
    answer = pages(150)
    await store.open(1)
    expect(requests[0]?.searchParams.get('server')).toBe('1')
    expect([ids()[0], ids().length, store.cursor, store.status]).toEqual([150, 100, '50', 'ready'])
    await store.loadMore()
    expect([ids().at(-1), ids().length, store.cursor]).toEqual([1, 150, null])
    await store.loadMore()
    expect(requests).toHaveLength(2)
  })

  it('are fetched as far back as a chart shows them', async () => {
    const store = useEventsStore()
    answer = pages(1_000)
    await store.open(1)
    await store.cover(NOW + 650_000)
    expect(ids().length).toBe(400)
    await store.cover(NOW + 950_000)
    expect(requests).toHaveLength(4)
  })

  it('arrive live, each once, and only those of the server that is shown', async () => {
    const store = useEventsStore()
    answer = pages(3)
    await store.open(1)
    store.append([event(4), event(3), event(5, 2)])
    expect(ids()).toEqual([4, 3, 2, 1])
  })

  it('that arrived while they were fetched are kept', async () => {
    const store = useEventsStore()
    answer = pages(150)
    const opened = store.open(1)
    store.append([event(151)])
    await opened
    expect([ids()[0], ids().length, store.cursor]).toEqual([151, 101, '50'])
  })

  it('leave no hole after a pause', async () => {
    const store = useEventsStore()
    answer = pages(150)
    await store.open(1)
    await store.loadMore()
    answer = pages(170)
    await store.reload()
    expect([ids()[0], ids().length, store.cursor]).toEqual([170, 170, null])
    answer = pages(400)
    await store.reload()
    expect([ids()[0], ids().at(-1), store.cursor]).toEqual([400, 301, '300'])
  })

  it('stay when a later fetch fails, which is told', async () => {
    const store = useEventsStore()
    answer = () => 'unreachable'
    await store.open(1)
    expect([store.status, store.error?.code]).toEqual(['error', 'network'])
    answer = pages(150)
    await store.reload()
    expect([store.status, store.error]).toEqual(['ready', null])
    answer = () => ({ status: 503, body: '' })
    await store.loadMore()
    expect([store.status, store.error?.code, ids().length, store.loadingMore]).toEqual(['ready', 'http_503', 100, false])
  })

  it('of a server that is not shown any more are not taken', async () => {
    const store = useEventsStore()
    answer = pages(3)
    const opened = store.open(1)
    store.close()
    await opened
    expect([ids(), store.status]).toEqual([[], 'loading'])
  })
})
