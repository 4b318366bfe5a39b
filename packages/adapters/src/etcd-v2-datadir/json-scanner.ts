/**
 * JSON as events, from bytes that come in pieces, without making a text of what nobody asked for.
 *
 * A snapshot may be larger than the longest JavaScript string, and half of it is history that is skipped. Names and
 * values are handed out as the bytes they are (a key is bytes); a string is decoded only where it holds an escape. What
 * is cut off by the end of a piece is put before the next one, so a value is looked at more than once only if it is
 * larger than a piece.
 */
import { Malformed } from './protobuf.ts';

/** What the events go to. Strings are byte strings of their UTF-8. */
export interface JsonEvents {
  open(kind: 'object' | 'array'): void;
  close(): void;
  name(name: string): void;
  string(value: string): void;
  /** As it is written: a number, `true`, `false` or `null`. */
  literal(text: string): void;
  /** While it is true, strings come as ''. */
  readonly skipsStrings: boolean;
}

type Expects = 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'comma-or-end' | 'nothing';

const code = { quote: 0x22, comma: 0x2c, colon: 0x3a, backslash: 0x5c, open: 0x7b, close: 0x7d, list: 0x5b, end: 0x5d };
const literalPattern = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null)$/;

export class JsonScanner {
  private readonly events: JsonEvents;
  /** True for an object; the innermost one last. */
  private readonly nesting: boolean[] = [];
  private expects: Expects = 'value';
  private rest: Buffer = Buffer.alloc(0);

  constructor(events: JsonEvents) {
    this.events = events;
  }

  /** @throws {Malformed} */
  write(piece: Buffer): void {
    const bytes = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    const done = this.scan(bytes);
    this.rest = Buffer.from(bytes.subarray(done)); // a copy: the piece's memory is used again
  }

  /** Call at the end: throws unless exactly one whole value was seen. */
  end(): void {
    if (this.rest.length > 0) this.write(Buffer.from(' '));
    if (this.expects !== 'nothing' || this.rest.length > 0) throw new Malformed('its JSON ends too early');
  }

  /** @returns how many bytes were used up */
  private scan(bytes: Buffer): number {
    const { length } = bytes;
    let at = 0;
    while (at < length) {
      const byte = bytes[at] as number;
      if (byte === code.quote) {
        const end = this.endOfString(bytes, at + 1);
        if (end < 0) return at;
        this.takeString(bytes, at, end);
        at = end + 1;
      } else if (byte === code.comma) {
        if (this.expects !== 'comma-or-end') throw misplaced(bytes, at);
        this.expects = this.nesting.at(-1) === true ? 'name' : 'value';
        at += 1;
      } else if (byte === code.colon) {
        if (this.expects !== 'colon') throw misplaced(bytes, at);
        this.expects = 'value';
        at += 1;
      } else if (byte === code.open || byte === code.list) {
        this.startValue(bytes, at);
        const isObject = byte === code.open;
        this.nesting.push(isObject);
        this.expects = isObject ? 'name-or-end' : 'value-or-end';
        this.events.open(isObject ? 'object' : 'array');
        at += 1;
      } else if (byte === code.close || byte === code.end) {
        const isObject = this.nesting.pop();
        const mayEnd = this.expects === 'comma-or-end' || this.expects === (isObject ? 'name-or-end' : 'value-or-end');
        if (!mayEnd || isObject !== (byte === code.close)) throw misplaced(bytes, at);
        this.endValue();
        this.events.close();
        at += 1;
      } else if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
        at += 1;
      } else {
        let end = at;
        while (end < length && !endsLiteral(bytes[end] as number)) end += 1;
        if (end === length) return at;
        const text = bytes.toString('latin1', at, end);
        if (!literalPattern.test(text)) throw misplaced(bytes, at);
        this.startValue(bytes, at);
        this.endValue();
        this.events.literal(text);
        at = end;
      }
    }
    return at;
  }

  private hasEscape = false;

  /** Place of the closing quote; -1 when it is not in these bytes. */
  private endOfString(bytes: Buffer, from: number): number {
    this.hasEscape = false;
    let at = from;
    for (;;) {
      const end = bytes.indexOf(code.quote, at);
      if (end < 0) return -1;
      let backslashes = 0;
      while (end - 1 - backslashes >= from && bytes[end - 1 - backslashes] === code.backslash) backslashes += 1;
      if (backslashes % 2 === 0) {
        this.hasEscape = bytes.subarray(from, end).includes(code.backslash);
        return end;
      }
      at = end + 1;
    }
  }

  private takeString(bytes: Buffer, open: number, close: number): void {
    if (this.expects === 'name' || this.expects === 'name-or-end') {
      this.expects = 'colon';
      this.events.name(this.decoded(bytes, open, close));
      return;
    }
    this.startValue(bytes, open);
    this.endValue();
    this.events.string(this.events.skipsStrings ? '' : this.decoded(bytes, open, close));
  }

  private decoded(bytes: Buffer, open: number, close: number): string {
    if (!this.hasEscape) return bytes.toString('latin1', open + 1, close);
    try {
      const text = JSON.parse(bytes.toString('utf8', open, close + 1)) as string;
      return Buffer.from(text, 'utf8').toString('latin1');
    } catch {
      throw misplaced(bytes, open);
    }
  }

  private startValue(bytes: Buffer, at: number): void {
    if (this.expects !== 'value' && this.expects !== 'value-or-end') throw misplaced(bytes, at);
  }

  private endValue(): void {
    this.expects = this.nesting.length === 0 ? 'nothing' : 'comma-or-end';
  }
}

function endsLiteral(byte: number): boolean {
  return byte === code.comma || byte === code.close || byte === code.end || byte <= 0x20;
}

function misplaced(bytes: Buffer, at: number): Malformed {
  return new Malformed(`it is not JSON at ${JSON.stringify(bytes.toString('latin1', at, at + 12))}`);
}
