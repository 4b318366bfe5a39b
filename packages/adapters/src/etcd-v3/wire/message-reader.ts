/**
 * Reads protobuf messages: field after field, in one pass, without copying. Unknown fields are passed over, as newer
 * servers may send some; a message that ends in the middle of a field is an error, and never a short answer.
 *
 * Format: protobuf.dev/programming-guides/encoding.
 */

/** The bytes are no message of the type that was expected. gRPC makes a failed call of it. */
export class MalformedMessage extends Error {}

export class MessageReader {
  private readonly buffer: Buffer;
  private at: number;
  private end: number;

  /** @param at where to begin, for one field of a message that was read before */
  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
    this.end = buffer.length;
  }

  /** The next field as `number << 3 | wire type`; 0 at the end of the message. */
  tag(): number {
    return this.at >= this.end ? 0 : this.varint();
  }

  /** Reads a message inside this one by `read`, which takes all fields up to its end. */
  message<T>(read: (reader: MessageReader) => T): T {
    const length = this.varint();
    const { end } = this;
    this.end = this.boundOf(length);
    const result = read(this);
    this.at = this.end;
    this.end = end;
    return result;
  }

  /** A view of the bytes: valid as long as the answer is. */
  bytes(): Buffer {
    const length = this.varint();
    const end = this.boundOf(length);
    const start = this.at;
    this.at = end;
    return this.buffer.subarray(start, end);
  }

  /** Passes over bytes or text. @returns how many; they end at `place` */
  skipBlock(): number {
    const length = this.varint();
    this.at = this.boundOf(length);
    return length;
  }

  /** Where the reader is, from the start of the whole buffer. */
  get place(): number {
    return this.at;
  }

  boolean(): boolean {
    return this.varint() !== 0;
  }

  /** An int64 in decimal digits; what fits a double, as almost all do, without a bigint. */
  int64(): string {
    return this.decimal(true);
  }

  uint64(): string {
    return this.decimal(false);
  }

  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.decimal(false);
        return;
      case 1:
        this.at = this.boundOf(8);
        return;
      case 2:
        this.at = this.boundOf(this.varint());
        return;
      case 5:
        this.at = this.boundOf(4);
        return;
      default:
        throw new MalformedMessage(`wire type ${tag & 7} at byte ${this.at}`);
    }
  }

  /** Lengths, tags and small numbers. */
  private varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 5; i += 1) {
      const byte = this.next();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    throw new MalformedMessage(`a length of more than five bytes at byte ${this.at}`);
  }

  private decimal(signed: boolean): string {
    const start = this.at;
    let value = 0;
    let factor = 1;
    // Seven groups of seven bits: 2^49 and below.
    for (let i = 0; i < 7; i += 1) {
      const byte = this.next();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return String(value);
      factor *= 128;
    }
    this.at = start;
    let large = 0n;
    for (let i = 0n; i < 10n; i += 1n) {
      const byte = this.next();
      large |= BigInt(byte & 0x7f) << (7n * i);
      if (byte < 0x80) return String(signed ? BigInt.asIntN(64, large) : BigInt.asUintN(64, large));
    }
    throw new MalformedMessage(`a number of more than ten bytes at byte ${start}`);
  }

  private next(): number {
    if (this.at >= this.end) throw new MalformedMessage(`it ends in a field, at byte ${this.at}`);
    const byte = this.buffer[this.at] as number;
    this.at += 1;
    return byte;
  }

  private boundOf(length: number): number {
    const bound = this.at + length;
    if (bound > this.end)
      throw new MalformedMessage(`a field of ${length} bytes goes past its end, at byte ${this.at}`);
    return bound;
  }
}
