/**
 * What a transformer of `etcdctl migrate` writes, read piece by piece: records of mvccpb.KeyValue, each behind its length
 * in 8 bytes, little-endian.
 *
 * etcdctl stops at the first thing that it cannot read, and says that all went well. Here everything has to be a record,
 * to the last byte: a length that no record has (text on stdout reads as one), a field that a KeyValue has not, a record
 * that is cut off.
 *
 * Source: etcd 3.4 etcdctl/ctlv3/command/migrate_command.go (readKeys), mvcc/mvccpb/kv.proto.
 */
import { keyFromBytes, type Key } from '@keyferry/core';
import { FieldReader, Malformed } from '../etcd-v2-datadir/protobuf.ts';

export interface KeyValue {
  readonly key: Key;
  readonly value: Uint8Array;
  /** Decimal; what `modifiedIndex` was, where the program copies it. */
  readonly modRevision: string;
  readonly lease: bigint;
}

/** `at`: the byte of the output at which the record begins. */
export class NotAKeyValue extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** No v2 value is larger than 10 MiB, and nothing that a target takes. */
const recordBytesMax = 64 * 1024 * 1024;
const lengthBytes = 8;

export class KeyValueReader {
  private pieces: Buffer[] = [];
  private gathered = 0;
  private at = 0;

  /** The records that have come in whole. @throws {NotAKeyValue} */
  *take(piece: Buffer): Generator<KeyValue> {
    this.pieces.push(piece);
    this.gathered += piece.length;
    for (let needs = this.needs(); needs !== null && this.gathered >= needs; needs = this.needs()) {
      const bytes = this.joined();
      this.pieces = [bytes.subarray(needs)];
      this.gathered -= needs;
      yield keyValueOf(bytes.subarray(lengthBytes, needs), this.at);
      this.at += needs;
    }
  }

  /** Call at the end of the output. @throws {NotAKeyValue} when it ends within a record */
  end(): void {
    if (this.gathered === 0) return;
    throw new NotAKeyValue(this.at, `it ends ${this.gathered} bytes into a record`);
  }

  /** Bytes of the next record and its length; null: not even that is there. */
  private needs(): number | null {
    if (this.gathered < lengthBytes) return null;
    if ((this.pieces[0] as Buffer).length < lengthBytes) this.joined();
    const length = (this.pieces[0] as Buffer).readBigInt64LE(0);
    if (length < 1n || length > BigInt(recordBytesMax)) {
      throw new NotAKeyValue(this.at, `no record has a length of ${length} bytes`);
    }
    return lengthBytes + Number(length);
  }

  private joined(): Buffer {
    const [first] = this.pieces;
    const bytes = this.pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.pieces);
    this.pieces = [bytes];
    return bytes;
  }
}

function keyValueOf(bytes: Buffer, at: number): KeyValue {
  try {
    return readKeyValue(bytes);
  } catch (error) {
    if (error instanceof Malformed) throw new NotAKeyValue(at, error.message);
    throw error;
  }
}

function readKeyValue(bytes: Buffer): KeyValue {
  let key: Key | null = null;
  let value: Uint8Array = new Uint8Array(0);
  let [modRevision, lease] = [0n, 0n];
  const fields = new FieldReader(bytes);
  while (fields.next()) {
    switch (fields.field) {
      case 1:
        key = keyFromBytes(fields.content());
        break;
      case 2: // create_revision
      case 4: // version
        fields.signed();
        break;
      case 3:
        modRevision = fields.signed();
        break;
      case 5:
        value = Uint8Array.from(fields.content());
        break;
      case 6:
        lease = fields.signed();
        break;
      default:
        throw new Malformed(`a KeyValue has no field ${fields.field}`);
    }
  }
  if (key === null || key === '') throw new Malformed('it has no key');
  return { key, value, modRevision: String(modRevision), lease };
}
