// Writes the protobuf wire format: https://protobuf.dev/programming-guides/encoding/
const text = new TextEncoder()

/** Messages of a browser are small, so an array of numbers is enough. */
export class Writer {
  private readonly bytes: number[] = []

  uint32(tag: number, value: number): void {
    this.varint(tag)
    this.varint(value)
  }

  /** Of whole numbers from 0 to 2^53: times. */
  int64(tag: number, value: number): void {
    this.uint32(tag, value)
  }

  bool(tag: number, value: boolean): void {
    this.uint32(tag, Number(value))
  }

  string(tag: number, value: string): void {
    this.part(tag, text.encode(value))
  }

  packedUint32(tag: number, values: readonly number[]): void {
    const packed = new Writer()
    for (const value of values) packed.varint(value)
    this.message(tag, packed)
  }

  message(tag: number, message: Writer): this {
    this.part(tag, message.bytes)
    return this
  }

  finish(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.bytes)
  }

  private part(tag: number, bytes: ArrayLike<number>): void {
    this.varint(tag)
    this.varint(bytes.length)
    for (let index = 0; index < bytes.length; index++) this.bytes.push(bytes[index]!)
  }

  private varint(value: number): void {
    let rest = value
    // Not by shifting, which knows 32 bits only.
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.bytes.push(rest % 0x80 | 0x80)
    this.bytes.push(rest)
  }
}
