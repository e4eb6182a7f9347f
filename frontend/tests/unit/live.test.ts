import { fromBinary } from '@bufbuild/protobuf'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { serverBytes, serverMessage } from '../answers/live'
import type { ServerMessageInit } from '../answers/live'
import { ClientMessageSchema } from '../proto/live_pb'
import { Kind } from '~/api/proto/live'
import type { ServerMessage } from '~/api/proto/live'
import { LiveSocket } from '~/utils/live/socket'
import type { SocketState } from '~/utils/live/socket'
import { LiveStreams, overlaps } from '~/utils/live/streams'

/** The other end of a WebSocket. */
class FakeSocket {
  static readonly OPEN = 1
  static opened: FakeSocket[] = []
  readyState = 0
  binaryType = ''
  said: ReturnType<typeof decode>[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  closed = false

  constructor(readonly url: string) {
    FakeSocket.opened.push(this)
  }

  send(bytes: Uint8Array): void {
    this.said.push(decode(bytes))
  }

  close(): void {
    this.closed = true
    this.readyState = 3
  }

  accept(): void {
    this.readyState = 1
    this.onopen?.()
  }

  tell(message: ServerMessageInit): void {
    this.onmessage?.({ data: serverBytes(message).buffer })
  }

  welcome(lifetimeMs = 0): void {
    this.tell({ welcome: { protocol: 1, serverTimeMs: 1_000n, expiresMs: lifetimeMs ? BigInt(1_000 + lifetimeMs) : 0n } })
  }

  fail(code: number): void {
    this.readyState = 3
    this.onclose?.({ code })
  }
}

function decode(bytes: Uint8Array) {
  return fromBinary(ClientMessageSchema, bytes).content
}

const settled = () => vi.advanceTimersByTimeAsync(0)
const newest = () => FakeSocket.opened.at(-1)!

function open(since = 0) {
  const states: [SocketState, number][] = []
  const messages: ServerMessage[] = []
  const tokens: boolean[] = []
  const options = {
    url: 'ws://bongsu.test/api/ws',
    token: async (fresh: boolean) => `token ${tokens.push(fresh)}`,
    onMessage: (message: ServerMessage) => void messages.push(message),
    onState: (state: SocketState, failures: number) => void states.push([state, failures]),
    since: () => since,
    random: () => 0,
  }
  const socket = new LiveSocket(options)
  return { socket, states, messages, tokens, options }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', FakeSocket)
  FakeSocket.opened = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('the connection', () => {
  it('authenticates first and subscribes when it is welcome', async () => {
    const { socket, states } = open()
    socket.subscribe(1, { states: true })
    socket.start()
    await settled()
    newest().accept()
    expect(newest().said).toMatchObject([{ case: 'authenticate', value: { protocol: 1, token: 'token 1' } }])
    newest().welcome()
    expect(newest().said[1]).toMatchObject({ case: 'subscribe', value: { id: 1, states: true, sinceMs: 0n } })
    socket.subscribe(2, { servers: [7], values: true })
    socket.unsubscribe(1)
    expect(newest().said.slice(2)).toMatchObject([{ case: 'subscribe', value: { id: 2, servers: [7] } }, { case: 'unsubscribe', value: { id: 1 } }])
    expect(states).toEqual([['connecting', 0], ['open', 0]])
  })

  it('comes back after it breaks off, later each time, and asks for what it missed', async () => {
    const { socket, states } = open(5_000)
    socket.subscribe(2, { values: true })
    socket.start()
    await settled()
    newest().accept()
    newest().welcome()
    newest().fail(1006)
    for (const waitMs of [1_000, 2_000, 4_000]) {
      await vi.advanceTimersByTimeAsync(waitMs - 1)
      const before = FakeSocket.opened.length
      await vi.advanceTimersByTimeAsync(1)
      expect(FakeSocket.opened).toHaveLength(before + 1)
      newest().fail(1006)
    }
    expect(states.at(-1)).toEqual(['waiting', 3])
    socket.retryNow()
    await settled()
    newest().accept()
    newest().welcome()
    expect(newest().said.at(-1)).toMatchObject({ case: 'subscribe', value: { id: 2, sinceMs: 5_000n } })
    expect(states.at(-1)).toEqual(['open', 0])
  })

  it('gets a new token when the last one is refused', async () => {
    const { socket, tokens } = open()
    socket.start()
    await settled()
    newest().accept()
    newest().fail(4401)
    await vi.advanceTimersByTimeAsync(2_000)
    newest().accept()
    expect(tokens).toEqual([false, true])
    expect(newest().said).toMatchObject([{ case: 'authenticate', value: { token: 'token 2' } }])
  })

  it('renews its token before it expires', async () => {
    const { socket, tokens } = open()
    socket.start()
    await settled()
    newest().accept()
    newest().welcome(900_000)
    const keepAlive = setInterval(() => newest().tell({ pongs: [{ number: 1, serverTimeMs: 1n }] }), 10_000)
    await vi.advanceTimersByTimeAsync(839_000)
    expect(tokens).toEqual([false])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(tokens).toEqual([false, true])
    expect(newest().said.filter(item => item.case === 'authenticate')).toHaveLength(2)
    clearInterval(keepAlive)
  })

  it('spreads the return after a restart', async () => {
    const { socket, options } = open()
    options.random = () => 0.5
    socket.start()
    await settled()
    newest().accept()
    newest().welcome()
    newest().fail(1012)
    await vi.advanceTimersByTimeAsync(3_300)
    expect(FakeSocket.opened).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(200)
    expect(FakeSocket.opened).toHaveLength(2)
  })

  it('asks whether a quiet connection is alive, and gives up a dead one', async () => {
    const { socket, states } = open()
    socket.start()
    await settled()
    newest().accept()
    newest().welcome()
    const first = newest()
    await vi.advanceTimersByTimeAsync(15_000)
    expect(first.said.at(-1)).toMatchObject({ case: 'ping', value: { number: 1 } })
    first.tell({ pongs: [{ number: 1, serverTimeMs: 1n }] })
    await vi.advanceTimersByTimeAsync(29_000)
    expect(first.closed).toBe(false)
    await vi.advanceTimersByTimeAsync(16_000)
    expect(first.closed).toBe(true)
    expect(states.at(-1)?.[0]).not.toBe('open')
  })

  it('ends for good when it is stopped', async () => {
    const { socket, states } = open()
    socket.start()
    await settled()
    newest().accept()
    newest().welcome()
    socket.stop()
    expect(newest().closed).toBe(true)
    await vi.advanceTimersByTimeAsync(120_000)
    expect(FakeSocket.opened).toHaveLength(1)
    socket.start()
    socket.stop()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(FakeSocket.opened).toHaveLength(1)
    expect(states.at(-1)).toEqual(['stopped', 0])
  })
})

describe('the streams', () => {
  const described: Message = {
    seriesLists: [{ id: 4, series: [
      { metric: 'cpu_usage_ratio', unit: 'ratio', kind: Kind.GAUGE },
      { metric: 'network_receive_bytes_total', labels: { interface: 'eth0' }, unit: 'bytes', kind: Kind.COUNTER },
    ] }],
    streams: [{ id: 9, server: 1, seriesList: 4, intervalMs: 1_000 }],
  }

  it('turn values into series, in the order of time', () => {
    const streams = new LiveStreams()
    expect(streams.take(serverMessage(described))).toEqual([])
    const values = [{ stream: 9, timeMs: 2_000n, values: [0.5, 100], rates: [7] }, { stream: 9, timeMs: 1_000n, values: [NaN, Infinity], rates: [NaN] }]
    const frames = streams.take(serverMessage({ values }))
    expect(frames.map(frame => frame.timeMs)).toEqual([1_000, 2_000])
    expect(frames[0]!.series.map(item => [item.value, item.rate])).toEqual([[null, null], [null, null]])
    expect(frames[1]).toEqual({ stream: 9, serverId: 1, timeMs: 2_000, intervalMs: 1_000, series: [
      { metric: 'cpu_usage_ratio', labels: {}, unit: 'ratio', kind: 'gauge', value: 0.5, rate: null },
      { metric: 'network_receive_bytes_total', labels: { interface: 'eth0' }, unit: 'bytes', kind: 'counter', value: 100, rate: 7 },
    ] })
    expect(streams.newest(1)).toBe(2_000)
    expect(streams.newest(2)).toBe(0)
  })

  it('keep the time, but not the numbers, over a reconnect', () => {
    const streams = new LiveStreams()
    streams.take(serverMessage({ ...described, values: [{ stream: 9, timeMs: 2_000n, values: [1, 1], rates: [1] }] }))
    streams.clear()
    expect(streams.take(serverMessage({ values: [{ stream: 9, timeMs: 3_000n, values: [1, 1], rates: [1] }] }))).toEqual([])
    expect(streams.newest(1)).toBe(2_000)
  })

  it('tell whether a gap concerns a range', () => {
    const { gaps } = serverMessage({ gaps: [{ server: 1, startMs: 1_000n, endMs: 2_000n }] })
    expect([2_000, 2_001].map(startMs => overlaps(gaps[0]!, startMs))).toEqual([true, false])
  })
})
