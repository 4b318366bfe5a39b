/**
 * An answer of KV.Range as a page: where in its bytes each key and value lies, and no object a record.
 *
 * Decoded into the objects of `responses.ts`, a record costs two views of bytes and five texts; most of a scan asks for none
 * of them (ADR 6).
 */
import type { IResponseHeader } from 'etcd3';
import { MessageReader } from './message-reader.ts';
import { block, integer, noHeader, readHeader } from './responses.ts';

export interface RangePage {
  readonly header: IResponseHeader;
  readonly more: boolean;
  /** Keys in the range that was asked for. */
  readonly count: number;
  readonly bytes: Buffer;
  readonly records: number;
  /** Four numbers a record: start and end of its key, start and end of its value. */
  readonly spans: Uint32Array;
  /** Where the decimal text of each `mod_revision` can be read; see `revisionAt`. */
  readonly revisions: Uint32Array;
  /** The lease of each record that has one, by its index; null where none has. */
  readonly leases: readonly (string | undefined)[] | null;
}

const firstRecords = 1024;

export function decodeRangePage(bytes: Buffer): RangePage {
  const reader = new MessageReader(bytes);
  const records = new RecordSpans();
  let header = noHeader;
  let more = false;
  let count = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(2)) reader.message((inner) => records.read(inner));
    else if (tag === block(1)) header = reader.message(readHeader);
    else if (tag === integer(3)) more = reader.boolean();
    else if (tag === integer(4)) count = Number(reader.int64());
    else reader.skip(tag);
  }
  return { header, more, count, bytes, ...records.result() };
}

/** `mod_revision` of a record, in decimal digits. @param at of `revisions` */
export function revisionAt(bytes: Buffer, at: number): string {
  return at === 0 ? '0' : new MessageReader(bytes, at).int64();
}

class RecordSpans {
  private records = 0;
  private spans = new Uint32Array(4 * firstRecords);
  private revisions = new Uint32Array(firstRecords);
  private leases: (string | undefined)[] | null = null;

  read(reader: MessageReader): void {
    if (this.records === this.revisions.length) this.grow();
    const { records } = this;
    const at = 4 * records;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === block(1)) this.span(at, reader);
      else if (tag === block(5)) this.span(at + 2, reader);
      else if (tag === integer(3)) {
        this.revisions[records] = reader.place;
        reader.skip(tag);
      } else if (tag === integer(6)) {
        this.leases ??= [];
        this.leases[records] = reader.int64();
      } else reader.skip(tag);
    }
    this.records += 1;
  }

  result(): Pick<RangePage, 'records' | 'spans' | 'revisions' | 'leases'> {
    const { records, spans, revisions, leases } = this;
    return { records, spans, revisions, leases };
  }

  private span(at: number, reader: MessageReader): void {
    const length = reader.skipBlock();
    this.spans[at] = reader.place - length;
    this.spans[at + 1] = reader.place;
  }

  private grow(): void {
    const { spans, revisions } = this;
    this.spans = new Uint32Array(2 * spans.length);
    this.spans.set(spans);
    this.revisions = new Uint32Array(2 * revisions.length);
    this.revisions.set(revisions);
  }
}
