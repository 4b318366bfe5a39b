/**
 * Goal: the rows of a COPY are the same wherever the network cuts it, and none is lost or read twice. Method: messages put
 * together by hand after the documented layout, cut at every place and into pieces of every size.
 */
import { describe, expect, it } from 'vitest';
import { readRows, RowStream } from './copy-rows.ts';

const int = (bytes: 2 | 4, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
};
const field = (content: Buffer | string | null): Buffer =>
  content === null ? int(4, -1) : Buffer.concat([int(4, Buffer.byteLength(content)), Buffer.from(content)]);
const message = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from('d'), int(4, body.length + 4), body]);
};
const row = (...fields: readonly (Buffer | string | null)[]): Buffer =>
  message(int(2, fields.length), ...fields.map(field));
const xmin = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const head = message(Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8));
const end = message(int(2, -1));

const copied = Buffer.concat([
  head,
  row('a', 'eins', xmin(737)),
  row('b', null, xmin(4_294_967_295)),
  row('c', '', 'd41d8cd98f00b204e9800998ecf8427e', '!a row is no record'),
  row('d', 'x'.repeat(100), xmin(738), null),
  end,
]);
const rows = [
  ['a', 'eins', '737', null],
  ['b', null, '4294967295', null],
  ['c', '', 'd41d8cd98f00b204e9800998ecf8427e', '!a row is no record'],
  ['d', 'x'.repeat(100), '738', null],
];

const rowsIn = (bytes: Buffer): unknown[] => {
  const found: unknown[] = [];
  readRows(bytes, ({ key, value, version, note }) => {
    found.push([key, value?.toString() ?? null, version, note]);
    return true;
  });
  return found;
};

describe('rows of a COPY', () => {
  it('have key, value, version and note, whatever of them is NULL or not there', () => {
    expect(rowsIn(copied)).toEqual(rows);
  });

  it('are not guessed at where a key is NULL', () => {
    expect(() => rowsIn(row(null, 'x', xmin(1)))).toThrow(/a key of a COPY is NULL/);
  });

  it('are the same in pieces of any size, of which each is gone when the next one comes', () => {
    for (let size = 1; size <= copied.length; size += 1) {
      const found: unknown[] = [];
      const stream = new RowStream((bytes, places) => {
        const textAt = (from: number, to: number): string | null =>
          to < 0 ? null : bytes.toString('latin1', from, to);
        found.push([textAt(places.key, places.keyEnd), textAt(places.value, places.valueEnd)]);
      });
      for (let at = 0; at < copied.length; at += size) {
        const piece = Buffer.from(copied.subarray(at, at + size));
        stream.append(piece);
        piece.fill(0);
      }
      expect(found).toEqual(rows.map(([key, value]) => [key, value]));
    }
  });
});
