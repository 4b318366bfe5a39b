/**
 * Goal: what PostgreSQL's documentation says of a message is what is read of it, and what is cut off is an error and never a
 * shorter row. Method: messages put together by hand after the documented layout; every shorter one of each.
 */
import { describe, expect, it } from 'vitest';
import { readMessage } from './pgoutput.ts';

const uint = (bytes: number, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
};
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const told = (value: string): Buffer =>
  Buffer.concat([Buffer.from('t'), uint(4, Buffer.byteLength(value)), Buffer.from(value)]);
const message = (kind: string, ...parts: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from(kind), ...parts]);
const tuple = (...values: readonly Buffer[]): Buffer => Buffer.concat([uint(2, values.length), ...values]);
const [isNull, unchanged] = [Buffer.from('n'), Buffer.from('u')];
const eight = Buffer.alloc(8);

const cases = [
  {
    name: 'begin',
    bytes: message('B', eight, eight, uint(4, 4_294_967_295)),
    want: { kind: 'begin', transaction: '4294967295' },
  },
  {
    name: 'commit',
    bytes: message('C', uint(1, 0), eight, Buffer.concat([uint(4, 1), uint(4, 16)]), eight),
    want: { kind: 'commit', end: 2n ** 32n + 16n },
    // The time of the commit is not read.
    readBytes: 18,
  },
  {
    name: 'a relation',
    bytes: message(
      'R',
      uint(4, 16_384),
      text('jm'),
      text('jobs'),
      Buffer.from('d'),
      uint(2, 1),
      uint(1, 1),
      text('größe'),
      eight,
    ),
    want: { kind: 'relation', relation: { oid: '16384', columns: ['größe'], identity: ['größe'] } },
  },
  {
    name: 'a relation whose rows are told whole',
    bytes: message('R', uint(4, 7), text('a'), text('b'), Buffer.from('f'), uint(2, 1), uint(1, 0), text('c'), eight),
    want: { kind: 'relation', relation: { oid: '7', columns: ['c'], identity: null } },
  },
  {
    name: 'an insert',
    bytes: message('I', uint(4, 7), Buffer.from('N'), tuple(told('ä'), isNull, unchanged, told(''))),
    want: { kind: 'insert', oid: '7', after: ['ä', null, undefined, ''] },
  },
  {
    name: 'an update that leaves the key',
    bytes: message('U', uint(4, 7), Buffer.from('N'), tuple(told('a'))),
    want: { kind: 'update', oid: '7', before: null, after: ['a'] },
  },
  {
    name: 'an update of the key',
    bytes: message(
      'U',
      uint(4, 7),
      Buffer.from('K'),
      tuple(told('a'), isNull),
      Buffer.from('N'),
      tuple(told('b'), unchanged),
    ),
    want: { kind: 'update', oid: '7', before: ['a', null], after: ['b', undefined] },
  },
  {
    name: 'a delete',
    bytes: message('D', uint(4, 7), Buffer.from('O'), tuple(told('a'))),
    want: { kind: 'delete', oid: '7', before: ['a'] },
  },
  {
    name: 'a truncation of two tables',
    bytes: message('T', uint(4, 2), uint(1, 1), uint(4, 7), uint(4, 8)),
    want: { kind: 'truncate', oids: ['7', '8'] },
  },
];

describe('readMessage', () => {
  it.each(cases)('reads $name, and nothing shorter', ({ bytes, want, readBytes = bytes.length }) => {
    expect(readMessage(bytes)).toEqual(want);
    for (let length = 0; length < readBytes; length += 1) {
      expect(() => readMessage(bytes.subarray(0, length))).toThrow(RangeError);
    }
  });

  it('refuses what it does not know', () => {
    expect(() => readMessage(message('S', uint(4, 1)))).toThrow(RangeError);
    expect(() => readMessage(message('I', uint(4, 7), Buffer.from('N'), tuple(Buffer.from('b'))))).toThrow(RangeError);
    expect(() => readMessage(message('U', uint(4, 7), Buffer.from('X')))).toThrow(RangeError);
  });
});
