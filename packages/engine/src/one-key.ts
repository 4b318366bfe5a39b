/** One key of a store, read by itself: for what is looked at again without a scan. */
import {
  keyAfter,
  type Key,
  type KeyRange,
  type ReadableStore,
  type RecordPage,
  type StoredRecord,
} from '@keyferry/core';
import type { Engine } from './migration.ts';
import { scanPages } from './pages.ts';
import { withRetry } from './retry.ts';

/** What a store holds at one key, and nothing else of it. */
export async function readKey(engine: Engine, store: ReadableStore, key: Key): Promise<readonly RecordPage[]> {
  const range: KeyRange = { start: key, end: keyAfter(key) };
  const view = await withRetry(engine, 'open one key', () => store.openView(range));
  try {
    const pages: RecordPage[] = [];
    for await (const page of scanPages(engine, view, range)) pages.push(page);
    return pages;
  } finally {
    await view.close();
  }
}

export async function readRecord(engine: Engine, store: ReadableStore, key: Key): Promise<StoredRecord | null> {
  return (await readKey(engine, store, key)).flatMap(({ records }) => records)[0] ?? null;
}
