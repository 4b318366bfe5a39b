/**
 * Goal: a log is read once where that is enough, and what is carried out on the way is what counts at its end.
 * Method: logs of anything that a member may write, against a model that knows the whole log beforehand: entries as a list that
 * later ones cut off, up to the last commit. And logs of each kind, which are read once, or have to be read again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKeyferryError } from '@keyferry/core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { memberChange, put, requestBytes, SegmentWriter, writeDatadir } from '../../test/datadir-writer.ts';
import { AtOnce } from './at-once.ts';
import { CarryingOut } from './carry-out.ts';
import { findDataDirectory, type DataDirectory } from './layout.ts';
import { Membership } from './membership.ts';
import { FieldReader } from './protobuf.ts';
import { readConfChange } from './raft-messages.ts';
import { replay } from './replay.ts';
import { scanLog } from './scan-log.ts';
import { V2Tree, type TreeRules } from './v2-tree.ts';

vi.setConfig({ testTimeout: 120_000 });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-at-once-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** What an entry asks for. */
type Asked =
  | { readonly kind: 'put' | 'in-order'; readonly name: string; readonly value: string }
  | { readonly kind: 'directory' | 'renewal'; readonly name: string }
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'member'; readonly change: 0 | 1; readonly id: 1 | 5 };

/** A record; an entry goes back by so many from the index that would be next. */
type Written =
  | { readonly record: 'entry'; readonly back: number; readonly asked: Asked }
  | { readonly record: 'commit'; readonly of: number };

const names = fc.constantFrom('a', 'b', 'c', 'd');
const values = fc.constantFrom('1', '2', '3');
const anyAsked: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), name: names, value: values }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('in-order' as const), name: names, value: values }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('directory' as const, 'renewal' as const), name: names }) },
  fc.record({ kind: fc.constant('version' as const), version: fc.constantFrom('2.1.0', '3.4.0', '3.5.0') }),
  fc.record({
    kind: fc.constant('member' as const),
    change: fc.constantFrom(0 as const, 1 as const),
    id: fc.constantFrom(1 as const, 5 as const),
  }),
);
const anyWritten: fc.Arbitrary<Written> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      record: fc.constant('entry' as const),
      back: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(4)),
      asked: anyAsked,
    }),
  },
  // In whatever order: that a commit index never falls is nothing that a reader has to believe.
  fc.record({ record: fc.constant('commit' as const), of: fc.nat(30) }),
);

const addMember: Asked = { kind: 'member', change: 0, id: 1 };
const renewal = { prevExist: true, refresh: true, expiration: 4_000_000_000_000_000_000n };

function bytesOf(asked: Asked): Buffer {
  switch (asked.kind) {
    case 'put':
      return put(`/${asked.name}`, asked.value);
    case 'in-order':
      return requestBytes({ method: 'POST', path: `/1/${asked.name}`, value: asked.value });
    case 'directory':
      return put(`/${asked.name}`, '', { dir: true });
    case 'renewal':
      return put(`/${asked.name}`, '', renewal);
    case 'version':
      return requestBytes({ method: 'PUT', path: '/0/version', value: asked.version });
    case 'member':
      return memberChange(asked.change, BigInt(asked.id), { id: asked.id, peerURLs: [`http://m${asked.id}:1`] });
  }
}

interface Log {
  readonly bytes: Buffer;
  /** By index, from 1 on: what is left of them, and how far the last hard state commits. */
  readonly entries: readonly Asked[];
  readonly commit: number;
  readonly version: string | null;
}

function logOf(framing: 'bare' | 'padded', written: readonly Written[]): Log {
  const writer = new SegmentWriter(framing).metadata();
  const entries: Asked[] = [];
  let commit = 0;
  let version: string | null = null;
  for (const each of written) {
    if (each.record === 'commit') {
      commit = Math.min(each.of, entries.length);
      writer.hardState(commit);
      continue;
    }
    const { asked } = each;
    const index = Math.max(1, entries.length + 1 - each.back);
    entries.splice(index - 1, Infinity, asked);
    if (asked.kind === 'version') ({ version } = asked);
    writer.entry(index, bytesOf(asked), { type: asked.kind === 'member' ? 1 : 0 });
  }
  return { bytes: writer.bytes(), entries, commit, version };
}

/** The tree of those who know the end of the log from its start. */
function model({ entries, commit, version }: Log, padded: boolean, appliedMax: number): readonly [number, V2Tree] {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const release = major * 100 + minor;
  const rules = { directoriesCanBeUpdated: release < 305, inOrderNamesArePadded: padded || release >= 202 };
  const tree = V2Tree.empty(rules);
  const membership = new Membership(tree, []);
  let applied = 0;
  for (const asked of entries.slice(0, appliedMax)) {
    const isAlone = membership.voters.size === 1 && membership.voters.has('1');
    if (applied >= commit && !isAlone) break;
    applied += 1;
    carryOut(tree, membership, asked);
  }
  return [applied, tree];
}

const permanent = { expiresAtNs: null, refresh: false };

function carryOut(tree: V2Tree, membership: Membership, asked: Asked): void {
  switch (asked.kind) {
    case 'put':
      tree.set(`/1/${asked.name}`, false, asked.value, permanent);
      return;
    case 'in-order':
      tree.createInOrder(`/1/${asked.name}`, false, asked.value, permanent);
      return;
    case 'directory':
      tree.set(`/1/${asked.name}`, true, '', permanent);
      return;
    case 'renewal':
      tree.update(`/1/${asked.name}`, '', { expiresAtNs: renewal.expiration, refresh: true });
      return;
    case 'version':
      tree.set('/0/version', false, asked.version, permanent);
      return;
    case 'member':
      membership.apply(readConfChange(new FieldReader(bytesOf(asked))));
  }
}

function stateOf(tree: V2Tree): readonly string[] {
  const lines: string[] = [String(tree.currentIndex)];
  const walk = (path: string, node: V2Tree['root']): void => {
    const { createdIndex, modifiedIndex, expiresAtNs, value, children } = node;
    lines.push(JSON.stringify([path, createdIndex, modifiedIndex, String(expiresAtNs), value, children === null]));
    for (const [name, child] of [...(children ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      walk(`${path}/${name}`, child);
  };
  walk('', tree.root);
  return lines;
}

let directories = 0;

async function directoryOf(bytes: Buffer): Promise<DataDirectory> {
  directories += 1;
  return await findDataDirectory(
    await writeDatadir(join(folder, String(directories)), { segments: [[0, bytes]] }),
    null,
  );
}

/** The last entry that was carried out and what is in the tree, or the code of the error. */
async function outcomeOf(bytes: Buffer, appliedMax: number): Promise<readonly (number | string)[] | string> {
  const directory = await directoryOf(bytes);
  try {
    const { facts, tree } = await replay(directory, { upTo: 'end', appliedMax });
    return [facts.appliedIndex, ...stateOf(tree)];
  } catch (error) {
    if (!isKeyferryError(error, 'datadir.incomplete')) throw error;
    return error.code;
  }
}

const rules34: TreeRules = { directoriesCanBeUpdated: true, inOrderNamesArePadded: true };
const rules35: TreeRules = { ...rules34, directoriesCanBeUpdated: false };

/** How many entries were carried out while the log was read once; null: it has to be read again. */
async function carriedOutAtOnce(bytes: Buffer, rules = rules34): Promise<number | null> {
  const tree = V2Tree.empty(rules34);
  const follower = new AtOnce(new CarryingOut(tree, new Membership(tree, []), 0), rules34, Infinity);
  const { segments } = await directoryOf(bytes);
  const log = await scanLog({ segments, startIndex: 0, stopAtDamage: false, follower });
  return follower.outcome(log, rules)?.appliedIndex ?? null;
}

describe('a log', () => {
  it.each(['bare', 'padded'] as const)(
    'law: with %s lengths gives what its whole says, however it is read',
    (framing) =>
      fc.assert(
        fc.asyncProperty(
          fc.array(anyWritten, { maxLength: 40 }),
          fc.boolean(),
          fc.option(fc.integer({ min: 1, max: 20 }), { nil: Infinity }),
          async (more, beginsAlone, appliedMax) => {
            const first: readonly Written[] = [
              { record: 'entry', back: 0, asked: addMember },
              { record: 'commit', of: 1 },
            ];
            const log = logOf(framing, [...(beginsAlone ? first : []), ...more]);
            const [applied, tree] = model(log, framing === 'padded', appliedMax);
            const isWhole = applied >= Math.min(log.commit, appliedMax);
            const expected = isWhole ? [applied, ...stateOf(tree)] : 'datadir.incomplete';
            expect(await outcomeOf(log.bytes, appliedMax)).toEqual(expected);
          },
        ),
        { numRuns: 400 },
      ),
  );
});

describe('a log is read once', () => {
  const alone = () => new SegmentWriter().metadata().entry(1, bytesOf(addMember), { type: 1 }).hardState(1);

  it('of a member that is alone, whatever its hard states say', async () => {
    const log = alone().entry(2, put('/a', '1')).entry(3, put('/b', '2')).hardState(2).entry(4, put('/c', '3'));
    expect(await carriedOutAtOnce(log.bytes())).toBe(4);
  });

  it('of one of several, up to what is committed, also where entries were taken back before', async () => {
    const other = bytesOf({ kind: 'member', change: 0, id: 5 });
    const log = alone().entry(2, other, { type: 1 }).entry(3, put('/a', '1')).entry(4, put('/b', '1')).hardState(3);
    log.entry(4, put('/b', '2')).entry(5, put('/c', '1')).hardState(4);
    expect(await carriedOutAtOnce(log.bytes())).toBe(4);
  });

  it('and again where one was taken back that had been carried out', async () => {
    const log = alone().entry(2, put('/a', '1')).entry(3, put('/b', '1')).entry(2, put('/c', '1')).hardState(2);
    expect(await carriedOutAtOnce(log.bytes())).toBeNull();
  });

  it('and again where the last hard state commits less than one before', async () => {
    const log = new SegmentWriter()
      .metadata()
      .entry(1, put('/a', '1'))
      .entry(2, put('/b', '1'))
      .hardState(2)
      .hardState(1);
    expect(await carriedOutAtOnce(log.bytes())).toBeNull();
  });

  it('and again where a later etcd judges a request in it otherwise, and only there', async () => {
    const made = alone()
      .entry(2, put('/d', '', { dir: true }))
      .hardState(2);
    expect(await carriedOutAtOnce(made.bytes(), rules35)).toBe(2);
    expect(await carriedOutAtOnce(made.entry(3, put('/d', '', renewal)).bytes(), rules35)).toBeNull();
    const named = alone().entry(2, bytesOf({ kind: 'in-order', name: 'q', value: '1' }));
    expect(await carriedOutAtOnce(named.bytes(), { ...rules34, inOrderNamesArePadded: false })).toBeNull();
  });

  it('and again where more waits for its last record than is worth keeping, as in what etcdctl backup writes', async () => {
    const log = new SegmentWriter().metadata();
    for (let index = 1; index <= 40; index += 1) log.entry(index, put(`/k${index}`, 'x'.repeat(30_000)));
    expect(await carriedOutAtOnce(log.hardState(40).bytes())).toBeNull();
  });

  it('and again where as much waits in entries that are empty', async () => {
    const log = new SegmentWriter().metadata();
    for (let index = 1; index <= 10_000; index += 1) log.entry(index, Buffer.alloc(0));
    expect(await carriedOutAtOnce(log.hardState(10_000).bytes())).toBeNull();
  });

  it('and again where an entry that cannot be read was taken back, or was not', async () => {
    const log = alone().entry(2, put('/a', '1'), { type: 7 }).entry(2, put('/b', '1')).hardState(2);
    expect(await carriedOutAtOnce(log.bytes())).toBeNull();
    expect((await replay(await directoryOf(log.bytes()), { upTo: 'end' })).facts.appliedIndex).toBe(2);
    const kept = alone().entry(2, put('/a', '1'), { type: 7 });
    await expect(replay(await directoryOf(kept.bytes()), { upTo: 'end' })).rejects.toMatchObject({
      code: 'datadir.damaged',
    });
  });
});
