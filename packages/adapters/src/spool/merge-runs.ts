/**
 * Goes through sorted runs side by side: what is least of them comes next, and of those with one key what was added first.
 *
 *     cursor ┐
 *     cursor ┼─ tournament: of each match its loser stays, so that the next winner takes one match a round ──► next entry
 *     cursor ┘
 *
 * Eight bytes of each cursor's key, from behind what all keys begin with, are at hand as two numbers; most matches are decided
 * by these.
 */
import { compareEntries, entryBytesAt, headBytes, keyWord } from './entry.ts';
import type { ScratchFile } from './scratch-file.ts';
import type { EntryBytes } from './sorted-entries.ts';

/** A place in a run. */
export interface Cursor extends EntryBytes {
  /** Where in `bytes` the entry begins that it is at. */
  readonly at: number;
  readonly isDone: boolean;
  advance(): void;
}

export class MemoryCursor implements Cursor {
  readonly bytes: Buffer;
  readonly view: DataView;
  at = 0;
  isDone = false;
  private readonly order: Uint32Array;
  private next = 0;

  /** @param order where the entries begin, in their order */
  constructor({ bytes, view }: EntryBytes, order: Uint32Array) {
    this.bytes = bytes;
    this.view = view;
    this.order = order;
    this.advance();
  }

  advance(): void {
    this.isDone = this.next === this.order.length;
    if (this.isDone) return;
    this.at = this.order[this.next] as number;
    this.next += 1;
  }
}

export class FileCursor implements Cursor {
  bytes: Buffer;
  view: DataView;
  at = 0;
  isDone = false;
  private readonly file: ScratchFile;
  /** Of the file, what has not been read yet. */
  private from: number;
  private readonly to: number;
  private filled = 0;

  /** @param bufferBytes read at once; more for an entry that is larger */
  constructor(
    file: ScratchFile,
    { start, end }: { readonly start: number; readonly end: number },
    bufferBytes: number,
  ) {
    this.file = file;
    this.from = start;
    this.to = end;
    this.bytes = Buffer.allocUnsafeSlow(Math.max(headBytes, Math.min(bufferBytes, end - start)));
    this.view = new DataView(this.bytes.buffer);
    this.settle();
  }

  advance(): void {
    this.at += entryBytesAt(this.view, this.at);
    this.settle();
  }

  /** Sees to it that the entry it is at is there whole. */
  private settle(): void {
    if (this.at + headBytes > this.filled) this.fill(headBytes);
    if (this.isDone) return;
    const length = entryBytesAt(this.view, this.at);
    if (this.at + length > this.filled) this.fill(length);
  }

  private fill(wanted: number): void {
    const kept = this.filled - this.at;
    if (kept === 0 && this.from === this.to) {
      this.isDone = true;
      return;
    }
    const old = this.bytes;
    if (wanted > old.length) {
      this.bytes = Buffer.allocUnsafeSlow(wanted);
      this.view = new DataView(this.bytes.buffer);
    }
    old.copy(this.bytes, 0, this.at, this.filled);
    const more = Math.min(this.bytes.length - kept, this.to - this.from);
    this.file.read(this.from, this.bytes, kept, kept + more);
    this.from += more;
    this.at = 0;
    this.filled = kept + more;
  }
}

export class Tournament {
  private readonly cursors: readonly Cursor[];
  /** Bytes that all keys begin with. */
  private readonly depth: number;
  private readonly highs: Float64Array;
  private readonly lows: Float64Array;
  /** By match; none while nobody has come to it. */
  private readonly losers: Int32Array;
  private winner = 0;

  /** @param cursors one or more; of equal keys that of an earlier one comes first */
  constructor(cursors: readonly Cursor[], depth: number) {
    this.cursors = cursors;
    this.depth = depth;
    this.highs = new Float64Array(cursors.length);
    this.lows = new Float64Array(cursors.length);
    this.losers = new Int32Array(cursors.length).fill(-1);
    for (let i = 0; i < cursors.length; i += 1) this.look(i);
    for (let i = 0; i < cursors.length; i += 1) this.enter(i);
  }

  /** What is at the next entry; done when all are. */
  get next(): Cursor {
    return this.cursors[this.winner] as Cursor;
  }

  advance(): void {
    const { losers, winner } = this;
    this.next.advance();
    this.look(winner);
    let best = winner;
    for (let match = (winner + losers.length) >> 1; match > 0; match >>= 1) {
      const other = losers[match] as number;
      if (!this.isBefore(other, best)) continue;
      losers[match] = best;
      best = other;
    }
    this.winner = best;
  }

  /** The second one that comes to a match plays it, and who wins goes on. */
  private enter(player: number): void {
    const { losers } = this;
    let best = player;
    for (let match = (player + losers.length) >> 1; match > 0; match >>= 1) {
      const other = losers[match] as number;
      if (other === -1) {
        losers[match] = best;
        return;
      }
      if (!this.isBefore(other, best)) continue;
      losers[match] = best;
      best = other;
    }
    this.winner = best;
  }

  private look(player: number): void {
    const { isDone, view, at } = this.cursors[player] as Cursor;
    this.highs[player] = isDone ? Infinity : keyWord(view, at, this.depth);
    this.lows[player] = isDone ? Infinity : keyWord(view, at, this.depth + 4);
  }

  private isBefore(a: number, b: number): boolean {
    const high = (this.highs[a] as number) - (this.highs[b] as number);
    if (high !== 0) return high < 0; // not a number if both are done: then neither is before
    const low = (this.lows[a] as number) - (this.lows[b] as number);
    if (low !== 0) return low < 0;
    const [left, right] = [this.cursors[a] as Cursor, this.cursors[b] as Cursor];
    const order = compareEntries(left.view, left.at, right.view, right.at);
    return order === 0 ? a < b : order < 0;
  }
}
