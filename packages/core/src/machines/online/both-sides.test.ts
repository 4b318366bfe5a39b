/**
 * Goal: what a key in both stores means is told right, so that neither a lost record passes for a deleted one nor a stray write for
 * an application's. Method: each verdict by an example of its own, and each edge of what is carried back.
 */
import { describe, expect, it } from 'vitest';
import type { Key } from '../../model/key.ts';
import type { StoredRecord, Version } from '../../model/record.ts';
import { carryBack, judgeSides, type BothSides, type SidesVerdict } from './both-sides.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const nowMs = 1_000_000;
const version = (n: number): Version => String(n) as Version;

const inSource = (value: string, at = 5, expiresAtMs: number | null = null): StoredRecord => ({
  key: 'k' as Key,
  value: bytes(value),
  version: version(at),
  expiresAtMs,
});
const copied = (value: string, from = 5) => ({ record: { value: bytes(value), copiedFrom: version(from) } });
const written = (value: string) => ({ record: { value: bytes(value), copiedFrom: null } });
const tombstone = { record: null };

describe('a key in both stores', () => {
  // The source was frozen at 10.
  const terms = { nowMs, skewMs: 100, isAfterFreeze: (at: Version) => Number(at) > 10 };

  it.each<{ name: string; sides: BothSides; want: SidesVerdict }>([
    { name: 'copied', sides: { source: inSource('a'), target: copied('a') }, want: 'equal' },
    { name: 'copied with another value', sides: { source: inSource('a'), target: copied('b') }, want: 'differs' },
    { name: 'copied from another version', sides: { source: inSource('a'), target: copied('a', 4) }, want: 'differs' },
    { name: 'written since', sides: { source: inSource('a'), target: written('b') }, want: 'rewritten' },
    { name: 'new', sides: { source: null, target: written('b') }, want: 'rewritten' },
    { name: 'deleted since', sides: { source: inSource('a'), target: tombstone }, want: 'deleted' },
    { name: 'deleted, and never in the source', sides: { source: null, target: tombstone }, want: 'deleted' },
    { name: 'not copied', sides: { source: inSource('a'), target: null }, want: 'missing' },
    { name: 'about to end', sides: { source: inSource('a', 5, nowMs + 100), target: null }, want: 'expired' },
    { name: 'not yet about to end', sides: { source: inSource('a', 5, nowMs + 101), target: null }, want: 'missing' },
    { name: 'new in the source', sides: { source: inSource('a', 11), target: null }, want: 'stray' },
    { name: 'new in the source over a copy', sides: { source: inSource('a', 11), target: copied('a') }, want: 'stray' },
    {
      name: 'new in the source, deleted in the target',
      sides: { source: inSource('a', 11), target: tombstone },
      want: 'stray',
    },
    {
      name: 'new in the source, other in the target',
      sides: { source: inSource('a', 11), target: written('b') },
      want: 'stray',
    },
    { name: 'carried back', sides: { source: inSource('b', 11), target: written('b') }, want: 'rewritten' },
    {
      name: 'written at the very freeze',
      sides: { source: inSource('a', 10), target: copied('a', 10) },
      want: 'equal',
    },
    {
      name: 'copied, and gone from the source',
      sides: { source: null, target: copied('a') },
      want: 'gone-from-source',
    },
  ])('$name: $want', ({ sides, want }) => expect(judgeSides(sides, terms)).toBe(want));
});

describe('what is carried back', () => {
  const terms = { nowMs, skewMs: 1000 };
  const record = (value: string, leftMs: number | null = null) => ({
    value: bytes(value),
    expiresAtMs: leftMs === null ? null : nowMs + leftMs,
  });
  const put = (value: string, ttlMs: number | null = null) => ({ kind: 'put', value: bytes(value), ttlMs });

  it.each([
    { name: 'another value', source: inSource('a'), written: record('b'), want: put('b') },
    { name: 'a new key', source: null, written: record('b'), want: put('b') },
    { name: 'nothing where it says the same', source: inSource('b', 11), written: record('b'), want: null },
    { name: 'a delete', source: inSource('a'), written: null, want: { kind: 'delete' } },
    { name: 'nothing where neither is', source: null, written: null, want: null },
    {
      name: 'what is left of a TTL, in whole seconds, down',
      source: null,
      written: record('b', 5999),
      want: put('b', 5000),
    },
    {
      name: 'a delete for a life that is all but over',
      source: inSource('a'),
      written: record('b', 999),
      want: { kind: 'delete' },
    },
    { name: 'the loss of a TTL', source: inSource('b', 5, nowMs + 9000), written: record('b'), want: put('b') },
    {
      name: 'nothing for a TTL that is there',
      source: inSource('b', 5, nowMs + 8100),
      written: record('b', 9000),
      want: null,
    },
    { name: 'a longer TTL', source: inSource('b', 5, nowMs + 7900), written: record('b', 9000), want: put('b', 9000) },
  ])('$name', ({ source, written: there, want }) => expect(carryBack(source, there, terms)).toEqual(want));
});
