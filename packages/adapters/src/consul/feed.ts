/**
 * Consul's changes, as a state feed: the KV store has no log, so a step is a listing, compared with the one before.
 *
 *     position of the store ──moved──► index of the prefix ──moved──► listing ─► position once more
 *          │ did not: wait for it              │ did not                 │
 *          └────────► nothing happened ◄───────┘                         ├─ indexes above the reader's: put
 *                                                                        └─ no longer there: deleted
 *
 * Positions are the index of the whole store, as a view has them. What was changed twice between two steps is told once.
 * Deletes leave nothing in a listing; they are known by the image of the keys (key-image.ts), which begins with the first
 * call to the feed and is kept in a file. A position from before that is lost, and so is all that came before the store
 * went back (a restored snapshot): an index that is lower than one that was seen tells.
 *
 * A listing costs the servers as much as a scan. So there is a floor between two: a second, and the time that the last
 * one took. An index of the prefix that has not moved since a look of the last minutes saves it; for longer it proves
 * nothing, because the server forgets deletes after a while and the index goes back with them.
 */
import {
  invariant,
  keyFromText,
  rangeHolds,
  type ChangeFeed,
  type FeedCapabilities,
  type FeedReadOptions,
  type FeedStep,
  type Key,
  type KeyRange,
  type OpenFeed,
  type Position,
  type PutChange,
  type SourceChange,
  type StopSignal,
} from '@keyferry/core';
import { systemClock } from '../environment/system-clock.ts';
import { assertTokenWhereNeeded } from './access.ts';
import { KeyImage } from './key-image.ts';
import { readablePrefix } from './key-form.ts';
import { carriedOf, type ViewContext } from './view.ts';

export interface FeedOptions {
  /** What is watched: the migration's prefix. Ranges outside of it are not told of. */
  readonly prefix: string;
  /** Least time between two listings, in milliseconds. */
  readonly floorMs: number;
  /** Where the image of the keys is kept; null: nowhere, so that a position ends with the process. */
  readonly imageFile: string | null;
}

/** Values of one step; what is more is for a comparison of both sides, which goes by pages. */
const stepBytesMax = 256 * 1024 * 1024;
/** Well below `tombstone_ttl`, 15 minutes by default, after which Consul forgets a delete. */
const indexProvesMs = 5 * 60_000;
/** One blocking query; longer waits are several. */
const waitOnceMs = 10_000;

export class ConsulFeed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'state',
    rangeDeletes: false,
    retention: { changesMax: null, ageMsMax: null },
  };
  private readonly watch: PrefixWatch;

  constructor(view: ViewContext, options: FeedOptions) {
    this.watch = new PrefixWatch(view, options);
  }

  async head(): Promise<Position> {
    await this.watch.begin();
    return positionAt(await this.watch.position());
  }

  hasReached(position: Position, mark: Position): boolean {
    return Number(position) >= Number(mark);
  }

  /** An index moves by one for a transaction of any size. */
  changesBetween(position: Position, mark: Position): number | null {
    return Number(position) >= Number(mark) ? 0 : null;
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    await this.watch.begin();
    let at = Number(after);
    return {
      read: async (options) => {
        const step = await this.watch.stepFrom(at, range, options);
        if (step.kind === 'changes') at = Number(step.position);
        return step;
      },
      close: async () => undefined,
    };
  }

  async end(): Promise<void> {
    this.watch.forget();
  }

  /** Steps that are under way fail. */
  close(): void {
    this.watch.close();
  }
}

/** What all readers of a feed share: the image of the keys, and the floor between two looks. */
class PrefixWatch {
  private readonly view: ViewContext;
  private readonly prefix: Key;
  private readonly floorMs: number;
  private readonly imageFile: string | null;
  private image: KeyImage | null = null;
  /** Of the prefix, at the last look; and when and how long that was. */
  private seen = { index: -1, atMs: 0, tookMs: 0 };
  private turn: Promise<unknown> = Promise.resolve();

  constructor(view: ViewContext, { prefix, floorMs, imageFile }: FeedOptions) {
    this.view = view;
    this.prefix = readablePrefix(keyFromText(prefix));
    this.floorMs = floorMs;
    this.imageFile = imageFile;
  }

  async position(): Promise<number> {
    return Number(await this.view.api.readPosition(this.prefix));
  }

  /** The first look, if none was taken yet. */
  begin(): Promise<void> {
    return this.inTurn(async () => {
      if (this.image !== null) return;
      await assertTokenWhereNeeded(this.view.api);
      const image = openImage(this.imageFile);
      try {
        if (image.base === null) await this.look(image, await this.position(), () => undefined);
        this.image = image;
      } catch (error) {
        image.close();
        throw error;
      }
    });
  }

  async stepFrom(after: number, range: KeyRange, { waitMs, signal }: FeedReadOptions): Promise<FeedStep> {
    const endsAtMs = systemClock.monotonicMs() + waitMs;
    for (;;) {
      const before = await this.position();
      if (before < after) {
        return lost(
          `the store is at index ${before}, and was at ${after}: it is another one, or went back to an older state`,
        );
      }
      const why = this.whyLost(after);
      if (why !== null) return lost(why);
      const leftMs = signal?.aborted === true ? 0 : endsAtMs - systemClock.monotonicMs();
      if (before === after) {
        if (leftMs <= 0) return nothingUntil(after);
        await this.wait(before, leftMs, signal);
        continue;
      }
      const pauseMs = this.pauseMs();
      if (pauseMs > 0 && !(await this.isStillSince(after))) {
        if (leftMs <= 0) return nothingUntil(after);
        await systemClock.sleep(Math.min(pauseMs, leftMs), signal);
        continue;
      }
      // Also where only other keys moved the store's index: a reader who waits for a head gets there.
      return await this.inTurn(() => this.step(after, range, before));
    }
  }

  close(): void {
    this.image?.close();
    this.image = null;
  }

  forget(): void {
    (this.image ?? openImage(this.imageFile)).remove();
    this.image = null;
  }

  private async step(after: number, range: KeyRange, before: number): Promise<FeedStep> {
    const { image } = this;
    invariant(image !== null, 'a feed was read after it was closed');
    const changes: SourceChange[] = [];
    let bytes = 0;
    const isTold = (key: Key) => rangeHolds(range, key);
    if (!(await this.isStillSince(after))) {
      await this.look(image, before, (change, index) => {
        if (index <= after || !isTold(change.key)) return;
        bytes += change.key.length + change.value.length;
        if (bytes <= stepBytesMax) changes.push(change);
      });
      const why = this.whyLost(after);
      if (why !== null) return lost(why);
      if (bytes > stepBytesMax) return lost(`${bytes} bytes changed since, and a step holds ${stepBytesMax}`);
    }
    for (const key of image.goneAfter(after)) if (isTold(key)) changes.push({ kind: 'delete', key });
    return { kind: 'changes', changes, position: positionAt(before) };
  }

  /** One listing, into the image. */
  private async look(image: KeyImage, before: number, take: (change: PutChange, index: number) => void): Promise<void> {
    const { api, reserved } = this.view;
    const startMs = systemClock.monotonicMs();
    const index = await api.readPrefixIndex(this.prefix, null, 0);
    await api.readTree(this.prefix, async (feed) => {
      image.beginLook();
      await feed({
        take: (entry) => {
          const { key, modifyIndex } = entry;
          if (rangeHolds(reserved, key)) return;
          const carried = carriedOf(this.view, entry);
          // One that is no record to others is not there for them: held as a lock, with flags that nobody carries.
          if (typeof carried === 'string') return;
          image.see(key, modifyIndex);
          const { value, version } = carried;
          take({ kind: 'put', key, value, version, expiresAtMs: null }, modifyIndex);
        },
        notText: () => undefined,
      });
    });
    // Behind the listing: a delete between the two reads of the position must not be missed by who stands at the first.
    image.endLook(before, await this.position());
    const endMs = systemClock.monotonicMs();
    this.seen = { index, atMs: endMs, tookMs: endMs - startMs };
  }

  /** Nothing below the prefix moved after an index, nor since the last look, as far as that can be known. */
  private async isStillSince(after: number): Promise<boolean> {
    const { index, atMs } = this.seen;
    if (index > after || systemClock.monotonicMs() - atMs > indexProvesMs) return false;
    return (await this.view.api.readPrefixIndex(this.prefix, null, 0)) === index;
  }

  private pauseMs(): number {
    const { atMs, tookMs } = this.seen;
    return atMs + Math.max(this.floorMs, tookMs) - systemClock.monotonicMs();
  }

  /** Until something below the prefix moves after `position`, or the time is over. */
  private async wait(position: number, ms: number, signal: StopSignal | undefined): Promise<void> {
    const { api } = this.view;
    const waitMs = Math.min(ms, waitOnceMs);
    const index = await api.readPrefixIndex(this.prefix, null, 0);
    if ((await this.position()) !== position) return;
    const moved = api.readPrefixIndex(this.prefix, Math.max(1, index), waitMs);
    moved.catch(() => undefined); // the wait may be over before the answer comes
    await Promise.race([moved, systemClock.sleep(waitMs, signal)]);
  }

  private whyLost(after: number): string | null {
    const base = this.image?.base ?? Number.POSITIVE_INFINITY;
    if (after >= base) return null;
    return `what was deleted between index ${after} and ${base} is not known: the first look was at the latter, or the store went back`;
  }

  private inTurn<T>(body: () => Promise<T>): Promise<T> {
    const result = this.turn.then(body);
    this.turn = result.catch(() => undefined);
    return result;
  }
}

/** Where nothing can be written (a function's own folder), as good as it goes: for this process. */
function openImage(file: string | null): KeyImage {
  try {
    return new KeyImage(file);
  } catch (error) {
    if (file === null) throw error;
    return new KeyImage(null);
  }
}

const positionAt = (index: number): Position => String(index) as Position;
const lost = (why: string): FeedStep => ({ kind: 'lost', why });
const nothingUntil = (index: number): FeedStep => ({ kind: 'changes', changes: [], position: positionAt(index) });
