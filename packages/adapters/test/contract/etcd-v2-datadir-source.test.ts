/**
 * Goal: a data directory keeps every promise of a source. Method: core's suite, on directories that are written record by
 * record (that real ones are like them is for etcd-v2-datadir.test.ts).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyFromText, type Key, type SourceStore } from '@keyferry/core';
import { sourceContract, type Change, type SeedRecord, type StoreFixture } from '@keyferry/core/testing';
import { memberChange, requestBytes, SegmentWriter, writeDatadir } from '../datadir-writer.ts';
import { openDatadir } from './etcd-v2-datadir-fixture.ts';

sourceContract('etcd v2 data directory', {
  key: (name) => keyFromText(`/contract/${name}`),
  nowMs: () => Date.now(),
  traits: { binaryKeys: false, parentKeys: false, lawRuns: 10 },
  open,
});

/** Changes are further entries of the log, as of a server that ran again in between. */
async function open(records: readonly SeedRecord[]): Promise<StoreFixture<SourceStore>> {
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-datadir-'));
  const log = new SegmentWriter().metadata().snapshot(0, 0);
  let index = 1;
  log.entry(index, memberChange(0, 1n, { id: 1, peerURLs: ['http://a:1'] }), { type: 1 });
  const change = async (changes: readonly Change[]): Promise<void> => {
    for (const each of changes) {
      index += 1;
      log.entry(
        index,
        'put' in each ? putBytes(each.put) : requestBytes({ method: 'DELETE', path: pathOf(each.delete) }),
      );
    }
    log.hardState(index);
    await writeDatadir(folder, { segments: [[0, log.bytes()]] });
  };
  await change(records.map((record) => ({ put: record })));
  const stores = [openDatadir(folder)];
  return {
    store: stores[0] as SourceStore,
    change,
    openAnother: () => {
      const another = openDatadir(folder);
      stores.push(another);
      return Promise.resolve(another);
    },
    close: async () => {
      for (const store of stores) await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

function putBytes({ key, value, ttlMs }: SeedRecord): Buffer {
  const expiration = ttlMs === null ? 0n : BigInt(Date.now() + ttlMs) * 1_000_000n;
  return requestBytes({ method: 'PUT', path: pathOf(key), value: Buffer.from(value), expiration });
}

const pathOf = (key: Key): string => `/1${Buffer.from(key, 'latin1').toString('utf8')}`;
