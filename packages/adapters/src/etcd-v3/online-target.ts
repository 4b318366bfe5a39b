/**
 * etcd v3 as the target of an online migration: what an application's instance asks of it, one transaction each.
 *
 *     if    switch is the one seen (where it is held here), and the key is as expected
 *     then  read key, tombstone, origin as they were; put or delete the key; put or delete its tombstone
 *     else  read the same, and the switch
 *
 * Tombstones and origins lie where backfill looks for them (control.ts). An origin counts while it has its record's revision.
 * A put with a TTL gets a lease of its own: it ends when asked to, and not with those of others.
 */
import type { ICompare, IKeyValue, IRangeResponse, IRequestOp, IResponseOp } from 'etcd3';
import {
  keyAfter,
  keyFromText,
  originFromText,
  tombstoneText,
  type Key,
  type KeyRange,
  type MigrationId,
  type OnlineTarget,
  type OnlineTargetAnswer,
  type OnlineTargetRecord,
  type OnlineTargetRequest,
  type Pair,
  type SeenSwitch,
  type TargetEntry,
  type TargetExpectation,
  type TargetMoves,
  type TargetRecord,
  type Version,
  type Write,
} from '@keyferry/core';
import { modifiedAt } from './batch.ts';
import { defaultReservedPrefix } from './capabilities.ts';
import { EtcdClient, type EtcdClientOptions } from './client.ts';
import { keyFromBuffer, keyToBuffer, rangeBelow, rangeToWire } from './codec.ts';
import { ControlKeys } from './control.ts';
import { toKeyferryError } from './errors.ts';
import { EtcdV3Moves } from './online-moves.ts';

export interface EtcdV3OnlineOptions extends Omit<EtcdClientOptions, 'store' | 'requestTimeoutMs'> {
  /** The store's name, for errors. */
  readonly name: string;
  readonly migration: string;
  /** Where keyferry keeps its own keys, as in the store's configuration. Default `_keyferry/`. */
  readonly reservedPrefix?: string | undefined;
  /** The key of the switch, if it is in this very cluster: writes then compare it. Default: it is elsewhere. */
  readonly switchKey?: string | undefined;
  /** For one request to one member. Default 5,000: keep it well below the client's `requestLifeMs`. */
  readonly requestTimeoutMs?: number | undefined;
}

/** Connects with the first call. */
export function openEtcdV3OnlineTarget(options: EtcdV3OnlineOptions): OnlineTarget {
  return new EtcdV3OnlineTarget(options);
}

type TargetWrite = Extract<OnlineTargetRequest, { kind: 'write' }>;
type Found = TargetRecord<Uint8Array>;

const pageKeysMax = 500;
const noBytes = Buffer.alloc(0);

class EtcdV3OnlineTarget implements OnlineTarget {
  readonly role = 'target';
  readonly comparesSwitch: boolean;
  readonly moves: TargetMoves;
  private readonly store: string;
  private readonly client: EtcdClient;
  private readonly keys: ControlKeys;
  private readonly switchRecord: Buffer | null;

  constructor(options: EtcdV3OnlineOptions) {
    const {
      name,
      migration,
      reservedPrefix = defaultReservedPrefix,
      switchKey,
      requestTimeoutMs = 5000,
      ...rest
    } = options;
    this.store = name;
    this.client = new EtcdClient({ store: name, requestTimeoutMs, ...rest });
    this.keys = new ControlKeys(keyFromText(reservedPrefix), migration as MigrationId);
    this.switchRecord = switchKey === undefined ? null : Buffer.from(`${switchKey}/record`, 'utf8');
    this.comparesSwitch = switchKey !== undefined;
    this.moves = new EtcdV3Moves(this.client, this.keys);
  }

  async ask(key: Key, request: OnlineTargetRequest, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    if (request.kind === 'write') return this.write(key, request, seen);
    const { responses } = await this.client.readTxn({ success: this.reads(key) });
    return { kind: 'read', pair: pairOf(responses) };
  }

  async *list(range: KeyRange): AsyncIterable<readonly TargetEntry<OnlineTargetRecord>[]> {
    let revision: string | undefined;
    for (let start: Key | null = range.start; start !== null;) {
      const stretch = { start, end: range.end };
      const page = await this.readStretch(stretch, revision);
      revision ??= page.revision;
      if (page.entries.length > 0) yield page.entries;
      start = page.end === null ? null : keyAfter(page.end);
    }
  }

  async close(): Promise<void> {
    this.client.close();
  }

  private async write(key: Key, request: TargetWrite, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    const { switchRecord } = this;
    const reads = this.reads(key);
    const isSame: ICompare[] = switchRecord === null ? [] : [modifiedAt(switchRecord, seen.version)];
    const transaction = {
      compare: [...isSame, ...this.compares(key, request.expect)],
      success: [...reads, await this.change(key, request.write), ...this.tombstone(key, request.tombstone, seen)],
      failure: [
        ...reads,
        ...(switchRecord === null ? [] : [{ request_range: { key: switchRecord, keys_only: true } }]),
      ],
    };
    const { succeeded, header, responses } = await this.send(transaction);
    const pair = pairOf(responses);
    if (succeeded) {
      const version = request.write.kind === 'put' ? (header.revision as Version) : null;
      return { kind: 'written', version, previous: pair };
    }
    const held = responses[reads.length]?.response_range.kvs[0]?.mod_revision ?? null;
    return switchRecord !== null && held !== seen.version ? { kind: 'epoch-moved' } : { kind: 'unmet', pair };
  }

  private async send(transaction: Parameters<EtcdClient['writeTxn']>[0]) {
    try {
      return await this.client.writeTxn(transaction);
    } catch (error) {
      throw toKeyferryError(this.store, error);
    }
  }

  private reads(key: Key): IRequestOp[] {
    const { keys } = this;
    return [
      { request_range: { key: keyToBuffer(key) } },
      { request_range: { key: keys.tomb(key), keys_only: true } },
      { request_range: { key: keys.origin(key) } },
    ];
  }

  private compares(key: Key, expect: TargetExpectation): ICompare[] {
    const wire = keyToBuffer(key);
    if (expect === 'any') return [];
    if (typeof expect === 'object') return [modifiedAt(wire, expect.version)];
    const absent = modifiedAt(wire, null);
    return expect === 'absent' ? [absent] : [absent, modifiedAt(this.keys.tomb(key), null)];
  }

  private async change(key: Key, write: Write<Uint8Array>): Promise<IRequestOp> {
    const wire = keyToBuffer(key);
    if (write.kind === 'delete') return { request_delete_range: { key: wire } };
    const value = write.value as Buffer; // the encoder takes any Uint8Array
    if (write.ttlMs === null) return { request_put: { key: wire, value } };
    const lease = await this.client.leaseGrant(Math.max(1, Math.ceil(write.ttlMs / 1000)));
    return { request_put: { key: wire, value, lease } };
  }

  private tombstone(key: Key, change: TargetWrite['tombstone'], { epoch }: SeenSwitch): IRequestOp[] {
    const tomb = this.keys.tomb(key);
    if (change === 'leave') return [];
    if (change === 'clear') return [{ request_delete_range: { key: tomb } }];
    return [{ request_put: { key: tomb, value: Buffer.from(tombstoneText(epoch)) } }];
  }

  /** Records, tombstones and origins of the beginning of a range, as far as all three are known. */
  private async readStretch(range: KeyRange, revision: string | undefined) {
    const { keys } = this;
    const at = { limit: pageKeysMax, ...(revision !== undefined && { revision }) };
    const ranges = [range, rangeBelow(keys.tombPrefix, range), rangeBelow(keys.originPrefix, range)].map(rangeToWire);
    const reads = ranges.map((wire, i) => ({
      request_range: { ...(wire ?? nowhere), ...at, ...(i === 1 && { keys_only: true }) },
    }));
    const { header, responses } = await this.client.readTxn({ success: reads });
    const [records, tombs, origins] = responses.map(({ response_range }) => response_range) as [
      IRangeResponse,
      IRangeResponse,
      IRangeResponse,
    ];
    const end = firstOf([
      lastKnown(records, ''),
      lastKnown(tombs, keys.tombPrefix),
      lastKnown(origins, keys.originPrefix),
    ]);
    const isKnown = (key: Key): boolean => end === null || key <= end;
    const entries = new Map<Key, TargetEntry<OnlineTargetRecord>>();
    for (const { key } of tombs.kvs) {
      const tombstoned = keyFromBuffer(key).slice(keys.tombPrefix.length) as Key;
      if (isKnown(tombstoned)) entries.set(tombstoned, { key: tombstoned, record: null });
    }
    const originOf = new Map(origins.kvs.map((kv) => [keyFromBuffer(kv.key).slice(keys.originPrefix.length), kv]));
    for (const kv of records.kvs) {
      const key = keyFromBuffer(kv.key);
      if (!isKnown(key) || key.startsWith(keys.reservedPrefix)) continue;
      entries.set(key, { key, record: { key, ...recordOf(kv, originOf.get(key)) } });
    }
    const sorted = [...entries.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    return { entries: sorted, end, revision: header.revision };
  }
}

/** A range that holds no key. */
const nowhere = { key: Buffer.from([0]), range_end: noBytes };

/** The last key up to which an answer is whole; null: it is whole. */
function lastKnown({ more, kvs }: IRangeResponse, prefix: string): Key | null {
  const last = kvs.at(-1);
  return more && last !== undefined ? (keyFromBuffer(last.key).slice(prefix.length) as Key) : null;
}

function firstOf(keys: readonly (Key | null)[]): Key | null {
  let first: Key | null = null;
  for (const key of keys) if (key !== null && (first === null || key < first)) first = key;
  return first;
}

function pairOf(responses: readonly IResponseOp[]): Pair<Uint8Array> {
  const [record, tombstone, origin] = responses.map(({ response_range }) => response_range?.kvs[0]);
  return { record: record === undefined ? null : recordOf(record, origin), tombstone: tombstone !== undefined };
}

function recordOf({ value, mod_revision }: IKeyValue, origin: IKeyValue | undefined): Found {
  const isCopy = origin !== undefined && origin.mod_revision === mod_revision;
  const copiedFrom = isCopy ? originFromText(origin.value.toString('utf8')) : null;
  return { value, version: mod_revision as Version, copiedFrom };
}
