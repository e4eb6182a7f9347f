// Generated from proto/ by build/protoc-gen-wire.ts: run `make proto`.
/* eslint-disable */
import { Reader } from '~/utils/wire/reader'
import { Writer } from '~/utils/wire/writer'

export const Kind = { UNSPECIFIED: 0, GAUGE: 1, COUNTER: 2, DELTA: 3 } as const
export type Kind = number

export const State = { UNSPECIFIED: 0, UP: 1, LATE: 2, DOWN: 3, RETIRED: 4, GONE: 5 } as const
export type State = number

/** The answer to Authenticate. */
export interface Welcome {
  protocol: number
  serverTimeMs: number
  /** When the token expires: send a new one before. 0: never. */
  expiresMs: number
}

export interface Pong {
  number: number
  serverTimeMs: number
}

export interface Error {
  /** For programs; codes never change: body_too_large, unknown_layout, ... */
  code: string
  /** For people. It names the field and the limit. */
  message: string
  /** The place in the request, such as frames[3].values. */
  field: string
  /** The limit that was exceeded, if there is one. */
  limit?: number
}

export interface Refusal {
  /** 0: not about a subscription. */
  subscription: number
  error?: Error
}

export interface SeriesDescriptor {
  /** In the style of Prometheus, with the base unit in the name, such as filesystem_used_bytes. */
  metric: string
  labels: Record<string, string>
  /** The base unit, such as bytes, seconds, ratio (0 to 1) or celsius; empty for a plain count. */
  unit: string
  kind: Kind
}

export interface SeriesList {
  id: number
  series: SeriesDescriptor[]
}

export interface Stream {
  id: number
  server: number
  seriesList: number
  /** How often frames are expected. */
  intervalMs: number
}

/** The streams of a subscription, all of them: sent after Subscribe, and whenever they have changed. */
export interface Subscription {
  id: number
  streams: number[]
  /** The selected servers; also those that have sent nothing yet. */
  servers: number[]
}

export interface Values {
  stream: number
  timeMs: number
  /** In the order of the series list; NaN: no value at this time. */
  values: number[]
  /** Growth per second since the frame before, of the counters in the list, in their order; NaN: not known. */
  rates: number[]
}

/** Frames of this range are in the history that the client was not sent: it was too slow or away for too long, or they arrived late. */
export interface Gap {
  server: number
  startMs: number
  /** Inclusive. */
  endMs: number
}

export interface ServerStatus {
  server: number
  state: State
  /** Time of its newest sample. */
  lastSeenMs: number
}

/** Something that has happened, as in GET /api/events. */
export interface Event {
  id: number
  timeMs: number
  /**
   * server_added, server_up, server_down, server_retired, server_restored, agent_updated, rebooted, clock_jumped, alert_fired,
   * alert_resolved, alert_acknowledged; clients pass over others.
   */
  type: string
  /** 0: Bongsu itself. */
  server: number
  serverName: string
  /** Of an alert only, as are the next three. 0: not about an alert. */
  alert: number
  ruleName: string
  severity: string
  series: string
  before: string
  after: string
}

export interface ServerMessage {
  welcome?: Welcome
  pongs: Pong[]
  /** Why a message was refused. The connection stays open. */
  refusals: Refusal[]
  /** Lists of series that streams refer to; each is sent once on a connection. */
  seriesLists: SeriesList[]
  streams: Stream[]
  subscriptions: Subscription[]
  values: Values[]
  gaps: Gap[]
  servers: ServerStatus[]
  /** GET /api/servers gives another answer now: a server is new or was deleted, or its name, tags or host facts have changed. */
  serversChanged: boolean
  /** Whether this API server cannot see at present what others take in. Sent when it changes; at first it can. */
  behind?: boolean
  events: Event[]
}

/** The first message, within 10 s of connecting; later again with a new token, before the old one expires. */
export interface Authenticate {
  /** 1. The connection is closed with 4406 if the API server does not speak it. */
  protocol: number
  /** An access token or an API token. */
  token: string
}

/** What to send. The fields that select are those of GET /api/metrics/current. */
export interface Subscribe {
  /** Chosen by the client, from 1 on. A subscription with the same id is replaced. */
  id: number
  servers: number[]
  names: string[]
  tags: string[]
  metrics: string[]
  types: string[]
  labels: string[]
  /** At most one frame of each stream in this time; 0: all frames. */
  minIntervalMs: number
  /** Send frames after this time again, as far as they are still in memory, instead of the newest one only. 0: none. */
  sinceMs: number
  /** Whether values are wanted, and whether the states of the selected servers are. */
  values: boolean
  states: boolean
  /**
   * Whether events of the selected servers are wanted; those of Bongsu itself come too if no server is selected. Only new ones:
   * GET /api/events has those of before, also after a reconnect.
   */
  events: boolean
  /** Ask the agents of the selected servers, at most 4, to sample every second as long as the subscription lasts. */
  watch: boolean
}

export interface Unsubscribe {
  id: number
}

/** Answered by a Pong with the same number. Browsers cannot send the ping of the WebSocket protocol. */
export interface Ping {
  number: number
}

export interface ClientMessage {
  content: { case: 'authenticate', value: Partial<Authenticate> } | { case: 'subscribe', value: Partial<Subscribe> } | { case: 'unsubscribe', value: Partial<Unsubscribe> } | { case: 'ping', value: Partial<Ping> }
}

function readWelcome(reader: Reader, end: number): Welcome {
  const message: Welcome = { protocol: 0, serverTimeMs: 0, expiresMs: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.protocol = reader.uint32(); break
      case 16: message.serverTimeMs = reader.int64(); break
      case 24: message.expiresMs = reader.int64(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readPong(reader: Reader, end: number): Pong {
  const message: Pong = { number: 0, serverTimeMs: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.number = reader.uint32(); break
      case 16: message.serverTimeMs = reader.int64(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readError(reader: Reader, end: number): Error {
  const message: Error = { code: '', message: '', field: '' }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 10: message.code = reader.string(); break
      case 18: message.message = reader.string(); break
      case 26: message.field = reader.string(); break
      case 33: message.limit = reader.double(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readRefusal(reader: Reader, end: number): Refusal {
  const message: Refusal = { subscription: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.subscription = reader.uint32(); break
      case 18: message.error = readError(reader, reader.end()); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readSeriesDescriptor(reader: Reader, end: number): SeriesDescriptor {
  const message: SeriesDescriptor = { metric: '', labels: {}, unit: '', kind: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 10: message.metric = reader.string(); break
      case 18: reader.entry(message.labels); break
      case 26: message.unit = reader.string(); break
      case 32: message.kind = reader.uint32(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readSeriesList(reader: Reader, end: number): SeriesList {
  const message: SeriesList = { id: 0, series: [] }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.id = reader.uint32(); break
      case 18: message.series.push(readSeriesDescriptor(reader, reader.end())); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readStream(reader: Reader, end: number): Stream {
  const message: Stream = { id: 0, server: 0, seriesList: 0, intervalMs: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.id = reader.uint32(); break
      case 16: message.server = reader.uint32(); break
      case 24: message.seriesList = reader.uint32(); break
      case 32: message.intervalMs = reader.uint32(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readSubscription(reader: Reader, end: number): Subscription {
  const message: Subscription = { id: 0, streams: [], servers: [] }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.id = reader.uint32(); break
      case 18: reader.packedUint32(message.streams); break
      case 16: message.streams.push(reader.uint32()); break
      case 26: reader.packedUint32(message.servers); break
      case 24: message.servers.push(reader.uint32()); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readValues(reader: Reader, end: number): Values {
  const message: Values = { stream: 0, timeMs: 0, values: [], rates: [] }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.stream = reader.uint32(); break
      case 16: message.timeMs = reader.int64(); break
      case 26: reader.packedDouble(message.values); break
      case 25: message.values.push(reader.double()); break
      case 34: reader.packedDouble(message.rates); break
      case 33: message.rates.push(reader.double()); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readGap(reader: Reader, end: number): Gap {
  const message: Gap = { server: 0, startMs: 0, endMs: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.server = reader.uint32(); break
      case 16: message.startMs = reader.int64(); break
      case 24: message.endMs = reader.int64(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readServerStatus(reader: Reader, end: number): ServerStatus {
  const message: ServerStatus = { server: 0, state: 0, lastSeenMs: 0 }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.server = reader.uint32(); break
      case 16: message.state = reader.uint32(); break
      case 24: message.lastSeenMs = reader.int64(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readEvent(reader: Reader, end: number): Event {
  const message: Event = { id: 0, timeMs: 0, type: '', server: 0, serverName: '', alert: 0, ruleName: '', severity: '', series: '', before: '', after: '' }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 8: message.id = reader.uint32(); break
      case 16: message.timeMs = reader.int64(); break
      case 26: message.type = reader.string(); break
      case 32: message.server = reader.uint32(); break
      case 42: message.serverName = reader.string(); break
      case 48: message.alert = reader.uint32(); break
      case 58: message.ruleName = reader.string(); break
      case 66: message.severity = reader.string(); break
      case 74: message.series = reader.string(); break
      case 82: message.before = reader.string(); break
      case 90: message.after = reader.string(); break
      default: reader.skip(tag)
    }
  }
  return message
}

function readServerMessage(reader: Reader, end: number): ServerMessage {
  const message: ServerMessage = { pongs: [], refusals: [], seriesLists: [], streams: [], subscriptions: [], values: [], gaps: [], servers: [], serversChanged: false, events: [] }
  while (reader.isBefore(end)) {
    const tag = reader.uint32()
    switch (tag) {
      case 10: message.welcome = readWelcome(reader, reader.end()); break
      case 18: message.pongs.push(readPong(reader, reader.end())); break
      case 26: message.refusals.push(readRefusal(reader, reader.end())); break
      case 34: message.seriesLists.push(readSeriesList(reader, reader.end())); break
      case 42: message.streams.push(readStream(reader, reader.end())); break
      case 50: message.subscriptions.push(readSubscription(reader, reader.end())); break
      case 58: message.values.push(readValues(reader, reader.end())); break
      case 66: message.gaps.push(readGap(reader, reader.end())); break
      case 74: message.servers.push(readServerStatus(reader, reader.end())); break
      case 80: message.serversChanged = reader.bool(); break
      case 88: message.behind = reader.bool(); break
      case 98: message.events.push(readEvent(reader, reader.end())); break
      default: reader.skip(tag)
    }
  }
  return message
}

function writeAuthenticate(message: Partial<Authenticate>): Writer {
  const writer = new Writer()
  if (message.protocol) writer.uint32(8, message.protocol)
  if (message.token) writer.string(18, message.token)
  return writer
}

function writeSubscribe(message: Partial<Subscribe>): Writer {
  const writer = new Writer()
  if (message.id) writer.uint32(8, message.id)
  if (message.servers?.length) writer.packedUint32(18, message.servers)
  for (const value of message.names ?? []) writer.string(26, value)
  for (const value of message.tags ?? []) writer.string(34, value)
  for (const value of message.metrics ?? []) writer.string(42, value)
  for (const value of message.types ?? []) writer.string(50, value)
  for (const value of message.labels ?? []) writer.string(58, value)
  if (message.minIntervalMs) writer.uint32(64, message.minIntervalMs)
  if (message.sinceMs) writer.int64(72, message.sinceMs)
  if (message.values) writer.bool(80, message.values)
  if (message.states) writer.bool(88, message.states)
  if (message.events) writer.bool(96, message.events)
  if (message.watch) writer.bool(104, message.watch)
  return writer
}

function writeUnsubscribe(message: Partial<Unsubscribe>): Writer {
  const writer = new Writer()
  if (message.id) writer.uint32(8, message.id)
  return writer
}

function writePing(message: Partial<Ping>): Writer {
  const writer = new Writer()
  if (message.number) writer.uint32(8, message.number)
  return writer
}

function writeClientMessage({ content }: ClientMessage): Writer {
  const writer = new Writer()
  switch (content.case) {
    case 'authenticate': return writer.message(10, writeAuthenticate(content.value))
    case 'subscribe': return writer.message(18, writeSubscribe(content.value))
    case 'unsubscribe': return writer.message(26, writeUnsubscribe(content.value))
    case 'ping': return writer.message(34, writePing(content.value))
  }
}

/** @throws WireError if the bytes are no such message */
export const decodeServerMessage = (bytes: Uint8Array): ServerMessage => readServerMessage(new Reader(bytes), bytes.length)

export const encodeClientMessage = (message: ClientMessage): Uint8Array<ArrayBuffer> => writeClientMessage(message).finish()
