/**
 * Pages on their way: a scan that survives a broken connection, one page of read-ahead, and the drive of a merge join
 * over two of them. Memory is a few pages, whatever the number of keys.
 */
import { keyAfter, lastKey, MergeJoin, recordCount, toTargetRange } from '@keyferry/core';
import type { JoinVisitor, Key, KeyRange, PrefixRule, RecordPage, StopSignal, StoreView } from '@keyferry/core';
import { pageKeysMax, type Environment } from './migration.ts';
import { iterateWithRetry } from './retry.ts';

/** Scans a range of a view; after a failure that may pass it goes on behind the last entry it handed out. */
export async function* scanPages(
  env: Environment,
  view: StoreView,
  range: KeyRange,
  signal?: StopSignal,
): AsyncGenerator<RecordPage> {
  let start = range.start;
  const open = () => view.scan({ start, end: range.end }, { pageKeysMax });
  for await (const page of iterateWithRetry(env, 'scan', open, signal)) {
    start = behind(page, start);
    yield page;
  }
}

function behind(page: RecordPage, start: Key): Key {
  let last = lastKey(page);
  for (const { key } of [...page.notCarried, ...(page.unplaced ?? [])]) if (last === null || key > last) last = key;
  return last === null ? start : keyAfter(last);
}

/** Reads one page ahead of its consumer. Close it: a page may be under way. */
export class ReadAhead {
  private readonly pages: AsyncIterator<RecordPage>;
  private pending: Promise<IteratorResult<RecordPage>> | null = null;

  constructor(pages: AsyncIterable<RecordPage>) {
    this.pages = pages[Symbol.asyncIterator]();
  }

  /** The next page, or null at the end. */
  async next(): Promise<RecordPage | null> {
    const result = await (this.pending ?? this.pages.next());
    this.pending = null;
    if (result.done === true) return null;
    this.pending = this.pages.next();
    // Whoever awaits it gets the failure; unhandled it would end the process before that.
    this.pending.catch(() => undefined);
    return result.value;
  }

  async close(): Promise<void> {
    await this.pending?.catch(() => undefined); // a failure of a page that nobody wants any more
    await this.pages.return?.();
  }
}

/** Joins a range of the keys that are scanned with the target range that it maps to. `afterPage` may flush what has gathered. */
export async function joinViews(
  env: Environment,
  rule: PrefixRule,
  views: { readonly source: StoreView; readonly target: StoreView },
  range: KeyRange,
  visitor: JoinVisitor,
  afterPage?: (read: { readonly sourceKeys: number; readonly targetKeys: number }) => Promise<void> | void,
): Promise<void> {
  const join = new MergeJoin(rule, visitor);
  const source = new ReadAhead(scanPages(env, views.source, range));
  const target = new ReadAhead(scanPages(env, views.target, toTargetRange(rule, range)));
  let sourceKeys = 0;
  let targetKeys = 0;
  try {
    for (let needs = join.step(); needs !== 'nothing'; needs = join.step()) {
      if (needs === 'source') {
        const page = await source.next();
        sourceKeys += page === null ? 0 : recordCount(page);
        join.offerSource(page);
      } else {
        const page = await target.next();
        targetKeys += page === null ? 0 : recordCount(page);
        join.offerTarget(page);
      }
      await afterPage?.({ sourceKeys, targetKeys });
    }
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}
