/**
 * Goal: a reader of a stream meets every shard once, none before the one that it came from was read to its end, and takes what
 * nobody can tell any more for lost. Method: the cases of a table that splits, then a stream that grows and is trimmed at random.
 */
import type { Position } from '@keyferry/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasRead, leavesOf, meetShards, placeOf, positionOf, reaches, type ListedShard, type Place } from './place.ts';

const label = '2026-11-28T10:22:00.633';
const at = (shards: Record<string, string>): Place => ({ stream: label, shards: new Map(Object.entries(shards)) });
const shard = (id: string, parent: string | null, isClosed = false): ListedShard => ({ id, parent, isClosed });
const met = (place: Place, listed: readonly ListedShard[]) => {
  const result = meetShards(place, listed);
  return result.kind === 'lost' ? result.why : Object.fromEntries(result.place.shards);
};
const parentsOf = (listed: readonly ListedShard[]) => new Map(listed.map(({ id, parent }) => [id, parent]));

describe('a place', () => {
  it('is one text, whatever the order, and comes back from it', () => {
    const text = `${label},shardId-1-a:21,shardId-2-b:begin,shardId-3-c:end`;
    const place = at({ 'shardId-3-c': 'end', 'shardId-1-a': '21', 'shardId-2-b': 'begin' });
    expect(positionOf(place)).toBe(text);
    expect(positionOf(placeOf('s', text as Position))).toBe(text);
  });

  it.each(['', label, `${label},a`, `${label},a:x`, `${label},a:1,a:2`, `,a:1`, '17'])('is not %j', (text) => {
    expect(() => placeOf('s', text as Position)).toThrow(expect.objectContaining({ code: 'store.answer-unexpected' }));
  });
});

describe('meeting shards', () => {
  const split = [shard('p', null, true), shard('c1', 'p'), shard('c2', 'p')];

  it('begins no shard before the one that it came from was read to its end', () => {
    expect(met(at({ p: '17' }), split)).toEqual({ p: '17' });
    expect(met(at({ p: 'end' }), split)).toEqual({ c1: 'begin', c2: 'begin' });
  });

  it('begins one that is listed later than its sibling', () => {
    expect(met(at({ p: 'end' }), split.slice(0, 2))).toEqual({ c1: 'begin' });
    expect(met(at({ c1: '21' }), split)).toEqual({ c1: '21', c2: 'begin' });
  });

  it('reads none again that lies behind it, and waits for what has not come', () => {
    const listed = [shard('old', null, true), shard('p', 'old', true), shard('c1', 'p')];
    expect(met(at({ c1: '21' }), listed)).toEqual({ c1: '21' });
    expect(met(at({ p: 'end' }), listed.slice(0, 2))).toEqual({ p: 'end' });
  });

  it('goes through several generations, one after another', () => {
    const listed = [shard('p', null, true), shard('c', 'p', true), shard('g', 'c')];
    expect(met(at({ p: '17' }), listed)).toEqual({ p: '17' });
    expect(met(at({ p: 'end' }), listed)).toEqual({ c: 'begin' });
    expect(met(at({ c: 'end' }), listed)).toEqual({ g: 'begin' });
  });

  it.each([
    { name: 'a shard that was not read to its end is gone', place: { p: '17' }, listed: [shard('q', null)] },
    { name: 'one came and went unread', place: { p: 'end' }, listed: [shard('g', 'c')] },
    { name: 'one was not begun in time', place: { c: 'begin' }, listed: [shard('c', 'p')] },
  ])('is lost when $name', ({ place, listed }) => {
    expect(met(at(place as unknown as Record<string, string>), listed)).toMatch(/gone/);
  });

  it('law: each shard is read once and after its parent, or the place is lost, and only by a trim', () =>
    fc.assert(
      fc.property(fc.array(fc.nat(99), { minLength: 1, maxLength: 60 }), (moves) => {
        let listed: readonly ListedShard[] = [shard('s0', null)];
        let place = at({ s0: '1' });
        const begun: string[] = ['s0'];
        const ended = new Set<string>();
        let trims = 0;
        for (const move of moves) {
          const open = listed.filter(({ isClosed }) => !isClosed);
          const pick = open[move % open.length] as ListedShard;
          if (move < 30) {
            const children = Array.from({ length: 1 + (move % 2) }, (_, i) => shard(`${pick.id}.${i}`, pick.id));
            listed = [...listed.map((each) => (each === pick ? { ...each, isClosed: true } : each)), ...children];
          } else if (move < 33) {
            // The oldest goes, if it is closed.
            if (listed[0]?.isClosed === true) [listed, trims] = [listed.slice(1), trims + 1];
          } else {
            const readable = [...place.shards].filter(([, where]) => where !== 'end').map(([id]) => id);
            const id = readable[move % Math.max(1, readable.length)];
            if (id === undefined) continue;
            const isClosed = listed.find((each) => each.id === id)?.isClosed === true;
            if (isClosed) ended.add(id);
            place = { ...place, shards: new Map([...place.shards, [id, isClosed ? 'end' : '5']]) };
          }
          const next = meetShards(place, listed);
          if (next.kind === 'lost') return trims > 0;
          for (const id of next.place.shards.keys()) {
            if (place.shards.has(id)) continue;
            if (begun.includes(id) || !ended.has(id.slice(0, id.lastIndexOf('.')))) return false;
            begun.push(id);
          }
          place = next.place;
        }
        return true;
      }),
    ));
});

describe('reaching a mark', () => {
  const parents = parentsOf([shard('p', null, true), shard('c1', 'p', true), shard('c2', 'p'), shard('g', 'c1')]);

  it.each([
    { place: { p: '17' }, mark: { p: '17' }, is: true },
    { place: { p: '9' }, mark: { p: '17' }, is: false },
    { place: { p: 'end' }, mark: { p: '17' }, is: true },
    { place: { c1: 'begin', c2: 'begin' }, mark: { p: '17' }, is: true },
    { place: { p: '99' }, mark: { c1: '21', c2: '22' }, is: false },
    { place: { c1: '21', c2: '5' }, mark: { c1: '21', c2: '22' }, is: false },
    { place: { g: 'begin', c2: '22' }, mark: { c1: '21', c2: '22' }, is: true },
    { place: { g: 'begin', c2: '22' }, mark: { unheard: '1' }, is: false },
  ])('$place and $mark: $is', ({ place, mark, is }) => {
    const text = (shards: object) => at(shards as Record<string, string>);
    expect(reaches(text(place), text(mark), parents)).toBe(is);
  });

  it('is never in another stream', () => {
    expect(reaches({ ...at({ p: '17' }), stream: 'other' }, at({ p: '17' }), parents)).toBe(false);
  });

  it('ends in those without children', () => {
    const listed = [shard('p', null, true), shard('c1', 'p'), shard('c2', 'p')];
    expect(leavesOf(listed).map(({ id }) => id)).toEqual(['c1', 'c2']);
  });
});

describe('a record of a number whose shard nobody names', () => {
  const listed = [shard('p', null, true), shard('c1', 'p'), shard('c2', 'p')];
  const isRead = (place: Record<string, string>, number: string, shards = listed) =>
    hasRead(at(place), { stream: label, number }, shards, parentsOf(shards));

  it.each([
    {
      name: 'of a number whose shard nobody names is read where each open shard was read that far',
      place: { c1: '21', c2: '22' },
      number: '21',
      is: true,
    },
    { name: 'is not where one was not', place: { c1: '21', c2: '20' }, number: '21', is: false },
    { name: 'is not where one was not begun', place: { c1: '21', c2: 'begin' }, number: '21', is: false },
    {
      name: 'is not where a shard has ended, and what follows it may not be listed',
      place: { c1: '21', c2: 'end' },
      number: '5',
      is: false,
    },
    { name: 'is not in a shard that follows the one that is read', place: { p: '17' }, number: '18', is: false },
    { name: 'counts digits, and compares no text', place: { c1: '100', c2: '100' }, number: '99', is: true },
  ])('$name', ({ place, number, is }) => {
    expect(isRead(place as unknown as Record<string, string>, number)).toBe(is);
  });

  it('is not where no shard is listed, and not of another stream', () => {
    expect(isRead({ c1: '21' }, '5', [])).toBe(false);
    expect(hasRead(at({ c1: '21' }), { stream: 'other', number: '5' }, [shard('c1', null)], new Map())).toBe(false);
  });
});
