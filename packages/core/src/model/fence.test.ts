/** Goal: a store that compares bytes orders fences as we do, and no token is ever handed out twice. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareFences, fenceFromText, fenceToText, nextToken } from './fence.ts';

const anyFence = fc.record({ attempt: fc.nat(1_000_000), token: fc.nat(1_000_000) });

describe('fences', () => {
  it('law: their text sorts by bytes as they compare', () =>
    fc.assert(
      fc.property(anyFence, anyFence, (a, b) => {
        const [x, y] = [fenceToText(a), fenceToText(b)];
        expect(Math.sign(x < y ? -1 : x > y ? 1 : 0)).toBe(Math.sign(compareFences(a, b)));
      }),
    ));

  it('law: text survives', () =>
    fc.assert(
      fc.property(anyFence, (fence) => {
        expect(fenceFromText(fenceToText(fence))).toEqual(fence);
      }),
    ));

  it.each(['', '1.1', '0000000001.000000000x', '0000000001.00000000001'])('refuses %j', (text) => {
    expect(fenceFromText(text)).toBeNull();
  });

  it.each([
    { name: 'state ahead', remembered: 4, inTarget: { attempt: 2, token: 1 }, want: 5 },
    { name: 'target ahead: the state was forgotten', remembered: 0, inTarget: { attempt: 2, token: 7 }, want: 8 },
    { name: 'an older attempt in the target', remembered: 0, inTarget: { attempt: 1, token: 7 }, want: 1 },
    { name: 'nothing anywhere', remembered: 0, inTarget: null, want: 1 },
  ])('takes one more than both know: $name', ({ remembered, inTarget, want }) => {
    expect(nextToken(2, remembered, inTarget)).toBe(want);
  });
});
