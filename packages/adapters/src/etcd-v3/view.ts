/**
 * A view: a range of the store as it was at one revision.
 *
 * etcd keeps every revision until it is compacted and nothing can pin one, so a view costs nothing to hold, and a
 * compaction above it ends it with `store.position-compacted`. The revision comes from a linearizable read, and every
 * page is one too: a member that was cut off from its quorum cannot answer with less.
 *
 * Leases are no part of a revision. When one ends is asked once a view, as the store says it then.
 */
import type { IKeyValue } from 'etcd3';
import {
  intersectRanges,
  invariant,
  PackedPage,
  type KeyRange,
  type Position,
  type RecordPage,
  type ScanOptions,
  type StoredRecord,
  type StoreView,
  type Version,
} from '@keyferry/core';
import type { EtcdClient } from './client.ts';
import { anyKeyOf, keyFromBuffer, keyFromSpan, rangeWithout } from './codec.ts';
import { LeaseExpiries } from './leases.ts';
import { readPackedPages } from './pages.ts';
import { revisionAt, type RangePage } from './wire/range-page.ts';

export interface ViewContext {
  readonly client: EtcdClient;
  readonly nowMs: () => number;
  /** keyferry's own keys, which no scan returns. */
  readonly reserved: KeyRange;
}

export async function openView(context: ViewContext, range: KeyRange): Promise<StoreView> {
  const { header } = await context.client.range({ key: anyKeyOf(range), keys_only: true });
  return new EtcdView(context, range, header.revision);
}

class EtcdView implements StoreView {
  readonly position: Position;
  private readonly context: ViewContext;
  private readonly range: KeyRange;
  private readonly revision: string;
  private readonly expiries: LeaseExpiries;
  private open = true;

  constructor(context: ViewContext, range: KeyRange, revision: string) {
    this.context = context;
    this.range = range;
    this.revision = revision;
    this.position = revision as Position;
    this.expiries = new LeaseExpiries(context.client, context.nowMs);
  }

  async *scan(part: KeyRange, { pageKeysMax }: ScanOptions): AsyncIterable<RecordPage> {
    const { client, reserved } = this.context;
    const range = intersectRanges(this.range, part);
    if (range === null) return;
    const options = { pageKeysMax, revision: this.revision, keysOnly: false };
    for (const readable of rangeWithout(range, reserved)) {
      for await (const page of readPackedPages(client, readable, options, (answer) => this.toPage(answer))) {
        invariant(this.open, 'a scan of a view that was closed');
        yield page;
      }
    }
  }

  async close(): Promise<void> {
    this.open = false;
  }

  private async toPage({ bytes, records, spans, revisions, leases }: RangePage): Promise<RecordPage> {
    const expiries = leases === null ? null : await this.expiries.read(leasesOf(leases));
    return new PackedPage({
      bytes,
      spans,
      count: records,
      keyOf: (start, end) => keyFromSpan(bytes, start, end),
      valueOf: (start, end) => bytes.subarray(start, end),
      versionOf: (index) => revisionAt(bytes, revisions[index] as number) as Version,
      expiresAtMsOf: (index) => expiresAt(leases?.[index], expiries),
    });
  }
}

/** One record for each, in order. */
export async function toRecords(kvs: readonly IKeyValue[], leaseExpiries: LeaseExpiries): Promise<StoredRecord[]> {
  const leases = leasesOf(kvs.map(({ lease }) => lease));
  const expiries = leases.size === 0 ? null : await leaseExpiries.read(leases);
  const records: StoredRecord[] = [];
  for (const kv of kvs) records.push(toRecord(kv, expiries));
  return records;
}

/** What the wire says of a record without one. */
export const noLease = '0';

function toRecord(
  { key, value, mod_revision, lease }: IKeyValue,
  expiries: ReadonlyMap<string, number> | null,
): StoredRecord {
  return { key: keyFromBuffer(key), value, version: mod_revision as Version, expiresAtMs: expiresAt(lease, expiries) };
}

/** Not each record has one; what has none may be a hole. */
function leasesOf(leases: readonly (string | undefined)[]): ReadonlySet<string> {
  const distinct = new Set<string>();
  for (const lease of leases) if (lease !== undefined && lease !== noLease) distinct.add(lease);
  return distinct;
}

function expiresAt(lease: string | undefined, expiries: ReadonlyMap<string, number> | null): number | null {
  return lease === undefined || lease === noLease ? null : (expiries?.get(lease) ?? null);
}
