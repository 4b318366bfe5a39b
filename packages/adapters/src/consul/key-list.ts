/**
 * The names out of an answer to `?keys`, a list of strings of any length, one by one: what a count is made of.
 *
 * A list of keys has no place at which it could be cut by looking for a text, so its quotes and backslashes are followed
 * byte by byte.
 */
import { isText, parseJson } from './entries.ts';

const quote = 0x22;
const backslash = 0x5c;
const nameBytesMax = 16 * 1024 * 1024;

export class KeyListReader {
  private readonly take: (name: string) => void;
  private readonly broken: (detail: string) => Error;
  /** Bytes of the name so far, its quotes included; null outside of one. */
  private name: Uint8Array[] | null = null;
  private nameBytes = 0;
  private escaped = false;
  private last = '';

  /** @param take gets each name; one that is not UTF-8 comes with U+FFFD */
  constructor(take: (name: string) => void, broken: (detail: string) => Error) {
    this.take = take;
    this.broken = broken;
  }

  write(piece: Uint8Array): void {
    let start = 0;
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at] as number;
      if (this.name === null) {
        if (byte === quote) {
          [this.name, this.nameBytes, start] = [[], 0, at];
        } else if (byte > 0x20) this.last = String.fromCharCode(byte);
      } else if (this.escaped) this.escaped = false;
      else if (byte === backslash) this.escaped = true;
      else if (byte === quote) {
        this.finish(piece.subarray(start, at + 1));
        start = at + 1;
      }
    }
    if (this.name === null) return;
    this.name.push(piece.subarray(start));
    this.nameBytes += piece.length - start;
    if (this.nameBytes > nameBytesMax) throw this.broken('it is not a list of keys');
  }

  /** Call at the end of the answer: throws unless the list was whole. */
  end(): void {
    if (this.name !== null || this.last !== ']') throw this.broken('it ends too early');
  }

  private finish(tail: Uint8Array): void {
    const text = Buffer.concat([...(this.name ?? []), tail]).toString('utf8');
    this.name = null;
    const name = parseJson(text, this.broken) as string;
    this.take(isText(name) ? name : name.toWellFormed());
  }
}
