/** Goal: numbers over both stores only grow, and lead back to what they name (SPEC R60). Method: edges, then laws. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Position } from '../../model/position.ts';
import type { Version } from '../../model/record.ts';
import type { Token } from './client-operation.ts';
import { indexOf, indexOffsetAt, noBridge, tokenAt, type IndexBridge } from './index-bridge.ts';

const position = (number: number): Position => String(number) as Position;
const token = (store: Token['store'], number: number): Token => ({ store, version: String(number) as Version });
const bridge: IndexBridge = { frozenAt: position(1042), indexOffset: '965' };

describe('the offset', () => {
  it.each([
    { name: 'lifts the target above the source', frozenAt: 1042, watchFrom: 77, before: null, want: '965' },
    { name: 'is none where the target is above already', frozenAt: 77, watchFrom: 1042, before: null, want: '0' },
    {
      name: 'never falls when a way forward is gone again',
      frozenAt: 1100,
      watchFrom: 900,
      before: '965',
      want: '965',
    },
    { name: 'grows where the source has come further', frozenAt: 3000, watchFrom: 900, before: '965', want: '2100' },
  ])('$name', ({ frozenAt, watchFrom, before, want }) => {
    expect(indexOffsetAt(position(frozenAt), position(watchFrom), before)).toBe(want);
  });

  it('is not there where positions are no numbers', () => {
    expect(indexOffsetAt('2030-01-31/7' as Position, position(1), null)).toBeNull();
  });
});

describe('a number', () => {
  it.each([
    { name: 'is the version, before anything has moved', of: token('source', 7), over: noBridge, want: 7 },
    { name: 'stays that of the source for a copy', of: token('source', 1042), over: bridge, want: 1042 },
    { name: 'goes on behind the freeze in the target', of: token('target', 78), over: bridge, want: 1043 },
    { name: 'is none for what the reverse tail wrote', of: token('source', 1043), over: bridge, want: null },
    { name: 'is none in a target without an offset', of: token('target', 78), over: noBridge, want: null },
    {
      name: 'is none where versions are no numbers',
      of: { store: 'source', version: 'v' as Version } as const,
      over: bridge,
      want: null,
    },
  ])('$name', ({ of, over, want }) => expect(indexOf(of, over)).toBe(want));

  it.each([
    { name: 'before anything has moved', index: 7, over: noBridge, want: token('source', 7) },
    { name: 'at the freeze', index: 1042, over: bridge, want: token('source', 1042) },
    { name: 'right behind it', index: 1043, over: bridge, want: token('target', 78) },
    { name: 'that is none', index: 0, over: bridge, want: null },
    {
      name: 'that may have been given twice, after a rollback',
      index: 7,
      over: { frozenAt: null, indexOffset: '965' },
      want: null,
    },
  ])('leads back to its record $name', ({ index, over, want }) => expect(tokenAt(index, over)).toEqual(want));

  const head = fc.integer({ min: 1, max: 2 ** 40 });
  it('law: what is written later in either store has a higher one, and each leads back', () =>
    fc.assert(
      fc.property(head, head, fc.nat(1000), fc.nat(1000), (frozenAt, watchFrom, ago, later) => {
        const over = {
          frozenAt: position(frozenAt),
          indexOffset: indexOffsetAt(position(frozenAt), position(watchFrom), null),
        };
        const [inSource, inTarget] = [
          token('source', Math.max(1, frozenAt - ago)),
          token('target', watchFrom + 1 + later),
        ];
        const [before, after] = [inSource, inTarget].map((each) => indexOf(each, over) ?? 0) as [number, number];
        expect(after).toBeGreaterThan(before);
        expect(tokenAt(before, over)).toEqual(inSource);
        expect(tokenAt(after, over)).toEqual(inTarget);
      }),
    ));

  it('law: over two ways forward with a rollback between them, the target goes on above all that it ever gave', () =>
    fc.assert(
      fc.property(head, head, fc.nat(1000), fc.nat(1000), (frozenAt, watchFrom, written, sinceInSource) => {
        const first = indexOffsetAt(position(frozenAt), position(watchFrom), null);
        const highest = indexOf(token('target', watchFrom + written), {
          frozenAt: position(frozenAt),
          indexOffset: first,
        });
        const [nextFreeze, nextHead] = [position(frozenAt + sinceInSource), position(watchFrom + written)];
        const over = { frozenAt: nextFreeze, indexOffset: indexOffsetAt(nextFreeze, nextHead, first) };
        const next = indexOf(token('target', watchFrom + written + 1), over) ?? 0;
        expect(next).toBeGreaterThan(highest ?? 0);
        expect(next).toBeGreaterThan(frozenAt + sinceInSource);
      }),
    ));
});
