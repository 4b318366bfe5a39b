/**
 * Writes protobuf messages from their end to their start.
 *
 *     free ······················│ tag │ length │ content │ tag │ length │ content │
 *                               ▲ next byte goes here                              end of the buffer
 *
 * A message inside another is preceded by its length, which is known only once it was written. Written backwards it is
 * known by then: no second pass to measure, no copy. So fields are written last one first; their order on the wire is
 * then the usual one. The buffer is kept and grows to the largest message.
 *
 * Format: protobuf.dev/programming-guides/encoding.
 */
const startBytes = 64 * 1024;

export class BackwardWriter {
  private buffer = Buffer.allocUnsafeSlow(startBytes);
  private at = startBytes;

  /** Where the writer stands: the difference of two marks is the length of what was written between them. */
  get mark(): number {
    return this.buffer.length - this.at;
  }

  /** What `write` writes into the empty writer, as bytes of its own. */
  message(write: () => void): Buffer {
    this.at = this.buffer.length;
    write();
    const message = Buffer.allocUnsafe(this.mark);
    this.buffer.copy(message, 0, this.at);
    return message;
  }

  /** Field `number` of type bytes. An empty one is left out, as its absence says the same (proto3). */
  bytes(number: number, value: Uint8Array | undefined): void {
    if (value === undefined || value.length === 0) return;
    this.alwaysBytes(number, value);
  }

  /** As `bytes`, also when empty: for a member of a oneof, whose presence says which one it is. */
  alwaysBytes(number: number, value: Uint8Array): void {
    this.room(value.length);
    this.at -= value.length;
    this.buffer.set(value, this.at);
    this.endMessage(number, this.mark - value.length);
  }

  /** Closes a message as field `number`; its content is what was written since `mark`. */
  endMessage(number: number, mark: number): void {
    this.varint(this.mark - mark);
    this.varint((number << 3) | 2);
  }

  /** Field `number` of an integer or boolean type. Zero is left out, as its absence says the same (proto3). */
  integer(number: number, value: string | number | boolean | undefined): void {
    if (value === undefined || value === '0' || Number(value) === 0) return;
    this.alwaysInteger(number, value);
  }

  alwaysInteger(number: number, value: string | number | boolean): void {
    const small = Number(value);
    if (small >= 0 && small <= 0xffffffff) this.varint(small);
    else this.varint64(BigInt(value));
    this.varint(number << 3);
  }

  /** @param value 0 to 2^32 - 1 */
  private varint(value: number): void {
    const bytes = value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
    this.room(bytes);
    this.at -= bytes;
    let at = this.at;
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.buffer[at++] = (rest % 128) | 0x80;
    this.buffer[at] = rest;
  }

  /** Negative numbers are ten bytes of their two's complement. */
  private varint64(value: bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    this.room(bytes.length);
    this.at -= bytes.length;
    this.buffer.set(bytes, this.at);
  }

  private room(bytes: number): void {
    if (this.at >= bytes) return;
    const written = this.buffer.length - this.at;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, written + bytes));
    this.buffer.copy(grown, grown.length - written, this.at);
    this.at = grown.length - written;
    this.buffer = grown;
  }
}
