/** Goal: a mark says what was put into it, and nothing else is taken for one. Method: a law, and what is cut short. */
import * as fc from 'fast-check';
import { keyFromBytes, type Version } from '@keyferry/core';
import { expect, it } from 'vitest';
import { decodeMark, encodeMark, type MarkEntry } from './marks.ts';

const anyEntry: fc.Arbitrary<MarkEntry> = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => keyFromBytes(bytes)),
  kind: fc.constantFrom('created', 'replaced', 'gone', 'back'),
  version: fc.option(
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
      bytes[0] = (bytes[0] ?? 0) | 1; // all noughts stand for none
      return Buffer.from(bytes).toString('hex') as Version;
    }),
  ),
});

it('law: a mark comes back as it was', () =>
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 100 }), (entries) => {
      expect(decodeMark(encodeMark(entries))).toEqual(entries);
    }),
  ));

it('a mark that was cut short, or is something else, is none', () => {
  const [entry] = fc.sample(anyEntry, 1);
  const whole = encodeMark([entry as MarkEntry]);
  for (let length = 1; length < whole.length; length += 1) expect(decodeMark(whole.subarray(0, length))).toBeNull();
  expect(decodeMark(Buffer.from([9, ...whole.subarray(1)]))).toBeNull();
});
