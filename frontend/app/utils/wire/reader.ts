// Reads the protobuf wire format: https://protobuf.dev/programming-guides/encoding/
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5
/** 64 bits, 7 in each byte. */
const MOST_VARINT_BYTES = 10
const TWO_32 = 2 ** 32

const text = new TextDecoder()

/** The bytes are no message of the wire format. */
export class WireError extends Error {
  constructor(problem: string) {
    super(`not a protobuf message: ${problem}`)
    this.name = 'WireError'
  }
}

export class Reader {
  private at = 0
  private readonly view: DataView

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Whether there is more in a part that ends there. */
  isBefore(end: number): boolean {
    if (this.at > end) throw new WireError('a field does not end where its message ends')
    return this.at < end
  }

  /** Reads how long the next part is. Returns where it ends. */
  end(): number {
    const length = this.uint32()
    return this.within(length)
  }

  /** The lower 32 bits of a varint. */
  uint32(): number {
    let value = 0
    for (let index = 0; index < MOST_VARINT_BYTES; index++) {
      const byte = this.byte()
      if (index < 5) value |= (byte & 0x7f) << 7 * index
      if (byte < 0x80) return value >>> 0
    }
    throw new WireError('a number is too long')
  }

  /** As a number: exact up to 2^53, so any time is. */
  int64(): number {
    let low = 0
    let high = 0
    for (let index = 0; index < MOST_VARINT_BYTES; index++) {
      const byte = this.byte()
      const bits = byte & 0x7f
      if (index < 5) low |= bits << 7 * index
      // Of the fifth seven bits, four belong to the lower half.
      if (index === 4) high = bits >>> 4
      else if (index > 4) high |= bits << 7 * index - 32
      if (byte < 0x80) return high * TWO_32 + (low >>> 0)
    }
    throw new WireError('a number is too long')
  }

  bool(): boolean {
    return this.int64() !== 0
  }

  double(): number {
    const at = this.take(8)
    return this.view.getFloat64(at, true)
  }

  string(): string {
    const end = this.end()
    const start = this.at
    this.at = end
    return text.decode(this.bytes.subarray(start, end))
  }

  packedUint32(into: number[]): void {
    for (const end = this.end(); this.isBefore(end);) into.push(this.uint32())
  }

  packedDouble(into: number[]): void {
    for (const end = this.end(); this.isBefore(end);) into.push(this.double())
  }

  /** An entry of a map of strings. */
  entry(into: Record<string, string>): void {
    let key = ''
    let value = ''
    for (const end = this.end(); this.isBefore(end);) {
      const tag = this.uint32()
      if (tag === (1 << 3 | BYTES)) key = this.string()
      else if (tag === (2 << 3 | BYTES)) value = this.string()
      else this.skip(tag)
    }
    // Not by assignment, which `__proto__` would take for something else.
    Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true })
  }

  /** Passes over a field that a newer API server sends. */
  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT: this.int64(); break
      case FIXED64: this.take(8); break
      case BYTES: this.at = this.end(); break
      case FIXED32: this.take(4); break
      default: throw new WireError(`wire type ${tag & 7}`)
    }
  }

  private byte(): number {
    return this.bytes[this.take(1)]!
  }

  /** Returns where the bytes begin. */
  private take(length: number): number {
    const start = this.at
    this.at = this.within(length)
    return start
  }

  /** Where this many bytes end. */
  private within(length: number): number {
    const end = this.at + length
    if (end > this.bytes.length) throw new WireError('it ends too early')
    return end
  }
}
