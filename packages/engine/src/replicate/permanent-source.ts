/**
 * A source whose records never end: what replication copies from.
 *
 * In the target a copy stays until the source deletes it or lets it expire, whichever the feed tells (SPEC R41). A TTL of
 * its own would end it early when the source renews its own, which no feed tells. The ends are granted inside the cutover.
 */
import { changedRecord } from '@keyferry/core';
import type { KeyRange, RecordPage, ScanOptions, SourceStore, StoredRecord, StoreView } from '@keyferry/core';
import type { Engine } from '../migration.ts';

export function withPermanentSource(engine: Engine): Engine {
  return { ...engine, source: permanentSource(engine.source) };
}

export function permanentRecord(record: StoredRecord): StoredRecord {
  return record.expiresAtMs === null ? record : changedRecord(record, { expiresAtMs: null });
}

function permanentSource(source: SourceStore): SourceStore {
  return {
    capabilities: source.capabilities,
    ...(source.backup === undefined ? {} : { backup: source.backup }),
    feed: source.feed,
    describe: () => source.describe(),
    head: () => source.head(),
    readMembers: () => source.readMembers(),
    openView: async (range) => permanentView(await source.openView(range)),
    close: () => source.close(),
  };
}

function permanentView(view: StoreView): StoreView {
  return {
    position: view.position,
    async *scan(range: KeyRange, options: ScanOptions): AsyncIterable<RecordPage> {
      for await (const page of view.scan(range, options)) {
        const { records, notCarried, unplaced } = page;
        yield { records: records.map(permanentRecord), notCarried, ...(unplaced === undefined ? {} : { unplaced }) };
      }
    },
    close: () => view.close(),
  };
}
