/**
 * Both stores side by side while applications use them: each key of the source, or of the target, or with a tombstone
 * there, once and in order. Verify and drain read by it.
 *
 * The two sides are not of one moment. That is enough: the source is frozen, and what an application once wrote in the
 * target leaves a record or a tombstone there for as long as anybody asks this.
 */
import {
  keyAfter,
  type Key,
  type KeyRange,
  type OnlineTargetRecord,
  type StopSignal,
  type StoredRecord,
  type StoreView,
  type TargetEntry,
} from '@keyferry/core';
import type { Engine } from '../../migration.ts';
import { scanPages } from '../../pages.ts';
import { iterateWithRetry } from '../../retry.ts';
import type { OnlineParts } from './online.ts';

export type OnlineEntry = TargetEntry<OnlineTargetRecord>;

export interface JoinedKey {
  readonly key: Key;
  readonly source: StoredRecord | null;
  /** Null: neither record nor tombstone. */
  readonly target: OnlineEntry | null;
}

/** Pages of keys. @param view of the source, open for as long as this is read */
export async function* joinOnline(
  engine: Engine,
  range: KeyRange,
  { target }: Pick<OnlineParts, 'target'>,
  view: StoreView,
  signal?: StopSignal,
): AsyncGenerator<readonly JoinedKey[]> {
  const sources = new Pages(recordsOf(engine, view, range, signal));
  const targets = new Pages(entriesOf(engine, target, range, signal));
  try {
    for (;;) {
      await sources.fill();
      await targets.fill();
      if (sources.head === null && targets.head === null) return;
      yield joinedSoFar(sources, targets);
    }
  } finally {
    await Promise.all([sources.close(), targets.close()]);
  }
}

/** As far as both sides are known without waiting for a page. */
function joinedSoFar(sources: Pages<StoredRecord>, targets: Pages<OnlineEntry>): readonly JoinedKey[] {
  const joined: JoinedKey[] = [];
  while (!sources.needsPage && !targets.needsPage) {
    const source = sources.head;
    const target = targets.head;
    const key = source === null || (target !== null && target.key < source.key) ? target?.key : source.key;
    if (key === undefined) break;
    const [isInSource, isInTarget] = [source?.key === key, target?.key === key];
    joined.push({ key, source: isInSource ? source : null, target: isInTarget ? target : null });
    if (isInSource) sources.pass();
    if (isInTarget) targets.pass();
  }
  return joined;
}

async function* recordsOf(engine: Engine, view: StoreView, range: KeyRange, signal?: StopSignal) {
  for await (const { records } of scanPages(engine, view, range, signal)) yield records;
}

/** After a failure that may pass it goes on behind the last entry that it handed out. */
async function* entriesOf(engine: Engine, target: OnlineParts['target'], range: KeyRange, signal?: StopSignal) {
  let { start } = range;
  const open = () => target.list({ start, end: range.end });
  for await (const page of iterateWithRetry(engine, 'list target', open, signal)) {
    const last = page.at(-1);
    if (last !== undefined) start = keyAfter(last.key);
    yield page;
  }
}

/** Pages as one row of items, of which the first that was not passed is at hand. */
class Pages<T> {
  private readonly pages: AsyncIterator<readonly T[]>;
  private page: readonly T[] = [];
  private at = 0;
  private isOver = false;

  constructor(pages: AsyncIterable<readonly T[]>) {
    this.pages = pages[Symbol.asyncIterator]();
  }

  get needsPage(): boolean {
    return !this.isOver && this.at >= this.page.length;
  }

  /** Null: at the end. Call it only when no page is needed. */
  get head(): T | null {
    return this.page[this.at] ?? null;
  }

  pass(): void {
    this.at += 1;
  }

  async fill(): Promise<void> {
    while (this.needsPage) {
      const next = await this.pages.next();
      if (next.done === true) this.isOver = true;
      else [this.page, this.at] = [next.value, 0];
    }
  }

  async close(): Promise<void> {
    await this.pages.return?.();
  }
}
