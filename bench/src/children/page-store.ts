/**
 * A store whose pages are in memory, built from a file of sorted keys: what is left of a plan or a join when stores cost
 * nothing. It only hands out pages; what is done with them is the product's own code.
 */
import { readFileSync } from 'node:fs';
import { sqliteCapabilities } from '@keyferry/adapters/sqlite';
import {
  intersectRanges,
  type Key,
  type KeyRange,
  type Position,
  type RecordPage,
  type ScanOptions,
  type SourceStore,
  type StoredRecord,
  type StoreView,
  type TargetControl,
  type TargetStore,
  type Version,
} from '@keyferry/core';

export const pageKeysMax = 1000;

/** One page after another of a file with a key a line, sorted by bytes; all values are `value`. */
export function* pagesOfFile(path: string, value: Uint8Array): Generator<RecordPage> {
  const bytes = readFileSync(path);
  let records: StoredRecord[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(10, start);
    const key = bytes.toString('latin1', start, end) as Key;
    records.push({ key, value, version: '1' as Version, expiresAtMs: null });
    start = end + 1;
    if (records.length < pageKeysMax) continue;
    yield { records, notCarried: [] };
    records = [];
  }
  if (records.length > 0) yield { records, notCarried: [] };
}

/** Read only: enough of both ports for a plan. */
export function pageStore(name: string, pages: readonly RecordPage[]): SourceStore & TargetStore {
  const view: StoreView = {
    position: '1' as Position,
    async *scan(range: KeyRange, _options: ScanOptions) {
      if (intersectRanges(range, { start: '' as Key, end: null }) === null) return;
      yield* pages;
    },
    close: () => Promise.resolve(),
  };
  const refuse = (): never => {
    throw new Error(`${name} is read only`);
  };
  return {
    capabilities: sqliteCapabilities,
    publication: null,
    describe: () =>
      Promise.resolve({
        kind: 'memory',
        version: '1',
        endpoints: [name],
        members: null,
        identity: name,
        viewLocks: null,
      }),
    head: () => Promise.resolve(view.position),
    openView: () => Promise.resolve(view),
    readMembers: () => Promise.resolve(null),
    countRecords: (_range, max) => Promise.resolve(Math.min(max, 1)),
    lookUp: refuse,
    // A plan asks for the done marker, and for nothing else.
    control: () => ({ readDone: () => Promise.resolve(null) }) as unknown as TargetControl,
    close: () => Promise.resolve(),
  };
}
