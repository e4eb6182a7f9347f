// The connection of the live stream: authenticates, stays connected, and says when it cannot. https://www.rfc-editor.org/rfc/rfc6455
import { decodeServerMessage, encodeClientMessage } from '~/api/proto/live'
import type { ClientMessage, ServerMessage, Subscribe } from '~/api/proto/live'
import { backoffMs } from '../poller'

/** `waiting`: until the next attempt. */
export type SocketState = 'stopped' | 'connecting' | 'open' | 'waiting'

type Wanted = Partial<Omit<Subscribe, 'id' | 'sinceMs'>>

export interface LiveSocketOptions {
  url: string
  /** The access token; `fresh`: a new one, since the last one was refused. */
  token: (fresh: boolean) => Promise<string>
  onMessage: (message: ServerMessage) => void
  /** `failures`: attempts in a row that did not get as far as `open`. */
  onState: (state: SocketState, failures: number) => void
  /** The time after which a subscription wants frames when it is sent again. */
  since: (subscription: number) => number
  /** 0..1, replaced in tests. @default Math.random */
  random?: () => number
}

const PROTOCOL = 1
// As long as there is traffic, nobody asks. Without, a proxy may close the connection, or it may be dead.
const QUIET_MS = 15_000
const DEAD_MS = 30_000
const RENEW_BEFORE_MS = 60_000
// After a restart all browsers come back: within some seconds, not at once.
const RESTART_SPREAD_MS = 5_000
const CLOSED_BY_RESTART = 1012
const REFUSED_TOKEN = 4401

export class LiveSocket {
  private socket: WebSocket | null = null
  private state: SocketState = 'stopped'
  private failures = 0
  private pings = 0
  private refused = false
  private heardAtMs = 0
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private quietTimer: ReturnType<typeof setInterval> | undefined
  private renewTimer: ReturnType<typeof setTimeout> | undefined
  private readonly wanted = new Map<number, Wanted>()

  constructor(private readonly options: LiveSocketOptions) {}

  start(): void {
    if (this.state === 'stopped') void this.connect()
  }

  stop(): void {
    this.drop()
    this.enter('stopped')
  }

  /** Tries again without waiting. */
  retryNow(): void {
    if (this.state !== 'waiting') return
    clearTimeout(this.retryTimer)
    void this.connect()
  }

  /** Subscribes now, and again after each reconnect. */
  subscribe(id: number, wanted: Wanted): void {
    this.wanted.set(id, wanted)
    if (this.state === 'open') this.ask(id, wanted, 0)
  }

  unsubscribe(id: number): void {
    if (this.wanted.delete(id) && this.state === 'open') this.say({ case: 'unsubscribe', value: { id } })
  }

  private async connect(): Promise<void> {
    this.enter('connecting')
    let token: string
    try {
      token = await this.options.token(this.refused)
    }
    catch {
      return this.retryLater(0)
    }
    // Stopped meanwhile.
    if (this.state !== 'connecting' || this.socket !== null) return
    const socket = new WebSocket(this.options.url)
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => this.authenticate(token)
    socket.onmessage = event => this.take(new Uint8Array(event.data as ArrayBuffer))
    socket.onclose = event => this.closed(event.code)
    this.socket = socket
    this.heardAtMs = performance.now()
    this.quietTimer = setInterval(() => this.checkQuiet(), QUIET_MS)
  }

  private authenticate(token: string): void {
    this.say({ case: 'authenticate', value: { protocol: PROTOCOL, token } })
  }

  private take(bytes: Uint8Array): void {
    this.heardAtMs = performance.now()
    const message = decodeServerMessage(bytes)
    if (message.welcome) {
      this.renewIn(message.welcome.expiresMs - message.welcome.serverTimeMs)
      if (this.state === 'connecting') {
        this.failures = 0
        this.refused = false
        this.enter('open')
        for (const [id, wanted] of this.wanted) this.ask(id, wanted, this.options.since(id))
      }
    }
    this.options.onMessage(message)
  }

  private ask(id: number, wanted: Wanted, sinceMs: number): void {
    this.say({ case: 'subscribe', value: { ...wanted, id, sinceMs } })
  }

  private say(content: ClientMessage['content']): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return
    this.socket.send(encodeClientMessage({ content }))
  }

  /** `lifetimeMs`: of the token; at most 0: it never expires. */
  private renewIn(lifetimeMs: number): void {
    clearTimeout(this.renewTimer)
    if (lifetimeMs <= 0) return
    // Halfway if it is short-lived. If this fails, the API server closes the connection, and the next one gets a new token.
    this.renewTimer = setTimeout(() => {
      this.options.token(true).then(token => this.authenticate(token), () => {})
    }, Math.max(lifetimeMs - RENEW_BEFORE_MS, lifetimeMs / 2))
  }

  private checkQuiet(): void {
    const quietMs = performance.now() - this.heardAtMs
    if (quietMs >= DEAD_MS) this.closed(null)
    else if (quietMs >= QUIET_MS * 0.9) this.say({ case: 'ping', value: { number: ++this.pings } })
  }

  private closed(code: number | null): void {
    const wasOpen = this.state === 'open'
    this.drop()
    this.refused = code === REFUSED_TOKEN
    if (!wasOpen) this.failures++
    this.retryLater(code === CLOSED_BY_RESTART ? RESTART_SPREAD_MS : 0)
  }

  private retryLater(spreadMs: number): void {
    const random = (this.options.random ?? Math.random)()
    if (this.state === 'stopped') return
    this.enter('waiting')
    this.retryTimer = setTimeout(() => void this.connect(), backoffMs(this.failures + 1, random) + random * spreadMs)
  }

  private drop(): void {
    clearTimeout(this.retryTimer)
    clearTimeout(this.renewTimer)
    clearInterval(this.quietTimer)
    const { socket } = this
    this.socket = null
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private enter(state: SocketState): void {
    this.state = state
    this.options.onState(state, this.failures)
  }
}
