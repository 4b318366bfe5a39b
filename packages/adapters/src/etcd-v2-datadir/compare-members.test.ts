/**
 * Goal: members are told apart by what they hold: equal, one that lags, one that is ahead, one that is another store.
 * Method: directories written record by record, with logs of one cluster that end and differ where the case says
 * (real members are for the e2e test).
 */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { membersVerdict, type MemberPosition } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  memberChange,
  put,
  requestBytes,
  SegmentWriter,
  snapshotBytes,
  writeDatadir,
} from '../../test/datadir-writer.ts';
import { compareLiveMembers, compareMembers, type MemberPlace } from './compare-members.ts';
import { openEtcdV2DatadirStore } from './source.ts';

let folder = '';
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-members-'));
});
afterAll(() => rm(folder, { recursive: true }));

interface Log {
  /** Entries 3, 4, …: the value that each puts at its own key; null: one that v2 has nothing to do with. */
  readonly values: readonly (string | null)[];
  /** Of these, how many are committed; all by default. */
  readonly committed?: number;
  readonly id?: bigint;
}

/** Of a cluster of two, so that nothing counts that is not committed. */
async function member({ values, committed = values.length, id = 1n }: Log): Promise<string> {
  const log = new SegmentWriter().metadata(id).snapshot(0, 0);
  log.entry(1, memberChange(0, 1n, { id: 1, peerURLs: ['http://a:1'] }), { type: 1 });
  log.entry(2, memberChange(0, 2n, { id: 2, peerURLs: ['http://b:1'] }), { type: 1 });
  for (const [at, value] of values.entries()) {
    log.entry(at + 3, value === null ? requestBytes({ method: 'SYNC', path: '', time: 1n }) : put(`/k${at}`, value));
  }
  log.hardState(2 + committed);
  count += 1;
  return await writeDatadir(join(folder, String(count)), { segments: [[0, log.bytes()]] });
}

const places = (...dirs: readonly string[]) => dirs.map((dataDir) => ({ dataDir, walDir: null }));

async function verdictOf(...logs: readonly Log[]): Promise<ReturnType<typeof membersVerdict>> {
  const dirs: string[] = [];
  for (const log of logs) dirs.push(await member(log));
  const compared = await compareMembers(places(...dirs));
  return membersVerdict(compared as unknown as [MemberPosition, ...MemberPosition[]]);
}

describe('members of a cluster', () => {
  it.each<{ name: string; logs: readonly Log[]; kind: string }>([
    { name: 'that are equal', logs: [{ values: ['a', 'b'] }, { values: ['a', 'b'] }], kind: 'converged' },
    {
      name: 'that differ in what is not committed',
      logs: [{ values: ['a', 'b'], committed: 1 }, { values: ['a'] }],
      kind: 'converged',
    },
    {
      name: 'of which another one is one behind',
      logs: [{ values: ['a', 'b'] }, { values: ['a'] }],
      kind: 'converged',
    },
    {
      name: 'of which the one that is read is one behind',
      logs: [{ values: ['a'] }, { values: ['a', 'b'] }],
      kind: 'behind',
    },
    {
      name: 'that are one apart by what is not for v2',
      logs: [{ values: ['a'] }, { values: ['a', null] }],
      kind: 'converged',
    },
    {
      name: 'that are more apart by what is not for v2',
      logs: [{ values: ['a'] }, { values: ['a', null, null, null] }],
      kind: 'converged',
    },
    { name: 'that are more apart', logs: [{ values: ['a'] }, { values: ['a', 'b', null] }], kind: 'apart' },
    { name: 'that hold other values', logs: [{ values: ['a', 'b'] }, { values: ['a', 'x'] }], kind: 'forked' },
    {
      name: 'that held other values before one went on',
      logs: [{ values: ['a', 'b', 'c'] }, { values: ['x'] }],
      kind: 'forked',
    },
    {
      name: 'of which the third is another store',
      logs: [{ values: ['a'] }, { values: ['a'] }, { values: ['b'] }],
      kind: 'forked',
    },
  ])('$name are $kind', async ({ logs, kind }) => expect((await verdictOf(...logs)).kind).toBe(kind));

  it('that has no state as old as another one is compared no further than it can be', async () => {
    const old = await member({ values: ['a'] });
    const log = new SegmentWriter().metadata().snapshot(6, 1).hardState(6, 1);
    const json = JSON.stringify({
      Root: {
        Path: '/',
        CreatedIndex: 0,
        ModifiedIndex: 0,
        ExpireTime: '0001-01-01T00:00:00Z',
        Value: '',
        Children: {},
      },
      CurrentIndex: 9,
    });
    count += 1;
    const young = await writeDatadir(join(folder, String(count)), {
      segments: [[6, log.bytes()]],
      firstSequence: 1,
      snapshots: [[{ index: 6, term: 1 }, snapshotBytes({ index: 6, term: 1, json, voters: [1n, 2n] })]],
    });
    const [, second] = await compareMembers(places(old, young));
    expect(second?.content?.shared).toBeNull();
    expect(second?.raftIndex).toBe(6n);
  });

  it.each([
    { name: 'by the same path', again: (dir: string) => Promise.resolve(dir) },
    { name: 'by a slash more', again: (dir: string) => Promise.resolve(`${dir}/`) },
    { name: 'by a relative path', again: (dir: string) => Promise.resolve(relative(process.cwd(), dir)) },
    { name: 'by its inner directory', again: (dir: string) => Promise.resolve(join(dir, 'member')) },
    {
      name: 'by a symbolic link',
      again: async (dir: string) => {
        await symlink(dir, `${dir}-link`);
        return `${dir}-link`;
      },
    },
  ])('named twice, $name, are no two members', async ({ again }) => {
    const [one, other] = [await member({ values: ['a'] }), await member({ values: ['a'] })];
    const twice = await again(one);
    await expect(compareMembers(places(one, other, twice))).rejects.toMatchObject({
      code: 'datadir.member-twice',
      details: { member: twice, other: one },
    });
    await expect(compareLiveMembers(places(one, twice))).rejects.toMatchObject({ code: 'datadir.member-twice' });
  });

  it('of which two are copies of one are compared to look at them, and are no two members for a plan', async () => {
    const [one, copy] = [await member({ values: ['a'] }), await member({ values: ['a'] })];
    const store = (otherMembers: readonly MemberPlace[]) =>
      openEtcdV2DatadirStore({
        name: 'old',
        dataDir: one,
        walDir: null,
        upTo: 'end',
        hidden: 'leave-out',
        otherMembers,
        nowMs: () => 0,
      });
    expect((await compareMembers(places(one, copy))).map(({ memberId }) => memberId)).toEqual(['1', '1']);
    await expect(store(places(copy)).readMembers()).rejects.toMatchObject({
      code: 'datadir.member-twice',
      details: { member: copy, other: one, detail: 'both are member 1' },
    });
    expect(await store(places(await member({ values: ['a'], id: 2n }))).readMembers()).toHaveLength(2);
  });

  it('of another cluster are no members of this one', async () => {
    const one = await member({ values: ['a'] });
    const log = new SegmentWriter().metadata(1n, 99n).snapshot(0, 0);
    log.entry(1, memberChange(0, 1n, { id: 1, peerURLs: ['http://a:1'] }), { type: 1 }).hardState(1);
    count += 1;
    const other = await writeDatadir(join(folder, String(count)), { segments: [[0, log.bytes()]] });
    await expect(compareMembers(places(one, other))).rejects.toMatchObject({ code: 'datadir.other-cluster' });
  });
});
