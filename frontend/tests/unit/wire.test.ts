import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { create, fromBinary, ScalarType } from '@bufbuild/protobuf'
import type { DescField, DescMessage } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { serverBytes, serverMessage } from '../answers/live'
import { ClientMessageSchema, ServerMessageSchema, SubscribeSchema } from '../proto/live_pb'
import { decodeServerMessage, encodeClientMessage } from '~/api/proto/live'
import type { Subscribe } from '~/api/proto/live'
import { WireError } from '~/utils/wire/reader'

/** What protobuf-es has read, as the dashboard has it. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([name, item]) => !name.startsWith('$') && item !== undefined).map(([name, item]) => [name, plain(item)]))
}

/** The same numbers each time: https://en.wikipedia.org/wiki/Linear_congruential_generator */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
}

type Random = (below: number) => number
const pick = <T>(random: Random, values: readonly T[]): T => values[random(values.length)]!

function scalar(type: ScalarType, random: Random): unknown {
  switch (type) {
    case ScalarType.UINT32: return pick(random, [0, 1, 127, 128, 16_384, 2 ** 28, 2 ** 31, 2 ** 32 - 1])
    case ScalarType.INT64: return pick(random, [0n, 1n, -1n, 2n ** 28n, 2n ** 31n, 2n ** 32n, 2n ** 35n + 5n, 1_790_000_000_123n, -(2n ** 40n), 2n ** 53n, -(2n ** 53n)])
    case ScalarType.BOOL: return random(2) === 1
    case ScalarType.DOUBLE: return pick(random, [0, -0, 0.1, 1e300, -5e-324, NaN, Infinity, -Infinity])
    case ScalarType.STRING: return pick(random, ['', 'cpu_usage_ratio', '봉수대', '🔥', 'x'.repeat(200), '__proto__'])
    default: throw new Error(`no value for ${ScalarType[type]}`)
  }
}

/** A message with random fields, whatever the schema has. */
function randomMessage(desc: DescMessage, random: Random): Record<string, unknown> {
  const message: Record<string, unknown> = {}
  const several = <T>(make: () => T): T[] => Array.from({ length: random(4) }, make)
  const one = (field: DescField): unknown => (field.message ? randomMessage(field.message, random) : field.enum ? random(9) : scalar(field.scalar!, random))
  for (const member of desc.members) {
    if (member.kind === 'oneof') {
      const field = pick(random, member.fields)
      message[member.localName] = { case: field.localName, value: one(field) }
    }
    else if (random(3) > 0) {
      message[member.localName] = member.fieldKind === 'list'
        ? several(() => one(member))
        : member.fieldKind === 'map' ? Object.fromEntries(several(() => [scalar(ScalarType.STRING, random), scalar(ScalarType.STRING, random)])) : one(member)
    }
  }
  return message
}

describe('what is read', () => {
  it('is what protobuf-es reads, of 500 random messages', () => {
    const random = randomOf(7)
    for (let index = 0; index < 500; index++) {
      const bytes = serverBytes(randomMessage(ServerMessageSchema, random))
      expect(decodeServerMessage(bytes)).toEqual(plain(fromBinary(ServerMessageSchema, bytes)))
    }
  })

  it('tells what is absent from what is zero', () => {
    expect(serverMessage({})).not.toHaveProperty('behind')
    expect(serverMessage({ behind: false }).behind).toBe(false)
    expect(serverMessage({}).welcome).toBeUndefined()
    expect(serverMessage({ welcome: {} }).welcome).toEqual({ protocol: 0, serverTimeMs: 0, expiresMs: 0 })
  })

  it('reads a part of a buffer', () => {
    const bytes = serverBytes({ values: [{ stream: 1, values: [0.5, 7] }] })
    const buffer = new Uint8Array(bytes.length + 7)
    buffer.set(bytes, 3)
    expect(decodeServerMessage(buffer.subarray(3, 3 + bytes.length)).values[0]!.values).toEqual([0.5, 7])
  })

  it('passes over fields of a newer API server, at any depth', () => {
    const unknown = (writer: BinaryWriter) => writer
      .tag(900, WireType.Varint).int64(-1n).tag(901, WireType.Bit64).double(1).tag(902, WireType.LengthDelimited).string('new').tag(903, WireType.Bit32).float(1)
    const pong = unknown(new BinaryWriter()).tag(1, WireType.Varint).uint32(5).finish()
    const bytes = unknown(new BinaryWriter()).tag(2, WireType.LengthDelimited).bytes(pong).finish()
    expect(decodeServerMessage(bytes).pongs).toEqual([{ number: 5, serverTimeMs: 0 }])
  })

  it('takes numbers one by one as well as packed', () => {
    const values = new BinaryWriter().tag(3, WireType.Bit64).double(1.5).tag(3, WireType.Bit64).double(NaN).finish()
    expect(decodeServerMessage(new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(values).finish()).values[0]!.values).toEqual([1.5, NaN])
  })

  it('refuses what is cut off, wherever protobuf-es does', () => {
    const bytes = serverBytes({
      welcome: { protocol: 1, serverTimeMs: -1n }, seriesLists: [{ id: 1, series: [{ metric: 'cpu', labels: { core: '0' }, kind: 2 }] }],
      values: [{ stream: 1, timeMs: 1_790_000_000_123n, values: [1, 2] }], subscriptions: [{ id: 1, streams: [1, 300] }], behind: true,
    })
    const failed: number[] = []
    for (let length = 0; length < bytes.length; length++) {
      const part = bytes.slice(0, length)
      let expected: unknown
      try {
        expected = plain(fromBinary(ServerMessageSchema, part))
      }
      catch {
        failed.push(length)
      }
      if (failed.at(-1) === length) expect(() => decodeServerMessage(part), String(length)).toThrow(WireError)
      else expect(decodeServerMessage(part)).toEqual(expected)
    }
    expect(failed.length).toBeGreaterThan(bytes.length / 2)
  })

  it.each([
    ['a field that is longer than its message', [0x12, 2, 0x08, 0x80, 0x01]],
    ['a length beyond the end', [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a number that never ends', [0x50, ...Array.from({ length: 11 }, () => 0x80), 1]],
    ['a group', [0x0b]],
    ['a wire type that does not exist', [0x0f]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeServerMessage(Uint8Array.from(bytes))).toThrow(WireError)
  })
})

describe('what is written', () => {
  it('is what protobuf-es reads, of 500 random messages', () => {
    const random = randomOf(11)
    for (let index = 0; index < 500; index++) {
      const sent = create(ClientMessageSchema, randomMessage(ClientMessageSchema, random))
      if (sent.content.case === 'subscribe' && sent.content.value.sinceMs < 0n) sent.content.value.sinceMs = 0n
      const bytes = encodeClientMessage({ content: plain(sent.content) as never })
      expect(fromBinary(ClientMessageSchema, bytes)).toEqual(sent)
    }
  })

  it('may leave out any field', () => {
    const wanted: Partial<Subscribe> = { id: 3, servers: [1, 2, 300] }
    const { content } = fromBinary(ClientMessageSchema, encodeClientMessage({ content: { case: 'subscribe', value: wanted } }))
    expect(content).toEqual({ case: 'subscribe', value: create(SubscribeSchema, wanted) })
  })
})
