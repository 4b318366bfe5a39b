/**
 * What etcd's log is made of, as far as it matters here.
 *
 * Sources: etcd 3.4 `wal/walpb/record.proto`, `raft/raftpb/raft.proto`, `etcdserver/etcdserverpb/etcdserver.proto`;
 * the same field numbers in 2.0 to 3.5.
 */
import { FieldReader, Malformed, UsualFields } from './protobuf.ts';

/** walpb.Record.type */
export const recordTypes = { metadata: 1, entry: 2, hardState: 3, crc: 4, snapshot: 5 } as const;

/** raftpb.EntryType. ConfChangeV2 (2) is known to raft, and no etcd proposes one. */
export const entryTypes = { normal: 0, confChange: 1 } as const;

/** Lower-case hex without padding, as etcd writes ids. */
export type HexId = string;

export interface Metadata {
  readonly nodeId: HexId;
  readonly clusterId: HexId;
}

export interface HardState {
  readonly term: number;
  readonly commit: number;
}

/** Index and term of a snapshot, as the log or the snapshot itself states them. */
export interface SnapshotPoint {
  readonly index: number;
  readonly term: number;
}

export function readMetadata(message: FieldReader): Metadata {
  let nodeId = 0n;
  let clusterId = 0n;
  while (message.next()) {
    if (message.field === 1) nodeId = message.unsigned();
    else if (message.field === 2) clusterId = message.unsigned();
  }
  return { nodeId: nodeId.toString(16), clusterId: clusterId.toString(16) };
}

export function readHardState(message: FieldReader): HardState {
  let term = 0;
  let commit = 0;
  while (message.next()) {
    if (message.field === 1) term = message.number();
    else if (message.field === 3) commit = message.number();
  }
  return { term, commit };
}

export function readSnapshotPoint(message: FieldReader): SnapshotPoint {
  let index = 0;
  let term = 0;
  while (message.next()) {
    if (message.field === 1) index = message.number();
    else if (message.field === 2) term = message.number();
  }
  return { index, term };
}

/** An entry, and where in the bytes that it was read from its data lies. */
export interface LogEntry {
  readonly type: number;
  readonly term: number;
  readonly index: number;
  readonly dataStart: number;
  readonly dataEnd: number;
}

/** An entry whose data stays where it is. One object is filled again and again: there are millions of them. */
export class EntryReader implements LogEntry {
  type = 0;
  term = 0;
  index = 0;
  dataStart = 0;
  dataEnd = 0;
  private readonly fields = new UsualFields();

  read(bytes: Buffer, start: number, end: number): this {
    if (this.readUsual(bytes, start, end)) return this;
    this.type = 0;
    this.term = 0;
    this.index = 0;
    this.dataStart = 0;
    this.dataEnd = 0;
    const message = new FieldReader(bytes, start, end);
    while (message.next()) {
      if (message.field === 1) this.type = message.number();
      else if (message.field === 2) this.term = message.number();
      else if (message.field === 3) this.index = message.number();
      else if (message.field === 4) {
        message.byteLength();
        this.dataStart = message.start;
        this.dataEnd = message.end;
      }
    }
    return this;
  }

  /** @returns false, with nothing said of it: it is written in another way, or wrong */
  private readUsual(bytes: Buffer, start: number, end: number): boolean {
    const { fields } = this;
    fields.at = start;
    this.type = fields.number(bytes, end, 0x08);
    this.term = this.type < 0 ? -1 : fields.number(bytes, end, 0x10);
    this.index = this.term < 0 ? -1 : fields.number(bytes, end, 0x18);
    const dataBytes = this.index < 0 ? -1 : fields.number(bytes, end, 0x22);
    if (dataBytes < 0) return false;
    this.dataStart = fields.at;
    this.dataEnd = fields.at + dataBytes;
    return this.dataEnd === end;
  }
}

/** raftpb.ConfChangeType */
export type ConfChangeKind = 'add' | 'remove' | 'update' | 'add-learner';
const confChangeKinds: readonly ConfChangeKind[] = ['add', 'remove', 'update', 'add-learner'];

export interface ConfChange {
  readonly kind: ConfChangeKind;
  readonly member: HexId;
  /** What etcd attached: a member as JSON; empty for a removal. */
  readonly context: Buffer;
}

export function readConfChange(message: FieldReader): ConfChange {
  let kind = 0;
  let member = 0n;
  let context: Buffer = Buffer.alloc(0);
  while (message.next()) {
    if (message.field === 2) kind = message.number();
    else if (message.field === 3) member = message.unsigned();
    else if (message.field === 4) {
      message.byteLength();
      context = message.bytes.subarray(message.start, message.end);
    }
  }
  const named = confChangeKinds[kind];
  if (named === undefined) throw new Malformed(`it changes the members in an unknown way (${kind})`);
  return { kind: named, member: member.toString(16), context };
}

export interface RaftSnapshot extends SnapshotPoint {
  readonly voters: readonly HexId[];
}

/** raftpb.SnapshotMetadata: members that vote, index, term. */
export function readSnapshotMetadata(message: FieldReader): RaftSnapshot {
  const voters: HexId[] = [];
  let index = 0;
  let term = 0;
  while (message.next()) {
    if (message.field === 1) {
      const state = message.message();
      while (state.next()) if (state.field === 1) voters.push(state.unsigned().toString(16));
    } else if (message.field === 2) index = message.number();
    else if (message.field === 3) term = message.number();
  }
  return { voters, index, term };
}
