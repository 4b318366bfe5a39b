/**
 * A list over both stores, page by page: the target's snapshot first, then the source, merged stretch by stretch.
 *
 *     target  a  c  d† │ f …        a stretch ends where the shorter of two pages does
 *     source  a  b  d  │ e …
 *
 * The source is asked only once the target's first page is there: from then on the target's snapshot is fixed, and what
 * the source shows is at or after it (SPEC R33).
 */
import { mergeList, type Key, type OnlineRecord, type OnlineTargetRecord, type TargetEntry } from '@keyferry/core';

type Entry = TargetEntry<OnlineTargetRecord>;
export type AnyRecord = OnlineRecord | OnlineTargetRecord;

export async function* mergedPages(
  target: AsyncIterable<readonly Entry[]>,
  source: () => AsyncIterable<readonly OnlineRecord[]>,
): AsyncGenerator<readonly AnyRecord[], void, undefined> {
  const over = new Ahead(target);
  await over.fill();
  const under = new Ahead(source());
  for (;;) {
    await over.fill();
    await under.fill();
    const ends = [over.lastKey, under.lastKey].filter((key) => key !== null);
    if (ends.length === 0) return;
    const end = ends.reduce((a, b) => (a < b ? a : b));
    const merged = mergeList<AnyRecord>(over.takeTo(end), under.takeTo(end));
    if (merged.length > 0) yield merged;
  }
}

/** What was read of one side and not yet handed on. */
class Ahead<T extends { readonly key: Key }> {
  private readonly pages: AsyncIterator<readonly T[]>;
  private held: readonly T[] = [];
  private isOver = false;

  constructor(pages: AsyncIterable<readonly T[]>) {
    this.pages = pages[Symbol.asyncIterator]();
  }

  /** Holds something, unless all is read. */
  async fill(): Promise<void> {
    while (this.held.length === 0 && !this.isOver) {
      const next = await this.pages.next();
      if (next.done === true) this.isOver = true;
      else this.held = next.value;
    }
  }

  get lastKey(): Key | null {
    return this.held.at(-1)?.key ?? null;
  }

  takeTo(end: Key): readonly T[] {
    const rest = this.held.findIndex(({ key }) => key > end);
    const taken = rest < 0 ? this.held : this.held.slice(0, rest);
    this.held = rest < 0 ? [] : this.held.slice(rest);
    return taken;
  }
}
