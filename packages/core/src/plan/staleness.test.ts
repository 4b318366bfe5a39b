/**
 * Goal: a plan that no longer holds is always noticed, and the key that moved is named; a TTL that ended is no reason.
 * Method: plan a small chunk, change the world in one way, diff it again.
 */
import { describe, expect, it } from 'vitest';
import { MergeJoin } from '../diff/merge-join.ts';
import { keyFromText } from '../model/key.ts';
import type { StoredRecord, Version } from '../model/record.ts';
import type { DiffRules } from './chunk-diff.ts';
import { ChunkRecheck, type RecheckedChunk } from './chunk-recheck.ts';
import { chunkHolds, staleKeys } from './staleness.ts';

const rules: DiffRules = {
  rule: { sourcePrefix: keyFromText('/s/'), targetPrefix: keyFromText('/t/') },
  salt: '0'.repeat(32),
  recordBytesMax: null,
  emptyKeys: false,
  reservedPrefix: null,
  isSensitive: () => false,
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

function recheck({ source, target }: World, listed = true): RecheckedChunk {
  const chunk = new ChunkRecheck(rules, 0, listed);
  const join = new MergeJoin(rules.rule, chunk);
  const pages = { source: [source], target: [target] };
  for (let needs = join.step(); needs !== 'nothing'; needs = join.step()) {
    const records = pages[needs].shift();
    const page = records === undefined ? null : { records, notCarried: [] };
    if (needs === 'source') join.offerSource(page);
    else join.offerTarget(page);
  }
  return chunk.finish(keyFromText('/s/'), keyFromText('/s0'));
}

const nowMs = 1000;
const world: World = {
  source: [record('/s/create'), record('/s/differs', 'new'), record('/s/equal'), record('/s/session', 'v', 900)],
  target: [record('/t/differs', 'old'), record('/t/equal')],
};
const swap = (records: readonly StoredRecord[], next: StoredRecord): readonly StoredRecord[] =>
  [...records.filter(({ key }) => key !== next.key), next].toSorted((a, b) => (a.key < b.key ? -1 : 1));
const without = (records: readonly StoredRecord[], key: string): readonly StoredRecord[] =>
  records.filter((r) => r.key !== key);

function moved(next: World, listed = true): readonly { key: string; what: string }[] {
  const planned = recheck(world, listed);
  return staleKeys(planned.chunk, planned.changes, recheck(next, listed), nowMs);
}

describe('staleKeys', () => {
  it('finds nothing when nothing moved', () => {
    expect(chunkHolds(recheck(world).chunk, recheck(world).chunk)).toBe(true);
    expect(moved(world)).toEqual([]);
  });

  it.each([
    {
      name: 'a planned key changed in the source',
      source: swap(world.source, record('/s/create', 'w')),
      key: 'create',
    },
    { name: 'a planned key left the source', source: without(world.source, '/s/create'), key: 'create' },
    { name: 'a key came into the source', source: swap(world.source, record('/s/newcomer')), key: 'newcomer' },
    { name: 'an equal key changed in the source', source: swap(world.source, record('/s/equal', 'w')), key: 'equal' },
    { name: 'an equal key left the source', source: without(world.source, '/s/equal'), key: 'equal' },
    { name: 'a key got a TTL', source: swap(world.source, record('/s/create', 'v', 5000)), key: 'create' },
  ])('names the key when $name', ({ source, key }) => {
    expect(moved({ ...world, source }).map((stale) => stale.key)).toEqual([`/t/${key}`]);
  });

  it.each([
    { name: 'a planned key appeared in the target', target: swap(world.target, record('/t/create')), key: 'create' },
    { name: 'with another value', target: swap(world.target, record('/t/create', 'z')), key: 'create' },
    {
      name: 'a conflict was rewritten',
      target: swap(world.target, record('/t/differs', 'old', null, '2')),
      key: 'differs',
    },
    { name: 'a conflict was deleted', target: without(world.target, '/t/differs'), key: 'differs' },
    { name: 'an equal key was deleted', target: without(world.target, '/t/equal'), key: 'equal' },
  ])('names the key when $name in the target', ({ target, key }) => {
    expect(moved({ ...world, target }).map((stale) => stale.key)).toEqual([`/t/${key}`]);
  });

  it('is content when only a TTL ended', () => {
    expect(moved({ ...world, source: without(world.source, '/s/session') })).toEqual([]);
  });

  it('is not content when a key with time left is gone', () => {
    const late: World = { ...world, source: swap(world.source, record('/s/session', 'v', 2000)) };
    const planned = recheck(late);
    const fresh = recheck({ ...late, source: without(late.source, '/s/session') });
    expect(staleKeys(planned.chunk, planned.changes, fresh, nowMs)).toHaveLength(1);
  });

  it('does not mind target keys that no source key maps to', () => {
    expect(moved({ ...world, target: swap(world.target, record('/t/zebra')) })).toEqual([]);
  });

  it('names the range where the plan does not list each key', () => {
    const stale = moved({ ...world, source: swap(world.source, record('/s/create', 'w')) }, false);
    expect(stale).toEqual([{ key: '/s/ … /s0', what: expect.stringContaining('c00000') }]);
  });
});
