/**
 * What the tests of etcd v3 share: stores on a real server, wiped between tests, and an application that writes to it
 * with its own client. One server serves all tests of a version: starting one costs more than most of the tests.
 */
import type { EtcdServer } from '@keyferry/servers';
import { keyFromText, type Key } from '@keyferry/core';
import type { Change, FeedHarness, SeedRecord, TargetFixture, TargetHarness } from '@keyferry/core/testing';
import { Etcd3 } from 'etcd3';
import { keyToBuffer } from '../../src/etcd-v3/codec.ts';
import { ControlKeys } from '../../src/etcd-v3/control.ts';
import { openEtcdV3Store, type EtcdV3StoreOptions } from '../../src/etcd-v3/index.ts';

export const versions = ['3.3', '3.4', '3.5'] as const;

export type EtcdStore = ReturnType<typeof openEtcdV3Store>;
export interface EtcdFixture extends Omit<TargetFixture, 'store'> {
  readonly store: EtcdStore;
  readonly openAnother: (options?: Partial<EtcdV3StoreOptions>) => Promise<EtcdStore>;
  /** Compacts up to now. */
  readonly loseHistory: () => Promise<void>;
  readonly putAtOnce: (records: readonly SeedRecord[]) => Promise<void>;
}

export function harnessOf(server: () => EtcdServer) {
  return {
    key: (name: string) => keyFromText(`/contract/${name}`),
    nowMs: () => Date.now(),
    // What is left of a lease comes in whole seconds.
    traits: { expiryPrecisionMs: 1500, lawRuns: 10 },
    open: (records: readonly SeedRecord[]) => openFixture(server(), records),
  } satisfies TargetHarness & FeedHarness;
}

export async function openFixture(
  server: EtcdServer,
  records: readonly SeedRecord[],
  options: Partial<EtcdV3StoreOptions> = {},
): Promise<EtcdFixture> {
  const open = (more: Partial<EtcdV3StoreOptions> = {}) =>
    openEtcdV3Store({ name: 'test', endpoints: server.endpoints, nowMs: () => Date.now(), ...options, ...more });
  const store = open();
  const stores = [store];
  const application = new Etcd3({ hosts: [...server.endpoints] });
  await application.kv.deleteRange({ key: zero, range_end: zero });
  const change = async (changes: readonly Change[]): Promise<void> => {
    for (const each of changes) {
      if ('put' in each) await put(application, each.put);
      else await application.kv.deleteRange({ key: keyToBuffer(each.delete) });
    }
  };
  await Promise.all(records.map((record) => put(application, record)));
  return {
    store,
    change,
    putTombstone: async (migration, key) => {
      const tombstone = new ControlKeys(store.capabilities.reservedPrefix as Key, migration).tomb(key);
      const success = [
        { request_delete_range: { key: keyToBuffer(key) } },
        { request_put: { key: tombstone, value: Buffer.alloc(0) } },
      ];
      await application.kv.txn({ success });
    },
    loseHistory: async () => {
      const { header } = await application.kv.range({ key: zero });
      await application.kv.compact({ revision: header.revision, physical: true });
    },
    putAtOnce: async (each) => {
      const success = each.map(({ key, value }) => ({
        request_put: { key: keyToBuffer(key), value: Buffer.from(value) },
      }));
      await application.kv.txn({ success });
    },
    openAnother: async (more) => {
      const another = open(more);
      stores.push(another);
      return another;
    },
    close: async () => {
      application.close();
      for (const each of stores) await each.close();
    },
  };
}

const zero = Buffer.from([0]);

async function put({ kv, leaseClient }: Etcd3, { key, value, ttlMs }: SeedRecord): Promise<void> {
  const lease = ttlMs === null ? '0' : (await leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000) })).ID;
  await kv.put({ key: keyToBuffer(key), value: Buffer.from(value), lease });
}
