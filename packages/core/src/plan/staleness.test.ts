/**
 * Goal: a plan that no longer holds is always noticed, however many of its rows are listed and whatever TTL ended, and
 * the key that moved is named; a TTL that ended is no reason by itself.
 * Method: plan a small world, change it in one way, diff its chunks again; then a law over generated worlds and changes.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MergeJoin, type JoinVisitor } from '../diff/merge-join.ts';
import { keyFromJson, keyFromText, type Key } from '../model/key.ts';
import type { StoredRecord, Version } from '../model/record.ts';
import { toTargetKey } from '../transform/prefix-rule.ts';
import { PlanBuilder } from './build-plan.ts';
import type { DiffRules } from './chunk-diff.ts';
import { ChunkRecheck, staleKeysNamed, type StaleKeys } from './staleness.ts';

const rules: DiffRules = {
  rule: { sourcePrefix: keyFromText('/s/'), targetPrefix: keyFromText('/t/') },
  salt: '0'.repeat(32),
  recordBytesMax: null,
  emptyKeys: false,
  reservedPrefix: null,
  isSensitive: () => false,
  onConflict: 'keep-target' as const,
  prune: false,
  inScope: () => true,
};

const record = (key: string, value = 'v', expiresAtMs: number | null = null, version = '1'): StoredRecord => ({
  key: keyFromText(key),
  value: new TextEncoder().encode(value),
  version: version as Version,
  expiresAtMs,
});

interface World {
  readonly source: readonly StoredRecord[];
  readonly target: readonly StoredRecord[];
}

function join({ source, target }: World, visitor: JoinVisitor): void {
  const merge = new MergeJoin(rules.rule, visitor);
  const pages = { source: [source], target: [target] };
  for (let needs = merge.step(); needs !== 'nothing'; needs = merge.step()) {
    const records = pages[needs].shift();
    const page = records === undefined ? null : { records, notCarried: [] };
    if (needs === 'source') merge.offerSource(page);
    else merge.offerTarget(page);
  }
}

interface Limits {
  readonly createRowsMax: number;
  readonly chunkKeysMax: number;
}

function plan(world: World, { createRowsMax, chunkKeysMax }: Limits) {
  const builder = new PlanBuilder(rules, { createRowsMax, chunkKeysMax, chunkBytesMax: 1e6 });
  join(world, builder);
  builder.finish();
  return builder.drain();
}

interface Check extends Limits {
  readonly nowMs: number;
  readonly clockSkewMs: number;
}
const usual: Check = { createRowsMax: 100, chunkKeysMax: 100, nowMs: 1000, clockSkewMs: 0 };

/** Plans `before` and holds each of its chunks against `after`. */
function moved(before: World, after: World, more: Partial<Check> = {}): StaleKeys {
  const check = { ...usual, ...more };
  const { chunks, changes } = plan(before, check);
  const results = chunks.map((chunk) => {
    const rows = changes.filter((row) => row.chunk === chunk.chunk);
    const [start, end] = [keyFromJson(chunk.start), chunk.end === null ? null : keyFromJson(chunk.end)];
    const holds = (key: Key, map: (k: Key) => Key): boolean => key >= map(start) && (end === null || key < map(end));
    const toTarget = (key: Key): Key => (key === '/s0' ? keyFromText('/t0') : toTargetKey(rules.rule, key));
    const recheck = new ChunkRecheck(rules, chunk, rows, check);
    join(
      {
        source: after.source.filter(({ key }) => holds(key, (k) => k)),
        target: after.target.filter(({ key }) => holds(key, toTarget)),
      },
      recheck,
    );
    return recheck.finish();
  });
  return { keys: results.flatMap(({ keys }) => keys), total: results.reduce((sum, { total }) => sum + total, 0) };
}

const world: World = {
  source: [
    record('/s/create'),
    record('/s/differs', 'new'),
    record('/s/equal'),
    record('/s/lease', 'v', 950),
    record('/s/lease2', 'v', 5000),
    record('/s/session', 'v', 900),
  ],
  target: [
    record('/t/differs', 'old'),
    record('/t/equal'),
    record('/t/lease', 'v', 7000),
    record('/t/lease2', 'v', 7000),
  ],
};
const swap = (records: readonly StoredRecord[], next: StoredRecord): readonly StoredRecord[] =>
  [...records.filter(({ key }) => key !== next.key), next].toSorted((a, b) => (a.key < b.key ? -1 : 1));
const without = (records: readonly StoredRecord[], ...keys: readonly string[]): readonly StoredRecord[] =>
  records.filter((r) => !keys.includes(r.key));

/** What ended by itself until `usual.nowMs`. */
const ended = ({ source, target }: World): World => ({
  source: without(source, '/s/session', '/s/lease'),
  target,
});

interface Move {
  readonly name: string;
  readonly source?: readonly StoredRecord[];
  readonly target?: readonly StoredRecord[];
  readonly key: string;
}

const { source, target } = world;
const moves: readonly Move[] = [
  { name: 'a planned key changed', source: swap(source, record('/s/create', 'w')), key: 'create' },
  { name: 'a planned key left the source', source: without(source, '/s/create'), key: 'create' },
  { name: 'a key came into the source', source: swap(source, record('/s/newcomer')), key: 'newcomer' },
  { name: 'an equal key changed in the source', source: swap(source, record('/s/equal', 'w')), key: 'equal' },
  { name: 'a key got a TTL', source: swap(source, record('/s/create', 'v', 5000)), key: 'create' },
  { name: 'an equal key that expires changed', source: swap(source, record('/s/lease2', 'w', 5000)), key: 'lease2' },
  { name: 'a planned key appeared in the target', target: swap(target, record('/t/create')), key: 'create' },
  { name: 'it appeared with another value', target: swap(target, record('/t/create', 'z')), key: 'create' },
  { name: 'a conflict was rewritten', target: swap(target, record('/t/differs', 'old', null, '2')), key: 'differs' },
  { name: 'a conflict was deleted', target: without(target, '/t/differs'), key: 'differs' },
  { name: 'a conflict was settled', target: swap(target, record('/t/differs', 'new', null, '2')), key: 'differs' },
  { name: 'an equal key was deleted in the target', target: without(target, '/t/equal'), key: 'equal' },
  { name: 'an equal key that expires was deleted there', target: without(target, '/t/lease2'), key: 'lease2' },
];

describe('a recheck', () => {
  it('finds nothing when nothing moved', () => {
    for (const createRowsMax of [0, 1, 2, 100]) expect(moved(world, world, { createRowsMax }).total).toBe(0);
  });

  it.each(moves)('names the key when $name', (move) => {
    const { keys, total } = moved(world, { ...world, ...move });
    expect([keys.map(({ key }) => key), total]).toEqual([[{ text: `/t/${move.key}` }], 1]);
  });

  it.each(moves)('notices past the row limit and while a TTL ended that $name', (move) => {
    expect(moved(world, ended({ ...world, ...move }), { createRowsMax: 0 }).total).toBeGreaterThan(0);
  });

  it('names an equal key that left the source, if the target had no strange keys before', () => {
    const { keys } = moved(world, { ...world, source: without(source, '/s/equal') });
    expect(keys).toEqual([{ key: { text: '/t/equal' }, what: 'no longer in the source' }]);
  });

  it.each([0, 1, 2, 100])('is content when only TTLs ended, with %i creates listed', (createRowsMax) => {
    expect(moved(world, ended(world), { createRowsMax }).total).toBe(0);
  });

  it('is not content when keys with time left are gone, with a row or equal and without one', () => {
    const later = { nowMs: 800 };
    expect(moved(world, { ...world, source: without(source, '/s/session') }, later).total).toBe(1);
    expect(moved(world, { ...world, source: without(source, '/s/lease') }, later).total).toBe(1);
  });

  it.each([
    { nowMs: 800, clockSkewMs: 100, total: 0 },
    { nowMs: 799, clockSkewMs: 100, total: 1 },
  ])('lets a key end $clockSkewMs ms before its planned time: at $nowMs, $total stale', ({ total, ...clock }) => {
    expect(moved(world, { ...world, source: without(source, '/s/session') }, clock).total).toBe(total);
  });

  it('does not mind target keys that no source key maps to', () => {
    expect(moved(world, { ...world, target: swap(target, record('/t/zebra')) }).total).toBe(0);
  });

  it.each([
    {
      name: 'came into both sides',
      after: {
        source: swap(source, record('/s/lease3', 'v', 5000)),
        target: swap(target, record('/t/lease3', 'v', 7000)),
      },
    },
    {
      name: 'was written again in the target',
      after: { source, target: swap(target, record('/t/lease2', 'v', 7000, '2')) },
    },
  ])('notices that an equal key that expires $name', ({ after }) => {
    expect(moved(world, after).total).toBe(1);
  });

  it('names the range where the plan does not list each key', () => {
    const { keys } = moved(world, { ...world, source: swap(source, record('/s/create', 'w')) }, { createRowsMax: 0 });
    expect(keys).toEqual([{ key: { text: '/s/' }, what: expect.stringContaining('up to /s0, chunk c00000') }]);
  });

  it('counts all and names the first ones of a chunk that has grown', () => {
    const many = Array.from({ length: 100 }, (_, i) => record(`/s/a${String(i).padStart(3, '0')}`));
    const { keys, total } = moved(world, { ...world, source: [...many, ...source] });
    expect([keys.length, total]).toEqual([staleKeysNamed, 100]);
  });

  const anyNames = fc.uniqueArray(fc.stringMatching(/^[a-d]{1,2}$/), { minLength: 1, maxLength: 12 });
  const anyKind = fc.constantFrom('create', 'equal', 'conflict', 'lost-class');
  const anyWorld = fc
    .tuple(
      anyNames,
      fc.array(anyKind, { minLength: 12 }),
      fc.array(fc.constantFrom(null, 500, 9000), { minLength: 12 }),
    )
    .map(([names, kinds, ends]) => {
      const rows = names.toSorted().map((name, i) => ({ name, kind: kinds[i] ?? 'create', end: ends[i] ?? null }));
      const image = ({ name, kind, end }: (typeof rows)[number]): StoredRecord[] => {
        if (kind === 'create') return [];
        if (kind === 'equal') return [record(`/t/${name}`, 'v', end === null ? null : 9500)];
        if (kind === 'conflict') return [record(`/t/${name}`, 'old', end === null ? null : 9500)];
        return [record(`/t/${name}`, 'v', end === null ? 9500 : null)];
      };
      return {
        source: rows.map(({ name, end }) => record(`/s/${name}`, 'v', end)),
        target: rows.flatMap(image),
      };
    });
  const alive = ({ expiresAtMs }: StoredRecord): boolean => expiresAtMs === null || expiresAtMs > usual.nowMs;
  const anyLimits = fc.record({ createRowsMax: fc.nat(12), chunkKeysMax: fc.integer({ min: 1, max: 6 }) });
  const anyChange = fc.constantFrom('source value', 'source class', 'put target', 'put other target', 'drop target');

  it('law: time alone makes no plan stale', () =>
    fc.assert(
      fc.property(anyWorld, anyLimits, (given, limits) => {
        const now = { source: given.source.filter(alive), target: given.target };
        expect(moved(given, now, limits)).toEqual({ keys: [], total: 0 });
      }),
      { numRuns: 500 },
    ));

  it('law: with one living key changed, it is stale, whatever ended meanwhile', () =>
    fc.assert(
      fc.property(anyWorld, anyLimits, fc.nat(), anyChange, (given, limits, pick, change) => {
        const living = given.source.filter(alive);
        const one = living[pick % Math.max(living.length, 1)];
        if (one === undefined) return;
        const image = toTargetKey(rules.rule, one.key);
        const there = given.target.find(({ key }) => key === image);
        if (change === 'drop target' && there === undefined) return;
        const expiresAtMs = one.expiresAtMs === null ? 9000 : null;
        const next = {
          source:
            change === 'source value'
              ? swap(living, record(one.key, 'w', one.expiresAtMs))
              : change === 'source class'
                ? swap(living, { ...one, expiresAtMs })
                : living,
          target:
            change === 'put target' && there === undefined
              ? swap(given.target, { ...one, key: image, version: '2' as Version })
              : change === 'put target' || change === 'put other target'
                ? swap(given.target, record(image, 'z', null, '2'))
                : change === 'drop target'
                  ? without(given.target, image)
                  : given.target,
        };
        expect(moved(given, next, limits).total).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    ));
});
