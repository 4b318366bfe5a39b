/**
 * Single records by their keys, as they are now: what plans and before-images are made of.
 *
 * Read in transactions, of as many keys as the server takes in one; each is one linearizable state of the store. Their
 * values are not bounded by any limit of a request, and neither is an answer (member.ts).
 */
import type { IKeyValue } from 'etcd3';
import type { Key, StoredRecord } from '@keyferry/core';
import type { BatchLimits } from './batch.ts';
import type { EtcdClient } from './client.ts';
import { keyToBuffer } from './codec.ts';
import { LeaseExpiries } from './leases.ts';
import { toRecords } from './view.ts';

export interface LookUpContext {
  readonly client: EtcdClient;
  readonly limits: BatchLimits;
  readonly nowMs: () => number;
}

/** A record, and what the server says of its history. */
export interface FoundRecord {
  readonly record: StoredRecord;
  /** 1: it was not there before its last writing. */
  readonly writings: string;
}

/** One for each key, in order. etcd knows no empty key: nothing is there. */
export async function lookUp(context: LookUpContext, keys: readonly Key[]): Promise<readonly (FoundRecord | null)[]> {
  const { client, limits, nowMs } = context;
  const kvs: (IKeyValue | undefined)[] = [];
  for (let at = 0; at < keys.length; at += limits.records) {
    const part = keys.slice(at, at + limits.records);
    const asked = part.filter((key) => key !== '');
    const success = asked.map((key) => ({ request_range: { key: keyToBuffer(key) } }));
    const { responses } = await client.readTxn({ success });
    let next = 0;
    for (const key of part) {
      kvs.push(key === '' ? undefined : responses[next]?.response_range.kvs[0]);
      if (key !== '') next += 1;
    }
  }
  const present = kvs.filter((kv) => kv !== undefined);
  const records = await toRecords(present, new LeaseExpiries(client, nowMs));
  let next = 0;
  return kvs.map((kv) => {
    if (kv === undefined) return null;
    const record = records[next] as StoredRecord;
    next += 1;
    return { record, writings: kv.version };
  });
}
