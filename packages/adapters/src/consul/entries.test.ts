/**
 * Goal: entries come out of an answer as they are in it, wherever it is cut into pieces, and a part of an answer never
 * passes for all of it. Method: tables, a cut at every byte, and a law over generated entries.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asTransaction, EntryStream, isText, type Framing, type WireEntry } from './entries.ts';

const broken = (detail: string): Error => new Error(detail);

function read(answer: string, pieceBytes: number, framing?: Framing): readonly WireEntry[] {
  const entries: WireEntry[] = [];
  const stream = new EntryStream((entry) => entries.push(entry), broken, framing);
  const bytes = Buffer.from(answer, 'utf8');
  for (let at = 0; at < bytes.length; at += pieceBytes) stream.write(bytes.subarray(at, at + pieceBytes));
  stream.end();
  return entries;
}

/** As Go's encoding/json writes an entry. */
const written = (key: string, value: string | null = 'dg==', more = ''): string =>
  `{"LockIndex":0,"Key":${JSON.stringify(key)},"Flags":0,"Value":${JSON.stringify(value)},${more}"CreateIndex":7,"ModifyIndex":9}`;

describe('entries of an answer', () => {
  const trap = 'a},{"LockIndex":0,"Key":"b';
  const answer = `[${[written('a'), written(trap), written('é😀', null), written('last')].join(',')}]`;

  it('come whole from pieces of any size, whatever their keys look like', () => {
    for (let size = 1; size <= answer.length; size += 1) {
      expect(read(answer, size).map(({ Key }) => Key)).toEqual(['a', trap, 'é😀', 'last']);
    }
  });

  it('come out of a transaction too', () => {
    const names = ['a', `b}},{"KV":{"LockIndex":0`, 'é😀'];
    const large = 'x'.repeat(400_000);
    for (const value of ['dg==', large]) {
      const results = names.map((name) => `{"KV":${written(name, value)}}`);
      const whole = `{"Results":[${results.join(',')}],"Errors":null,"Index":0,"KnownLeader":true}`;
      for (const size of [1, 7, 64, 5000, whole.length].filter((each) => value !== large || each > 64)) {
        expect(read(whole, size, asTransaction).map(({ Key }) => Key)).toEqual(names);
      }
      for (const cut of [1, 20, 60]) expect(() => read(whole.slice(0, -cut), 5000, asTransaction)).toThrow(/^it/);
    }
    expect(read('{"Results":[],"Errors":null}', 3, asTransaction)).toEqual([]);
  });

  it('law: are what was written, also when there are more than fit into one part', () => {
    const names = fc.array(fc.string({ unit: 'grapheme', maxLength: 8 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 400_000 }), (keys, pieceBytes) => {
        const value = Buffer.alloc(50_000, 1).toString('base64');
        const all = keys.map((key, i) => written(`${i}${key}`, value));
        const found = read(`[${all.join(',')}]`, pieceBytes);
        expect(found.map(({ Key }) => Key)).toEqual(keys.map((key, i) => `${i}${key}`));
        expect(found.every(({ Value }) => Value === value)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('keep flags of 64 bits exactly', () => {
    const max = written('k').replace('"Flags":0', '"Flags":18446744073709551615');
    expect(read(`[${max}]`, 10).map(({ Flags }) => Flags)).toEqual(['18446744073709551615']);
  });

  it('tell a key that is not UTF-8 from one that holds U+FFFD', () => {
    const keys = [written('k').replace('"k"', '"k\\ufffd"'), written('k�'), written('k\\ufffd')];
    const found = read(`[${keys.join(',')}]`, 1000);
    expect(found.map(({ Key }) => isText(Key))).toEqual([false, true, true]);
    expect(found.map(({ Key }) => Key).slice(1)).toEqual(['k�', 'k\\ufffd']);
  });

  it.each([
    ['nothing', ''],
    ['a list that stops between two entries', `[${written('a')},`],
    ['a list that stops within an entry', `[${written('a').slice(0, -4)}`],
    ['a list without its bracket', `[${written('a')}`],
    ['an object', '{"a":1}'],
    ['a list of something else', '[{"Key":1}]'],
    ['a page of HTML', '<html></html>'],
    ['null', 'null'],
  ])('are not read from %s', (_, text) => expect(() => read(text, 7)).toThrow(/^it|^something/));
});
