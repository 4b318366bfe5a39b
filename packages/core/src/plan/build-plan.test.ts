/**
 * Goal: every scanned entry is under exactly one count, chunks cover the prefix without gap or overlap, and each
 * change has its row. Method: a small world of records, joined for real; laws over generated ones.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDigests, emptyDigest } from '../convergence/digest.ts';
import { MergeJoin } from '../diff/merge-join.ts';
import { keyFromJson, keyFromText, prefixEnd, type Key } from '../model/key.ts';
import type { NotCarried, StoredRecord, Unplaced, Version } from '../model/record.ts';
import { PlanBuilder, type PlanLimits, type PlanQuestions } from './build-plan.ts';
import type { DiffRules } from './chunk-diff.ts';
import type { PlannedChange, PlannedChunk } from './plan.ts';

const rules: DiffRules = {
  rule: { sourcePrefix: keyFromText('/s/'), targetPrefix: keyFromText('/t/') },
  salt: '0'.repeat(31) + '7',
  recordBytesMax: 60,
  emptyKeys: false,
  reservedPrefix: keyFromText('/t/_own/'),
  isSensitive: (key) => key.includes('password'),
  onConflict: 'keep-target' as const,
  prune: false,
  inScope: () => true,
};
const limits: PlanLimits = { chunkKeysMax: 3, chunkBytesMax: 1000, createRowsMax: 100 };

const record = (key: string, value = 'v', expiresAtMs: number | null = null, version = '1'): StoredRecord => ({
  key: keyFromText(key),
  value: new TextEncoder().encode(value),
  version: version as Version,
  expiresAtMs,
});
const byKey = (a: StoredRecord, b: StoredRecord): number => (a.key < b.key ? -1 : 1);

function build(
  source: readonly StoredRecord[],
  target: readonly StoredRecord[],
  {
    limits: l = limits,
    notCarried = [],
    unplaced = [],
    questions = { replacedText: false },
  }: {
    limits?: PlanLimits;
    notCarried?: readonly NotCarried[];
    unplaced?: readonly Unplaced[];
    questions?: PlanQuestions;
  } = {},
) {
  const builder = new PlanBuilder(rules, l, questions);
  const join = new MergeJoin(rules.rule, builder);
  const offer = {
    source: [{ records: source.toSorted(byKey), notCarried, unplaced }],
    target: [target.toSorted(byKey)],
  };
  for (let needs = join.step(); needs !== 'nothing'; needs = join.step()) {
    if (needs === 'source') join.offerSource(offer.source.shift() ?? null);
    else {
      const records = offer.target.shift();
      join.offerTarget(records === undefined ? null : { records, notCarried: [] });
    }
  }
  const built = builder.finish();
  const { changes, chunks } = builder.drain();
  return { built, changes, chunks };
}

const text = (key: PlannedChange['targetKey']): Key => keyFromJson(key);

describe('PlanBuilder', () => {
  it.each([
    { name: 'absent: create', source: record('/s/a'), target: [], action: 'create' },
    { name: 'the same: equal, and no row', source: record('/s/a'), target: [record('/t/a')], action: 'equal' },
    { name: 'another value: conflict', source: record('/s/a'), target: [record('/t/a', 'w')], action: 'conflict' },
    {
      name: 'the same value but only one expires: conflict',
      source: record('/s/a', 'v', 99),
      target: [record('/t/a')],
      action: 'conflict',
    },
    { name: 'too large: blocked', source: record('/s/a', 'x'.repeat(60)), target: [], action: 'blocked' },
    { name: "under keyferry's own keys: blocked", source: record('/s/_own/a'), target: [], action: 'blocked' },
    {
      name: 'too large but equal already: equal',
      source: record('/s/a', 'x'.repeat(60)),
      target: [record('/t/a', 'x'.repeat(60))],
      action: 'equal',
    },
  ])('$name', ({ source, target, action }) => {
    const { built, changes } = build([source], target);
    expect(built.totals.actions[action as 'create'].keys).toBe(1);
    expect(changes.map((row) => row.action)).toEqual(action === 'equal' ? [] : [action]);
  });

  it('counts target keys without a source apart, and what is not carried by its reason', () => {
    const { built } = build([record('/s/b')], [record('/t/a'), record('/t/z')], {
      notCarried: [{ key: keyFromText('/s/d'), reason: 'dir.empty' }],
    });
    expect(built.totals).toMatchObject({ targetOnly: 2, notCarried: { 'dir.empty': 1 }, scanned: 2 });
  });

  it('counts what the rules find no place for as blocked, with the keys of the source', () => {
    const entry = { bytes: 3, detail: 'no', count: 1 };
    const [a, b, c] = [keyFromText('/s/a'), keyFromText('/s/b'), keyFromText('/s/c')];
    const { built } = build([record('/s/x')], [], {
      unplaced: [
        { ...entry, key: c, reason: 'key.collision', sourceKeys: [a, b], count: 2 },
        { ...entry, key: b, reason: 'rule.failed', sourceKeys: [b] },
      ],
    });
    expect(built.totals).toMatchObject({
      scanned: 4,
      actions: { create: { keys: 1 }, blocked: { keys: 3, bytes: 6 } },
    });
    expect(Object.fromEntries(built.unplaced)).toEqual({
      'key.collision': {
        count: 2,
        places: 1,
        cases: [{ key: { text: '/t/c' }, sourceKeys: [{ text: '/s/a' }, { text: '/s/b' }], count: 2, detail: 'no' }],
      },
      'rule.failed': {
        count: 1,
        places: 1,
        cases: [{ key: { text: '/s/b' }, sourceKeys: [{ text: '/s/b' }], count: 1, detail: 'no' }],
      },
    });
  });

  it('names the key of the source where the rules gave a record another one', () => {
    const renamed: StoredRecord = { ...record('/s/new'), sourceKey: keyFromText('/s/old'), oneWay: true };
    const { built, changes } = build([renamed], []);
    expect(changes).toMatchObject([{ sourceKey: { text: '/s/old' }, targetKey: { text: '/t/new' } }]);
    expect(built.oneWay).toBe(1);
  });

  it('marks sensitive keys and never holds a value', () => {
    const { changes } = build([record('/s/db/password', 'hunter2')], []);
    expect(changes[0]).toMatchObject({ sensitive: true, bytes: 7 });
    expect(JSON.stringify(changes)).not.toContain('hunter2');
  });

  it('lists every change but permanent creates past the row limit, and says where it stopped', () => {
    const source = [record('/s/a'), record('/s/b'), record('/s/c', 'v', 99), record('/s/d', 'w')];
    const { built, changes, chunks } = build(source, [record('/t/d')], { limits: { ...limits, createRowsMax: 1 } });
    expect(changes.map((row) => text(row.targetKey))).toEqual(['/t/a', '/t/c', '/t/d']);
    expect(built).toMatchObject({ changesListed: 3, changesOmitted: 1 });
    expect(chunks.map((chunk) => chunk.listed)).toEqual([false, true]);
  });

  it('puts conflicts, the largest value, the shortest time and a sensitive key first', () => {
    const source = [
      record('/s/a', 'w'),
      record('/s/big', 'x'.repeat(40)),
      record('/s/soon', 'v', 50),
      record('/s/later', 'v', 60),
      record('/s/password'),
    ];
    const { built } = build(source, [record('/t/a')]);
    expect(built.lookFirst.map((row) => text(row.targetKey))).toEqual(['/t/a', '/t/big', '/t/soon', '/t/password']);
  });

  it('groups by the first segment under the target prefix', () => {
    const { built } = build([record('/s/a/1'), record('/s/a/2'), record('/s/b')], []);
    expect(built.byPrefix.map((row) => [text(row.prefix), row.create])).toEqual([
      ['/t/', 1],
      ['/t/a/', 2],
    ]);
  });

  const anyRest = fc.uniqueArray(fc.stringMatching(/^[a-c/-]{1,4}$/), { maxLength: 30 });

  it('law: counts add up, chunks cover the prefix, and their digests add up', () =>
    fc.assert(
      fc.property(anyRest, anyRest, fc.integer({ min: 1, max: 5 }), (a, b, chunkKeysMax) => {
        const source = a.map((rest) => record(`/s/${rest}`));
        const target = b.map((rest) => record(`/t/${rest}`, rest.length > 2 ? 'w' : 'v'));
        const { built, chunks, changes } = build(source, target, { limits: { ...limits, chunkKeysMax } });
        const { actions, scanned } = built.totals;
        expect(actions.create.keys + actions.equal.keys + actions.conflict.keys + actions.blocked.keys).toBe(scanned);
        expect(scanned).toBe(source.length);
        expect(changes).toHaveLength(actions.create.keys + actions.conflict.keys);
        expectCover(chunks);
        const whole = build(source, target, { limits: { ...limits, chunkKeysMax: 1000 } }).chunks[0];
        expect(chunks.map((c) => c.permanent).reduce(addDigests, emptyDigest)).toEqual(whole?.permanent);
        expect(chunks.map((c) => c.matched).reduce(addDigests, emptyDigest)).toEqual(whole?.matched);
      }),
    ));
});

function expectCover(chunks: readonly PlannedChunk[]): void {
  const end = prefixEnd(rules.rule.sourcePrefix);
  expect(chunks[0]?.start).toEqual({ text: '/s/' });
  for (const [i, chunk] of chunks.entries()) {
    const next = chunks[i + 1];
    expect(chunk.end).toEqual(next === undefined ? { text: end } : next.start);
  }
}

describe('leases', () => {
  const expiring = [0, 1, 999, 1000, 1001, 2000].map((atMs, i) => record(`/s/${i}`, 'v', atMs + 60_000));
  const permanent = record('/s/z');

  it('are as many as spans that an expiry falls into, the end of a span within it', () => {
    const questions = { replacedText: false, leaseBucketMs: 1000 };
    expect(build([...expiring, permanent], [], { questions }).built.leases).toBe(3);
  });

  it('are not counted for a target that has none', () => {
    expect(build([...expiring, permanent], []).built.leases).toBeNull();
  });
});
