/**
 * Messages of the output plugin pgoutput, protocol version 1 (postgresql.org/docs/15/protocol-logicalrep-message-formats.html).
 *
 *     Begin ─► (Relation) Insert, Update, Delete, Truncate … ─► Commit        one transaction, whole, in the order of commits
 *
 * Pure. Values are the text that the type's own output wrote under the settings of the connection.
 */

/** A column's text; null: NULL; undefined: a large value that the change left as it was, and that is not told. */
export type TupleValue = string | null | undefined;
export type Tuple = readonly TupleValue[];

export interface Relation {
  /** Of pg_class. */
  readonly oid: string;
  readonly columns: readonly string[];
  /** What an update or a delete tells of the row as it was; null: all columns. */
  readonly identity: readonly string[] | null;
}

export type RowMessage =
  | { readonly kind: 'insert'; readonly oid: string; readonly after: Tuple }
  /** `before`: the columns of the replica identity, others NULL, where one of them changed; all of them where it is full. */
  | { readonly kind: 'update'; readonly oid: string; readonly before: Tuple | null; readonly after: Tuple }
  | { readonly kind: 'delete'; readonly oid: string; readonly before: Tuple };

export type PgoutputMessage =
  | RowMessage
  /** `transaction`: as xmin has it. */
  | { readonly kind: 'begin'; readonly transaction: string }
  /** `end`: where the transaction ends in the log; reading on from there does not show it again. */
  | { readonly kind: 'commit'; readonly end: bigint }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'truncate'; readonly oids: readonly string[] }
  /** Types and origins, which say nothing of rows. */
  | { readonly kind: 'other' };

/** @throws {RangeError} it is no such message */
export function readMessage(bytes: Buffer): PgoutputMessage {
  const reader = new Reader(bytes);
  const kind = String.fromCharCode(reader.byte());
  switch (kind) {
    case 'B':
      reader.skip(16); // end of the transaction, and when it was committed
      return { kind: 'begin', transaction: String(reader.uint32()) };
    case 'C':
      reader.skip(9); // flags, and where the commit itself is
      return { kind: 'commit', end: reader.uint64() };
    case 'R':
      return { kind: 'relation', relation: readRelation(reader) };
    case 'I': {
      const oid = String(reader.uint32());
      reader.expect('N');
      return { kind: 'insert', oid, after: readTuple(reader) };
    }
    case 'U': {
      const oid = String(reader.uint32());
      const part = String.fromCharCode(reader.byte());
      if (part === 'N') return { kind: 'update', oid, before: null, after: readTuple(reader) };
      if (part !== 'K' && part !== 'O') throw new RangeError(`an update with a part ${part}`);
      const before = readTuple(reader);
      reader.expect('N');
      return { kind: 'update', oid, before, after: readTuple(reader) };
    }
    case 'D': {
      const oid = String(reader.uint32());
      reader.skip(1); // K or O: which columns there are is told by the columns
      return { kind: 'delete', oid, before: readTuple(reader) };
    }
    case 'T': {
      const count = reader.uint32();
      reader.skip(1); // CASCADE, RESTART IDENTITY
      return { kind: 'truncate', oids: Array.from({ length: count }, () => String(reader.uint32())) };
    }
    case 'Y':
    case 'O':
    case 'M':
      return { kind: 'other' };
    default:
      throw new RangeError(`a message of kind ${JSON.stringify(kind)}`);
  }
}

function readRelation(reader: Reader): Relation {
  const oid = String(reader.uint32());
  reader.text(); // schema
  reader.text(); // name
  const isFull = String.fromCharCode(reader.byte()) === 'f';
  const columns = Array.from({ length: reader.uint16() }, () => {
    const isIdentity = reader.byte() === 1;
    const name = reader.text();
    reader.skip(8); // type and its modifier
    return { name, isIdentity };
  });
  const identity = columns.filter(({ isIdentity }) => isIdentity).map(({ name }) => name);
  return { oid, columns: columns.map(({ name }) => name), identity: isFull ? null : identity };
}

function readTuple(reader: Reader): Tuple {
  return Array.from({ length: reader.uint16() }, (): TupleValue => {
    const kind = String.fromCharCode(reader.byte());
    if (kind === 'n') return null;
    if (kind === 'u') return undefined;
    if (kind !== 't') throw new RangeError(`a value of kind ${kind}`);
    return reader.bytes(reader.uint32()).toString('utf8');
  });
}

class Reader {
  private readonly buffer: Buffer;
  private at = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  byte(): number {
    return this.bytes(1).readUInt8();
  }

  uint16(): number {
    return this.bytes(2).readUInt16BE();
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE();
  }

  text(): string {
    const end = this.buffer.indexOf(0, this.at);
    if (end === -1) throw new RangeError('a text without an end');
    const text = this.bytes(end - this.at).toString('utf8');
    this.skip(1);
    return text;
  }

  expect(kind: string): void {
    const found = String.fromCharCode(this.byte());
    if (found !== kind) throw new RangeError(`a part ${found} where ${kind} belongs`);
  }

  skip(count: number): void {
    this.bytes(count);
  }

  bytes(count: number): Buffer {
    const end = this.at + count;
    if (end > this.buffer.length) throw new RangeError('a message that ends too early');
    const found = this.buffer.subarray(this.at, end);
    this.at = end;
    return found;
  }
}
