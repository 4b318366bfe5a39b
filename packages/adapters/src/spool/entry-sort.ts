/**
 * Sorts entries by their keys, however many, in bounded memory.
 *
 *     entries ──► run of 8 MiB ──full: sorted──► scratch file, run behind run ──┐
 *                   └────────────────────── the last run stays in memory ────────┴──merged──► sorted entries
 *
 *     entries that come in order ──► the same file, and nothing else
 *
 * What is merged lies in a file of its own and the runs go, so that what is read afterwards is one sequence, from wherever
 * one likes: plans, chunks and verification read it several times, each at another place (ADR 41). The disk holds both for as
 * long as that takes. So few runs that their buffers fit are merged at once. Where there are more, neighbours are merged into
 * longer ones first, in a file that takes the place of the one before: one such pass is enough for 500 GiB of small entries, or
 * for 8 GiB of entries of 1 MiB.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { Key } from '@keyferry/core';
import { headBytes, type Head } from './entry.ts';
import { EntryRun } from './entry-run.ts';
import { FileCursor, MemoryCursor, Tournament, type Cursor } from './merge-runs.ts';
import { ScratchFile } from './scratch-file.ts';
import { keyAt, PlaceIndex, SortedEntries, SortedWriter, type EntryBytes } from './sorted-entries.ts';

export interface SortLimits {
  /** Of one run. */
  readonly runBytes: number;
  /** Of all buffers that runs are merged through, as long as no entry needs more. */
  readonly mergeBytes: number;
  /** Of the largest entry of each run that is merged: a buffer holds one whole. */
  readonly largestBytes: number;
  /** Runs that are merged at once; 2 or more. */
  readonly mergedRunsMax: number;
  /** So much stays in memory. */
  readonly memoryBytes: number;
}

export const sortLimits: SortLimits = {
  runBytes: 8 * 1024 * 1024,
  mergeBytes: 8 * 1024 * 1024,
  largestBytes: 32 * 1024 * 1024,
  mergedRunsMax: 256,
  memoryBytes: 1024 * 1024,
};

/** Takes entries in the order of their keys, and hands on what is to be kept. */
export interface Sieve {
  take(from: EntryBytes, at: number, out: SortedWriter): void;
  end(out: SortedWriter): void;
}

/** The least key and the greatest one. */
interface Span {
  readonly first: Key;
  readonly last: Key;
}

/** Part of the scratch file. */
interface Run extends Span {
  readonly start: number;
  readonly end: number;
  /** Bytes of its largest entry. */
  readonly largest: number;
}

export class EntrySort {
  private readonly limits: SortLimits;
  private readonly run: EntryRun;
  private file: ScratchFile | null = null;
  private runs: Run[] = [];
  /** Of what is in the file; null: it is not in order. */
  private index: PlaceIndex | null = new PlaceIndex();

  constructor(limits: SortLimits = sortLimits) {
    this.limits = limits;
    this.run = new EntryRun(limits.runBytes);
  }

  /** What an entry is filled into, from `reserve` until `took`; another one after the next `reserve`. */
  get filling(): EntryBytes {
    return this.run;
  }

  /**
   * Room for an entry, with its head; key, value, text and created are to be filled in behind that, and then `took` called.
   * @returns where its key begins
   * @throws {KeyferryError} `scratch.unusable`
   */
  reserve(head: Head): number {
    const { keyLength, valueLength, textLength, createdLength } = head;
    const length = headBytes + keyLength + valueLength + textLength + (createdLength ?? 0);
    if (!this.run.hasRoom(length)) this.spill();
    return this.run.reserve(head);
  }

  took(): void {
    this.run.took();
  }

  /**
   * All of them, in order; those with one key in the order in which they were added. Called once, and the sort is done with.
   *
   * @param sieve is not asked where keys come strictly ascending as they were added
   * @throws {KeyferryError} `scratch.unusable`
   */
  async sorted(sieve: Sieve = keepsAll): Promise<SortedEntries> {
    const { run, limits } = this;
    if (this.index !== null && this.follows()) {
      if (this.file !== null || run.size > limits.memoryBytes) this.spill();
      else for (const at of run.sorted()) this.index.note(run, at, at);
      const sorted = new SortedEntries(this.file ?? run.bytes.subarray(0, run.size), this.index);
      this.file = null;
      this.close();
      return sorted;
    }
    const order = run.sorted();
    await this.mergeSome();
    const cursors: Cursor[] = this.file === null ? [] : cursorsOf(this.file, this.runs, limits);
    cursors.push(new MemoryCursor(run, order));
    const spans = [...this.runs, spanOf(run, order)];
    const out = new SortedWriter({ bytes: (this.file?.length ?? 0) + run.size, memoryBytes: limits.memoryBytes });
    try {
      await merge(cursors, spans, sieve, out);
      return out.entries();
    } catch (error) {
      out.discard();
      throw error;
    } finally {
      this.close();
    }
  }

  /** Removes everything that was not handed out. Safe to repeat. */
  close(): void {
    this.file?.close();
    this.file = null;
    this.run.drop();
  }

  /** Whether all of the run is in order, and behind what is in the file. */
  private follows(): boolean {
    const { run } = this;
    const last = this.runs.at(-1);
    return run.isAscending && (last === undefined || run.count === 0 || last.last < keyAt(run.bytes, run.view, 0));
  }

  private spill(): void {
    const { run } = this;
    if (run.count === 0) return;
    this.file ??= new ScratchFile();
    const start = this.file.length;
    if (!this.follows()) this.index = null;
    const order = run.sorted();
    if (run.isAscending) {
      for (const at of order) this.index?.note(run, at, start + at);
      this.file.append(run.bytes, 0, run.size);
    } else {
      const out = new SortedWriter({ bytes: run.size, memoryBytes: 0, into: this.file });
      for (const at of order) out.append(run, at);
      out.flush();
    }
    this.runs.push({ start, end: this.file.length, largest: run.largest, ...spanOf(run, order) });
    run.clear();
  }

  /** Until so few runs are left that they, and the one in memory, are merged at once. */
  private async mergeSome(): Promise<void> {
    const { limits } = this;
    const areTooMany = (): boolean =>
      this.runs.length >= limits.mergedRunsMax || mergedAtOnce(this.runs, limits) < this.runs.length;
    for (let { file } = this; file !== null && areTooMany(); { file } = this) {
      const into = new ScratchFile();
      try {
        this.runs = await mergedNeighbours(file, this.runs, into, limits);
      } catch (error) {
        into.close();
        throw error;
      }
      file.close();
      this.file = into;
    }
  }
}

/** All runs in another file, as many together as may be, in their order: whose entries were there first is still to be seen. */
async function mergedNeighbours(
  file: ScratchFile,
  runs: readonly Run[],
  into: ScratchFile,
  limits: SortLimits,
): Promise<Run[]> {
  const merged: Run[] = [];
  for (let rest = runs; rest.length > 0;) {
    const some = rest.slice(0, mergedAtOnce(rest, limits));
    rest = rest.slice(some.length);
    const start = into.length;
    const bytes = some.reduce((sum, run) => sum + run.end - run.start, 0);
    const out = new SortedWriter({ bytes, memoryBytes: 0, into });
    const span = await merge(cursorsOf(file, some, limits), some, keepsAll, out);
    out.flush();
    merged.push({ start, end: into.length, largest: Math.max(...some.map(({ largest }) => largest)), ...span });
  }
  return merged;
}

/** How many of some runs, from the first on, are merged at once: as many as the limits allow, and two however large they are. */
export function mergedAtOnce(
  runs: readonly Pick<Run, 'largest'>[],
  { mergedRunsMax, largestBytes }: Pick<SortLimits, 'mergedRunsMax' | 'largestBytes'>,
): number {
  let [count, bytes] = [0, 0];
  for (const { largest } of runs) {
    bytes += largest;
    if (count >= 2 && (count >= mergedRunsMax || bytes > largestBytes)) break;
    count += 1;
  }
  return count;
}

const keepsAll: Sieve = { take: (from, at, out) => out.append(from, at), end: () => undefined };

function cursorsOf(file: ScratchFile, runs: readonly Run[], { mergeBytes }: SortLimits): Cursor[] {
  const bufferBytes = Math.floor(mergeBytes / runs.length);
  return runs.map((run) => new FileCursor(file, run, bufferBytes));
}

/** @param spans of the cursors, in any order */
async function merge(
  cursors: readonly Cursor[],
  spans: readonly Span[],
  sieve: Sieve,
  out: SortedWriter,
): Promise<Span> {
  const span = {
    first: spans.reduce((least, { first }) => (first < least ? first : least), spans[0]?.first ?? ('' as Key)),
    last: spans.reduce((greatest, { last }) => (last > greatest ? last : greatest), '' as Key),
  };
  const tournament = new Tournament(cursors, sharedBytes(span));
  for (let { next } = tournament; !next.isDone; next = tournament.next) {
    sieve.take(next, next.at, out);
    tournament.advance();
    if (!out.hasWritten) continue;
    out.hasWritten = false;
    await turnOfTheLoop(); // all of this is synchronous, and signals and leases need their turn
  }
  sieve.end(out);
  return span;
}

function spanOf({ bytes, view, count }: EntryRun, order: Uint32Array): Span {
  const keyOf = (nth: number): Key => keyAt(bytes, view, order[nth] as number);
  return { first: keyOf(0), last: keyOf(count - 1) };
}

function sharedBytes({ first, last }: Span): number {
  const end = Math.min(first.length, last.length);
  let shared = 0;
  while (shared < end && first.charCodeAt(shared) === last.charCodeAt(shared)) shared += 1;
  return shared;
}
