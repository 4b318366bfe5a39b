/** Goal: a list of names is read as JSON would, in pieces of any size, and never half. Method: a law against JSON.parse. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyListReader } from './key-list.ts';

function read(answer: string, pieceBytes: number): readonly string[] {
  const names: string[] = [];
  const reader = new KeyListReader(
    (name) => names.push(name),
    (detail) => new Error(detail),
  );
  const bytes = Buffer.from(answer, 'utf8');
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.write(bytes.subarray(at, at + pieceBytes));
  reader.end();
  return names;
}

describe('a list of keys', () => {
  it('law: is what JSON says it is', () =>
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.integer({ min: 1, max: 9 }), (names, pieceBytes) => {
        expect(read(JSON.stringify(names), pieceBytes)).toEqual(names);
      }),
    ));

  it.each([',', '","', '\\', '"', '\\"', 'a","b', ''])('holds the name %j as it is', (name) =>
    expect(read(JSON.stringify(['x', name, 'y']), 1)).toEqual(['x', name, 'y']),
  );

  it.each(['', '["a"', '["a', '["a",'])('that is cut to %j is not read', (text) =>
    expect(() => read(text, 3)).toThrow('it ends too early'),
  );
});
