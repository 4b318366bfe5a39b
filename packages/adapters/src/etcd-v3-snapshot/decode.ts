/** Reads what `key` and `lease` of a snapshot hold. Nothing of it is trusted; see key-value.ts for the form. */
import type { Key } from '@keyferry/core';
import type { LeafEntry } from '../bbolt/reader.ts';
import { byteString, noBytes } from '../bytes.ts';
import { FieldReader, Malformed, UsualFields } from '../etcd-v2-datadir/protobuf.ts';
import { isDeletion, readRevision } from './key-value.ts';

/** One revision of one key; one object is filled again and again. */
export class KeyValueReader {
  /** Of the key, in the bytes that it was read from. */
  keyStart = 0;
  keyEnd = 0;
  /** Of the value, in the bytes that it was read from. */
  valueStart = 0;
  valueEnd = 0;
  revision = 0;
  /** In decimal digits; null: none. */
  lease: string | null = null;
  isDeletion = false;
  private bytes: Buffer = noBytes;
  private readonly fields = new UsualFields();

  get key(): Key {
    return byteString(this.bytes, this.keyStart, this.keyEnd) as Key;
  }

  /** @throws {Malformed} */
  read({ bytes, keyStart, keyEnd, valueEnd, isBucket }: LeafEntry): this {
    const revision = isBucket ? 0 : readRevision(bytes, keyStart, keyEnd);
    if (revision === 0) throw new Malformed('an entry of "key" is no revision');
    this.revision = revision;
    this.isDeletion = isDeletion(bytes, keyStart, keyEnd);
    this.bytes = bytes;
    this.lease = null;
    if (this.readUsual(keyEnd, valueEnd)) return this;
    this.valueStart = 0;
    this.valueEnd = 0;
    let hasKey = false;
    const message = new FieldReader(bytes, keyEnd, valueEnd);
    while (message.next()) {
      switch (message.field) {
        case 1:
          message.byteLength();
          this.keyStart = message.start;
          this.keyEnd = message.end;
          hasKey = true;
          break;
        case 3:
          if (message.number() !== revision) throw new Malformed('a record states another revision than its own');
          break;
        case 5:
          message.byteLength();
          this.valueStart = message.start;
          this.valueEnd = message.end;
          break;
        case 6: {
          const lease = message.unsigned();
          this.lease = lease === 0n ? null : lease.toString();
          break;
        }
        default: // create_revision, version
      }
    }
    if (!hasKey) throw new Malformed('a record has no key');
    return this;
  }

  /**
   * A message as etcd's own encoder writes it, fields in ascending order, each once, without a lease: which nearly all are. The
   * revision is that of the entry. @returns false, with nothing said of it: it is written in another way, or wrong
   */
  private readUsual(start: number, end: number): boolean {
    const { bytes, fields } = this;
    fields.at = start;
    const keyBytes = fields.number(bytes, end, 0x0a);
    if (keyBytes < 0) return false;
    this.keyStart = fields.at;
    fields.at += keyBytes;
    this.keyEnd = fields.at;
    if (fields.number(bytes, end, 0x10) < 0 || fields.number(bytes, end, 0x18) !== this.revision) return false;
    if (fields.number(bytes, end, 0x20) < 0) return false;
    // An empty value is left out.
    const valueBytes = fields.at === end ? 0 : fields.number(bytes, end, 0x2a);
    if (valueBytes < 0) return false;
    this.valueStart = fields.at;
    this.valueEnd = fields.at + valueBytes;
    return this.valueEnd === end;
  }
}

export interface Lease {
  readonly id: string;
  /** What is left of it when a server starts on the file. */
  readonly seconds: number;
}

/** leasepb.Lease { 1 ID, 2 TTL, 3 RemainingTTL }; the last one from 3.4 on, 0 for all of it. @throws {Malformed} */
export function readLease({ bytes, keyEnd, valueEnd }: LeafEntry): Lease {
  let [id, ttl, remaining] = ['0', 0, 0];
  const message = new FieldReader(bytes, keyEnd, valueEnd);
  while (message.next()) {
    if (message.field === 1) id = message.unsigned().toString();
    else if (message.field === 2) ttl = message.number();
    else if (message.field === 3) remaining = message.number();
  }
  return { id, seconds: remaining > 0 ? remaining : ttl };
}
