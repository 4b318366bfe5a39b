/**
 * First pass over the log: is it whole, and which of its entries count?
 *
 * An entry counts when it is committed and no later one took its index. Both are known for certain only at the end of the log (the
 * last hard state may be its last record, as in what `etcdctl backup` writes), and to keep all entries until then would
 * take the memory of the log instead of that of the store. So here all is found that has to be known beforehand, with every
 * checksum. Somebody may follow, who does what can be done on the way (at-once.ts); where that does not suffice, the log is read
 * once more, for what it does (replay.ts).
 */
import { isKeyferryError, type KeyferryError } from '@keyferry/core';
import { damaged } from './errors.ts';
import type { Segment } from './layout.ts';
import { FieldReader, Malformed } from './protobuf.ts';
import {
  EntryReader,
  readHardState,
  readMetadata,
  readSnapshotPoint,
  recordTypes,
  type HardState,
  type HexId,
  type LogEntry,
  type Metadata,
  type SnapshotPoint,
} from './raft-messages.ts';
import { readEntryContent } from './request.ts';
import { readSegment, type LogRecord } from './segment.ts';

export interface LogFacts {
  readonly metadata: Metadata | null;
  readonly hardState: HardState;
  /** Snapshots that the log knows of. */
  readonly snapshots: readonly SnapshotPoint[];
  /** Index of the last entry; that of the snapshot when there is none after it. */
  readonly lastIndex: number;
  /** Of `lastIndex`; null when that is the snapshot's. */
  readonly lastTerm: number | null;
  /** Records of type entry, in all. */
  readonly entries: number;
  /** Where an entry took the index of an earlier one: which record that was, counted from 0, and from which index on. */
  readonly rewinds: readonly { readonly entry: number; readonly index: number }[];
  /** The last version of the cluster that the log tells; null when it tells none. */
  readonly clusterVersion: string | null;
  /** Whether lengths are written as from etcd 3.0 on. */
  readonly padded: boolean;
  readonly end: LogEnd;
}

export type LogEnd =
  | { readonly kind: 'whole' }
  | { readonly kind: 'torn'; readonly file: string; readonly offset: number; readonly bytes: number }
  /** Only when it was asked to stop there. */
  | { readonly kind: 'damaged'; readonly error: KeyferryError<'datadir.damaged'> };

export interface LogScan {
  /** From the one on that holds the first entry wanted. */
  readonly segments: readonly Segment[];
  /** Of the snapshot that the log is to go on from; 0 for none. */
  readonly startIndex: number;
  /** Ends at a damaged record, instead of throwing. */
  readonly stopAtDamage: boolean;
  readonly follower: LogFollower | null;
}

/** Sees what may count, in the order of the log. `member`: whose log it is; empty where that was not said yet. */
export interface LogFollower {
  /** One behind the start, with bytes that are good until the next record. */
  entry(entry: LogEntry, bytes: Buffer, member: HexId): void;
  committed(commit: number, member: HexId): void;
}

/** @throws {KeyferryError} `datadir.damaged` */
export async function scanLog({ segments, startIndex, stopAtDamage, follower }: LogScan): Promise<LogFacts> {
  const scanner = new Scanner(startIndex, follower);
  let crc: number | null = null;
  let end: LogEnd = { kind: 'whole' };
  try {
    for (const [at, { file }] of segments.entries()) {
      const isLast = at === segments.length - 1;
      const { begun } = scanner;
      const read = await readSegment({ file, crc, isLast, take: (record) => scanner.take(record) });
      ({ crc } = read);
      // Made with their first records in them, under another name: one without has lost what was in it.
      if (scanner.begun === begun) throw damaged(file, 0, 'it says of no member, as every segment does first');
      if (read.end.kind === 'torn') end = { file, ...read.end };
    }
  } catch (error) {
    if (!stopAtDamage || !isKeyferryError(error, 'datadir.damaged')) throw error;
    end = { kind: 'damaged', error };
  }
  return { ...scanner.facts(), end };
}

/** A version is set by an entry this short; longer ones are not looked into. */
const versionEntryBytesMax = 256;
/** The path in a request, or the tag of field 1300 in the union. */
const versionMarks = [Buffer.from('/0/version'), Buffer.from([0xa2, 0x51])];

class Scanner {
  /** Segments that said whose they are. */
  begun = 0;
  private readonly startIndex: number;
  private readonly entry = new EntryReader();
  private metadata: Metadata | null = null;
  private hardState: HardState = { term: 0, commit: 0 };
  private readonly snapshots: SnapshotPoint[] = [];
  private readonly rewinds: { entry: number; index: number }[] = [];
  private lastIndex: number;
  private lastTerm: number | null = null;
  private entries = 0;
  private clusterVersion: string | null = null;
  private padded = false;
  private readonly follower: LogFollower | null;

  constructor(startIndex: number, follower: LogFollower | null) {
    this.startIndex = startIndex;
    this.follower = follower;
    this.lastIndex = startIndex;
  }

  facts(): Omit<LogFacts, 'end'> {
    const { metadata, hardState, snapshots, lastIndex, lastTerm, entries, rewinds, clusterVersion, padded } = this;
    return { metadata, hardState, snapshots, lastIndex, lastTerm, entries, rewinds, clusterVersion, padded };
  }

  take(record: LogRecord): void {
    const { type, bytes, start, end } = record;
    this.padded ||= record.padded;
    switch (type) {
      case recordTypes.entry:
        this.takeEntry(this.entry.read(bytes, start, end), bytes);
        if (this.entry.index > this.startIndex) this.follower?.entry(this.entry, bytes, this.metadata?.nodeId ?? '');
        return;
      case recordTypes.hardState:
        this.hardState = readHardState(new FieldReader(bytes, start, end));
        this.follower?.committed(this.hardState.commit, this.metadata?.nodeId ?? '');
        return;
      case recordTypes.metadata:
        this.takeMetadata(readMetadata(new FieldReader(bytes, start, end)));
        return;
      case recordTypes.snapshot:
        this.snapshots.push(readSnapshotPoint(new FieldReader(bytes, start, end)));
        return;
      case recordTypes.crc:
        return;
      default:
        throw new Malformed(`there is no type ${type} of records`);
    }
  }

  private takeEntry({ index, term, dataStart, dataEnd }: EntryReader, bytes: Buffer): void {
    const entry = this.entries;
    this.entries += 1;
    if (index <= this.startIndex) return;
    if (index > this.lastIndex + 1) throw new Malformed(`entry ${index} follows entry ${this.lastIndex}`);
    if (index <= this.lastIndex) this.rewinds.push({ entry, index });
    this.lastIndex = index;
    this.lastTerm = term;
    if (dataEnd - dataStart > versionEntryBytesMax || !mayTellVersion(bytes, dataStart, dataEnd)) return;
    const content = readEntryContent(bytes, dataStart, dataEnd);
    if (content.kind === 'cluster-version') this.clusterVersion = content.version;
    if (content.kind === 'v2' && content.request.path === '/0/version') this.clusterVersion = content.request.value;
  }

  private takeMetadata(metadata: Metadata): void {
    this.begun += 1;
    const known = this.metadata ?? metadata;
    if (known.nodeId !== metadata.nodeId || known.clusterId !== metadata.clusterId) {
      throw new Malformed(`it is of member ${metadata.nodeId} and no longer of member ${known.nodeId}`);
    }
    this.metadata = metadata;
  }
}

function mayTellVersion(bytes: Buffer, start: number, end: number): boolean {
  if (isOfUser(bytes, start, end)) return false;
  const data = bytes.subarray(start, end);
  return versionMarks.some((mark) => data.includes(mark));
}

/** A request whose path begins with `/1`, which most are: told by the first bytes, as all servers write them. */
function isOfUser(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  if (bytes[at] !== 0x08) return false; // 1: id
  at += 1;
  while (at < end && (bytes[at] as number) >= 0x80) at += 1;
  at += 1;
  if (bytes[at] !== 0x12) return false; // 2: method
  const length = bytes[at + 1] as number;
  if (length > 6) return false; // the union, in which that is a whole request
  at += 2 + length;
  return at + 4 < end && bytes[at] === 0x1a && bytes[at + 2] === 0x2f && bytes[at + 3] === 0x31;
}
