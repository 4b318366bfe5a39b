/**
 * The fields of one protobuf message, one after another, from bytes that stay where they are.
 *
 * By hand and not by a library: a log is millions of small messages of which a few fields are wanted, names and values
 * are bytes that need not be UTF-8 (a library would replace them), and every length has to be checked against the bytes
 * that are there, because the bytes may be damaged. Unknown fields are skipped, as protobuf asks for.
 */
import { byteString } from '../bytes.ts';

/** The bytes are not such a message. Whoever knows the file and the place turns it into an error that says so. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export class FieldReader {
  readonly bytes: Buffer;
  /** Number of the field that `next` found, and how it is encoded. */
  field = 0;
  wire = 0;
  /** Where its content lies: the bytes of a `bytes` field, those of the number otherwise. */
  start = 0;
  end = 0;
  private at: number;
  private readonly limit: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.limit = end;
  }

  /** Moves on to the next field; false at the end. @throws {Malformed} */
  next(): boolean {
    if (this.at >= this.limit) return false;
    const tag = this.lengthOrTag();
    this.field = Math.floor(tag / 8);
    this.wire = tag % 8;
    if (this.field === 0) throw new Malformed('it has a field 0');
    switch (this.wire) {
      case wireTypes.varint:
        this.start = this.at;
        this.skipVarint();
        return true;
      case wireTypes.fixed64:
        this.start = this.at;
        return this.take(8);
      case wireTypes.fixed32:
        this.start = this.at;
        return this.take(4);
      case wireTypes.bytes: {
        const length = this.lengthOrTag();
        this.start = this.at;
        return this.take(length);
      }
      default:
        throw new Malformed(`it has a field of wire type ${this.wire}`);
    }
  }

  /** The varint at hand as an exact number. @throws {Malformed} beyond 2^53, which no index or length of etcd's reaches */
  number(): number {
    this.expect(wireTypes.varint);
    return this.end - this.start === 1 ? (this.bytes[this.start] as number) : this.varint();
  }

  /** As `number`, but rounded where it is beyond 2^53: for what a client chose and is only compared. */
  rounded(): number {
    return this.end - this.start < 8 ? this.number() : Number(this.unsigned());
  }

  /** The varint at hand as 64 bits without a sign: ids. */
  unsigned(): bigint {
    this.expect(wireTypes.varint);
    if (this.end - this.start === 1) {
      const byte = this.bytes[this.start] as number;
      return byte === 0 ? 0n : BigInt(byte);
    }
    let value = 0n;
    for (let at = this.end - 1; at >= this.start; at -= 1) {
      value = (value << 7n) | BigInt((this.bytes[at] as number) & 0x7f);
    }
    return BigInt.asUintN(64, value);
  }

  /** The varint at hand as 64 bits with a sign: instants in nanoseconds. */
  signed(): bigint {
    const value = this.unsigned();
    return value === 0n ? value : BigInt.asIntN(64, value);
  }

  boolean(): boolean {
    this.expect(wireTypes.varint);
    return this.end - this.start === 1 ? this.bytes[this.start] !== 0 : this.unsigned() !== 0n;
  }

  /** A `bytes` or `string` field as a byte string, like a key: each unit is one byte. */
  byteString(): string {
    this.expect(wireTypes.bytes);
    return byteString(this.bytes, this.start, this.end);
  }

  /** The bytes of the field at hand, where they lie. */
  content(): Buffer {
    this.expect(wireTypes.bytes);
    return this.bytes.subarray(this.start, this.end);
  }

  byteLength(): number {
    this.expect(wireTypes.bytes);
    return this.end - this.start;
  }

  /** The message in the `bytes` field at hand. */
  message(): FieldReader {
    this.expect(wireTypes.bytes);
    return new FieldReader(this.bytes, this.start, this.end);
  }

  private expect(wire: number): void {
    if (this.wire !== wire) throw new Malformed(`field ${this.field} has wire type ${this.wire} and not ${wire}`);
  }

  /** Most are a single byte. */
  private lengthOrTag(): number {
    const byte = this.bytes[this.at] as number;
    if (this.at < this.limit && byte < 0x80) {
      this.at += 1;
      return byte;
    }
    this.start = this.at;
    this.skipVarint();
    return this.varint();
  }

  private varint(): number {
    let value = 0;
    let factor = 1;
    for (let at = this.start; at < this.end; at += 1) {
      value += ((this.bytes[at] as number) & 0x7f) * factor;
      factor *= 128;
    }
    if (!Number.isSafeInteger(value)) throw new Malformed(`it holds the number ${value}, which cannot be right`);
    return value;
  }

  private take(length: number): true {
    this.end = this.at + length;
    if (this.end > this.limit) throw new Malformed(`field ${this.field} is longer than what holds it`);
    this.at = this.end;
    return true;
  }

  private skipVarint(): void {
    const last = Math.min(this.limit, this.start + 10);
    while (this.at < last) {
      const byte = this.bytes[this.at] as number;
      this.at += 1;
      if (byte < 0x80) {
        this.end = this.at;
        return;
      }
    }
    throw new Malformed('it has a number that does not end');
  }
}

/**
 * The fields of a message as etcd's own encoder writes it, in ascending order, each once, numbers first and bytes last: read one
 * after the other by whoever knows which come, without asking for each what it is, which is half the time of a log. What does not
 * look like that is left to `FieldReader`.
 *
 * A number below 2^28, as every length in a window is, comes of operations on integers alone. One that were a product, of which
 * others are too large to be a small integer of V8's, would make floating-point numbers of all places that are counted from it.
 */
export class UsualFields {
  at = 0;

  /** The number behind a tag, or the length of what comes next, up to 2^49; -1: it is another tag, or longer, or does not end. */
  number(bytes: Buffer, end: number, tag: number): number {
    if (bytes[this.at] !== tag) return -1;
    const start = this.at + 1;
    let value = 0;
    for (let at = start, shift = 0; shift < 28; at += 1, shift += 7) {
      if (at >= end) return -1;
      const byte = bytes[at] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at + 1;
        return value;
      }
    }
    return this.large(bytes, end, value);
  }

  /** The number behind a tag as 32 bits with a sign, of which there are no more, at `at` then; false: as -1 of `number`. */
  isWord(bytes: Buffer, end: number, tag: number): boolean {
    if (bytes[this.at] !== tag) return false;
    this.word = 0;
    const start = this.at + 1;
    const stop = Math.min(end, start + 5);
    for (let at = start, shift = 0; at < stop; at += 1, shift += 7) {
      const byte = bytes[at] as number;
      if (shift === 28 && byte > 0x0f) return false;
      this.word |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at + 1;
        return true;
      }
    }
    return false;
  }

  /** What `isWord` found. */
  word = 0;

  /** @param low of the first four bytes behind the tag */
  private large(bytes: Buffer, end: number, low: number): number {
    let value = low;
    let factor = 2 ** 28;
    const start = this.at + 5;
    const stop = Math.min(end, start + 3);
    for (let at = start; at < stop; at += 1) {
      const byte = bytes[at] as number;
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte < 0x80) {
        this.at = at + 1;
        return value;
      }
    }
    return -1;
  }
}
