/**
 * Writes data directories as etcd does, record by record, for what no server can be made to write on demand: damage, the
 * bare lengths of 2.x, entries that were taken back. Real directories have the last word (test/contract/etcd-v2-datadir*).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '../src/etcd-v2-datadir/crc32c.ts';

export type Framing = 'bare' | 'padded';

const varint = (value: number | bigint): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
};

export const numberField = (field: number, value: number | bigint): Buffer =>
  Buffer.from([...varint(field * 8), ...varint(value)]);
export const bytesField = (field: number, value: Buffer | string): Buffer => {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(bytes.length)]), bytes]);
};

export interface RequestFields {
  readonly method: string;
  readonly path?: string;
  readonly value?: string | Buffer;
  readonly dir?: boolean;
  readonly prevValue?: string;
  readonly prevIndex?: number | bigint;
  readonly prevExist?: boolean;
  readonly expiration?: bigint;
  readonly recursive?: boolean;
  readonly time?: bigint;
  readonly refresh?: boolean;
}

/** etcdserverpb.Request, with every field that etcd always writes. */
export function requestBytes(fields: RequestFields): Buffer {
  const { method, path = '', value = '', dir = false, prevValue = '', prevIndex = 0, prevExist } = fields;
  const { expiration = 0n, recursive = false, time = 0n, refresh } = fields;
  return Buffer.concat([
    numberField(1, 7),
    bytesField(2, method),
    bytesField(3, path),
    bytesField(4, value),
    numberField(5, dir ? 1 : 0),
    bytesField(6, prevValue),
    numberField(7, prevIndex),
    ...(prevExist === undefined ? [] : [numberField(8, prevExist ? 1 : 0)]),
    numberField(9, expiration),
    numberField(10, 0),
    numberField(11, 0),
    numberField(12, recursive ? 1 : 0),
    numberField(13, 0),
    numberField(14, 0),
    numberField(15, time),
    numberField(16, 0),
    ...(refresh === undefined ? [] : [numberField(17, refresh ? 1 : 0)]),
  ]);
}

export const put = (path: string, value: string | Buffer, more: Partial<RequestFields> = {}): Buffer =>
  requestBytes({ method: 'PUT', path: `/1${path}`, value, ...more });

/** raftpb.ConfChange of a member; `kind` 0 adds, 1 removes, 2 updates. */
export function memberChange(kind: number, id: bigint, context: object | null): Buffer {
  const attached = context === null ? [] : [bytesField(4, JSON.stringify(context))];
  return Buffer.concat([numberField(1, 9), numberField(2, kind), numberField(3, id), ...attached]);
}

const recordTypes = { metadata: 1, entry: 2, hardState: 3, crc: 4, snapshot: 5 } as const;

/** One segment of the log, put together record by record. */
export class SegmentWriter {
  private readonly frames: Buffer[] = [];
  private readonly framing: Framing;
  private crc: number;

  /** @param crc of the segment before */
  constructor(framing: Framing = 'padded', crc = 0) {
    this.framing = framing;
    this.crc = crc;
    this.frame(Buffer.concat([numberField(1, recordTypes.crc), numberField(2, crc)]));
  }

  get runningCrc(): number {
    return this.crc;
  }

  /** Length so far: where the next record begins. */
  get length(): number {
    return this.frames.reduce((sum, frame) => sum + frame.length, 0);
  }

  metadata(node = 1n, cluster = 2n): this {
    return this.record(recordTypes.metadata, Buffer.concat([numberField(1, node), numberField(2, cluster)]));
  }

  snapshot(index: number, term: number): this {
    return this.record(recordTypes.snapshot, Buffer.concat([numberField(1, index), numberField(2, term)]));
  }

  hardState(commit: number, term = 1): this {
    return this.record(
      recordTypes.hardState,
      Buffer.concat([numberField(1, term), numberField(2, 1), numberField(3, commit)]),
    );
  }

  entry(index: number, data: Buffer, { type = 0, term = 1 }: { type?: number; term?: number } = {}): this {
    const message = [numberField(1, type), numberField(2, term), numberField(3, index), bytesField(4, data)];
    return this.record(recordTypes.entry, Buffer.concat(message));
  }

  record(type: number, data: Buffer): this {
    this.crc = crc32c(this.crc, data);
    return this.frame(Buffer.concat([numberField(1, type), numberField(2, this.crc), bytesField(3, data)]));
  }

  bytes(zerosBehind = 0): Buffer {
    return Buffer.concat([...this.frames, Buffer.alloc(zerosBehind)]);
  }

  private frame(record: Buffer): this {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(record.length));
    const padding = this.framing === 'bare' ? 0 : (8 - (record.length % 8)) % 8;
    if (padding > 0) length[7] = 0x80 | padding;
    this.frames.push(length, record, Buffer.alloc(padding));
    return this;
  }
}

export interface SnapshotContent {
  readonly index: number;
  readonly term: number;
  readonly json: string;
  readonly voters?: readonly bigint[];
}

/** A .snap file. */
export function snapshotBytes({ index, term, json, voters = [1n] }: SnapshotContent): Buffer {
  const state = Buffer.concat(voters.map((voter) => numberField(1, voter)));
  const metadata = Buffer.concat([bytesField(1, state), numberField(2, index), numberField(3, term)]);
  const data = Buffer.concat([bytesField(1, json), bytesField(2, metadata)]);
  return Buffer.concat([numberField(1, crc32c(0, data)), bytesField(2, data)]);
}

export interface DatadirFiles {
  /** By sequence number, from `firstSequence` on: index of the first entry, content. */
  readonly segments?: readonly (readonly [firstIndex: number, bytes: Buffer])[];
  readonly firstSequence?: number;
  readonly snapshots?: readonly (readonly [point: { readonly index: number; readonly term: number }, bytes: Buffer])[];
}

export async function writeDatadir(folder: string, files: DatadirFiles): Promise<string> {
  const [snap, wal] = [join(folder, 'member', 'snap'), join(folder, 'member', 'wal')];
  await mkdir(snap, { recursive: true });
  await mkdir(wal, { recursive: true });
  const { segments = [], firstSequence = 0, snapshots = [] } = files;
  for (const [at, [firstIndex, bytes]] of segments.entries()) {
    await writeFile(join(wal, `${hex16(firstSequence + at)}-${hex16(firstIndex)}.wal`), bytes);
  }
  for (const [{ index, term }, bytes] of snapshots)
    await writeFile(join(snap, `${hex16(term)}-${hex16(index)}.snap`), bytes);
  return folder;
}

const hex16 = (value: number): string => value.toString(16).padStart(16, '0');
