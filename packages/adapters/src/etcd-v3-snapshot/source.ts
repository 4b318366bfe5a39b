/**
 * A snapshot of etcd v3 as a source, whoever saved it: the latest revision of each key that is not deleted.
 *
 *     in key order (as keyferry writes it) ──────────────────────────► pages of the file, found by an index of leaves
 *     any other ──every revision, newest first──► spool on disk ──► any number of scans
 *
 * etcd keeps records in the order of revisions. Where that is the order of the keys too, nothing has to be sorted.
 *
 * A lease counts from when a server starts on the file, however long it lay on a shelf. So a record that hangs on one ends
 * as late from now as the lease has left, as it would on a server restored this moment.
 */
import { basename } from 'node:path';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import {
  prefixEnd,
  rangeHolds,
  type Key,
  type KeyRange,
  type MemberPosition,
  type Position,
  type RecordPage,
  type ScanOptions,
  type SourceStore,
  type StoreDescription,
  type StoredRecord,
  type StoreView,
  type Version,
} from '@keyferry/core';
import { copyBytes } from '../bytes.ts';
import { RecordPacker } from '../record-packer.ts';
import { openSpooledView } from '../spool/spooled-view.ts';
import { etcdV3SnapshotCapabilities, reservedPrefix } from './capabilities.ts';
import type { KeyValueReader } from './decode.ts';
import { readPosition, SnapshotFile, type LeafIndex } from './snapshot-file.ts';

export interface EtcdV3SnapshotOptions {
  /** The store's name in the configuration. */
  readonly name: string;
  readonly file: string;
  /** From when leases count; asked once a view. */
  readonly nowMs: () => number;
  /** Whether the file with this digest is known to be in key order; of any other one that is found out. */
  readonly isInKeyOrder?: (position: Position) => boolean;
}

/** A page ends early where its values are large: a thousand values of 1 MiB would not be flat. */
const pageBytesMax = 4 * 1024 * 1024;

/**
 * @example
 * const source = openEtcdV3SnapshotStore({ name: 'saved', file: 'backup.db', nowMs: () => Date.now() });
 * const view = await source.openView(prefixRange(keyFromText('/config/')));
 */
export function openEtcdV3SnapshotStore(options: EtcdV3SnapshotOptions): SourceStore {
  return new EtcdV3SnapshotSource(options);
}

class EtcdV3SnapshotSource implements SourceStore {
  readonly capabilities = etcdV3SnapshotCapabilities;
  private readonly options: EtcdV3SnapshotOptions;

  constructor(options: EtcdV3SnapshotOptions) {
    this.options = options;
  }

  /** No identity: the position is the content's, wherever the file is. */
  async describe(): Promise<StoreDescription> {
    const { file } = this.options;
    const snapshot = await SnapshotFile.open(file);
    try {
      const version = `revision ${snapshot.revision()}, ${snapshot.size} bytes`;
      const kind = 'etcd-v3-snapshot';
      return { kind, version, endpoints: [basename(file)], members: null, identity: null, viewLocks: null };
    } finally {
      await snapshot.close();
    }
  }

  head(): Promise<Position> {
    return readPosition(this.options.file);
  }

  /** @throws {KeyferryError} `snapshot.damaged`, `file.unreadable` */
  async openView(range: KeyRange): Promise<StoreView> {
    const snapshot = await SnapshotFile.open(this.options.file);
    let isKept = false;
    try {
      const expiries = new Expiries(snapshot.leases(), this.options.nowMs());
      const isInKeyOrder = this.options.isInKeyOrder?.(snapshot.position) === true;
      const index = isInKeyOrder ? snapshot.indexInKeyOrder() : snapshot.indexIfInKeyOrder();
      if (index !== null) {
        isKept = true;
        return new OrderedView(snapshot, index, expiries);
      }
      return await openSpooledView((spool) => {
        snapshot.eachBackwards((found, bytes) => {
          if (!rangeHolds(range, found.key) || isReserved(found.key)) return;
          if (found.isDeletion) spool.addNothing(found.key);
          else spool.add(recordOf(found, bytes, expiries)); // an older revision is passed over
        });
        return snapshot.assertUnchanged().then(() => snapshot.position);
      });
    } finally {
      if (!isKept) await snapshot.close();
    }
  }

  readMembers(): Promise<readonly MemberPosition[] | null> {
    return Promise.resolve(null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const isReserved = (key: Key): boolean => key.startsWith(reservedPrefix);

/** When records end that hang on a lease. */
class Expiries {
  private readonly secondsLeft: ReadonlyMap<string, number>;
  private readonly nowMs: number;

  constructor(secondsLeft: ReadonlyMap<string, number>, nowMs: number) {
    this.secondsLeft = secondsLeft;
    this.nowMs = nowMs;
  }

  /** Null: never, as a record whose lease is not there stays on a server too. */
  of({ lease }: KeyValueReader): number | null {
    const seconds = lease === null ? undefined : this.secondsLeft.get(lease);
    return seconds === undefined ? null : this.nowMs + seconds * 1000;
  }
}

/** @param bytes those that it was read from; the value is copied, as they are filled anew for the next page */
function recordOf(found: KeyValueReader, bytes: Buffer, expiries: Expiries): StoredRecord {
  const { key, valueStart, valueEnd, revision } = found;
  const value = Buffer.from(bytes.subarray(valueStart, valueEnd));
  return { key, value, version: String(revision) as Version, expiresAtMs: expiries.of(found) };
}

class OrderedView implements StoreView {
  readonly position: Position;
  private readonly snapshot: SnapshotFile;
  private readonly index: LeafIndex;
  private readonly expiries: Expiries;

  constructor(snapshot: SnapshotFile, index: LeafIndex, expiries: Expiries) {
    this.snapshot = snapshot;
    this.position = snapshot.position;
    this.index = index;
    this.expiries = expiries;
  }

  async *scan(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncGenerator<RecordPage, void, undefined> {
    const { ids, firstKeys } = this.index;
    const full: RecordPacker[] = [];
    let records = new RecordPacker();
    let isWhole = false;
    const take = (found: KeyValueReader, from: Buffer): void => {
      if (!isWhole && (!rangeHolds(range, found.key) || isReserved(found.key))) return;
      if (records.count === pageKeysMax || records.size >= pageBytesMax) {
        full.push(records);
        records = new RecordPacker(records);
      }
      pack(records, found, from, this.expiries.of(found));
    };
    for (let at = leafFor(firstKeys, range.start); at < ids.length; at += 1) {
      const first = firstKeys[at] as Key;
      if (range.end !== null && first >= range.end) break;
      isWhole = isInside(first, firstKeys[at + 1] ?? null, range);
      this.snapshot.eachOfLeaf(ids[at] as number, take);
      for (const each of full.splice(0)) {
        await turnOfTheLoop(); // reads are synchronous: signals and leases have their turn
        yield each.page();
      }
    }
    if (records.count > 0) yield records.page();
    await this.snapshot.assertUnchanged();
  }

  close(): Promise<void> {
    return this.snapshot.close();
  }
}

/** Whether all keys of a leaf are of the range and nobody's own, so that none has to be looked at. `next`: the leaf behind it begins there. */
function isInside(first: Key, next: Key | null, range: KeyRange): boolean {
  if (next === null || first < range.start || (range.end !== null && next > range.end)) return false;
  return next <= reservedPrefix || first >= (prefixEnd(reservedPrefix) ?? first);
}

function pack(records: RecordPacker, found: KeyValueReader, from: Buffer, expiresAtMs: number | null): void {
  const { keyStart, keyEnd, valueStart, valueEnd, revision: version } = found;
  const keyLength = keyEnd - keyStart;
  const at = records.reserve(keyLength, valueEnd - valueStart, { version, expiresAtMs });
  copyBytes(from, keyStart, keyEnd, records.bytes, at);
  copyBytes(from, valueStart, valueEnd, records.bytes, at + keyLength);
}

/** The last leaf that begins at or before the key. */
function leafFor(firstKeys: readonly Key[], key: Key): number {
  let [low, high] = [0, firstKeys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((firstKeys[middle] as Key) <= key) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
