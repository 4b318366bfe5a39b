/**
 * Goal: a program that was written for `etcdctl migrate --transformer` runs unchanged: it is given the same nodes, and its
 * answers become the same keys and values; where etcdctl is wrong about a program, keyferry is not.
 * Method: one program, run by etcdctl 3.3 and 3.4 and by keyferry on the same directory of a real server; what it was given
 * and what came of it, side by side.
 */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keyFromText, keyToText, prefixRange, type ProgramAnswer, type ProgramInput } from '@keyferry/core';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMigrate, textOf, v3RecordsOf } from './etcdctl-migrate.ts';
import { openDatadir } from './etcd-v2-datadir-fixture.ts';
import { send } from './etcd-v2-datadir-workload.ts';
import { answerJson, javascript, ProgramFolder, record } from './program-fixture.ts';

/** Reads nodes as they come, one behind the other, and writes what `body` makes of each; all it was given goes to a file. */
const transformer = (body: string): string =>
  javascript(`
    const fs = require('node:fs');
    const given = fs.readFileSync(0);
    fs.writeFileSync(__dirname + '/given', given);
    const varint = (n) => { const out = []; for (n = BigInt.asUintN(64, BigInt(n)); n >= 128n; n >>= 7n) out.push(Number(n & 127n) | 128); return [...out, Number(n)]; };
    const bytes = (field, text) => { const b = Buffer.from(text); return [field * 8 + 2, ...varint(b.length), ...b]; };
    const number = (field, n) => BigInt(n) === 0n ? [] : [field * 8, ...varint(n)];
    const write = ({ key, value, mod, lease = 0 }) => {
      const record = Buffer.from([...bytes(1, key), ...number(2, mod), ...number(3, mod), ...number(4, 1), ...bytes(5, value), ...number(6, lease)]);
      const length = Buffer.alloc(8);
      length.writeBigInt64LE(BigInt(record.length));
      fs.writeSync(1, Buffer.concat([length, record]));
    };
    const text = given.toString();
    let [depth, quoted, start] = [0, false, 0];
    for (let i = 0; i < text.length; i += 1) {
      const c = text[i];
      if (quoted) { if (c === '\\\\') i += 1; else if (c === '"') quoted = false; continue; }
      if (c === '"') quoted = true;
      else if (c === '{') { if (depth++ === 0) start = i; }
      else if (c === '}' && --depth === 0) { const node = JSON.parse(text.slice(start, i + 1)); ${body} }
    }
  `);

/** As etcdctl's own: no directories, the same keys and values. */
const plain = 'if (!node.dir) write({ key: node.key, value: node.value, mod: node.modifiedIndex });';
const renaming =
  'if (!node.dir) write({ key: "/v3" + node.key, value: node.value.toUpperCase(), mod: node.modifiedIndex });';

interface Node {
  readonly key: string;
  readonly dir?: boolean;
  readonly expiration?: string;
  readonly ttl?: number;
}

function nodesIn(text: string): Node[] {
  const nodes: Node[] = [];
  let [depth, quoted, start] = [0, false, 0];
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charAt(i);
    if (quoted) {
      if (c === '\\') i += 1;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{') {
      if (depth === 0) start = i;
      depth += 1;
    } else if (c === '}') {
      depth -= 1;
      if (depth === 0) nodes.push(JSON.parse(text.slice(start, i + 1)) as Node);
    }
  }
  return nodes;
}

/** Without what the page of the protocol says is different: indexes of directories, parts of a second, the time that passes. */
function comparable({ key, dir, expiration, ttl: _runsOn, ...rest }: Node): object {
  if (dir === true) return { key, dir };
  return { key, ...rest, ...(expiration === undefined ? {} : { expiration: expiration.slice(0, 19) }) };
}

const byKey = (a: Node, b: Node): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

for (const version of ['3.3', '3.4'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`a transformer of etcdctl ${version}${available.note}`, () => {
    let folder: ProgramFolder;
    let server: EtcdServer;
    let dataDir = '';

    beforeAll(async () => {
      folder = await ProgramFolder.create();
      dataDir = join(folder.path, 'data');
      server = await startEtcd({ version, enableV2: true, dataDir, extraArgs: ['--snapshot-count=150'] });
      const endpoint = server.endpoints[0] ?? '';
      // Without what etcdctl replays wrongly; that is for etcd-v2-datadir-etcdctl.test.ts.
      const names = ['a', 'a-b', 'ü', '日本', '😀', 'x y', '100%', '"q"', '<&>', 'ｚ', '_hidden', 'c'];
      for (let i = 0; i < 300; i += 1) {
        const [parent, name] = [names[i % names.length] ?? '', names[(i * 7) % names.length] ?? ''];
        const ttl: Readonly<Record<string, string>> = i % 11 === 0 ? { ttl: '3600' } : {};
        await send(endpoint, 'PUT', `/dir/${parent}/${name}/${i % 40}`, { value: `value ${i}`, ...ttl });
        if (i % 9 === 0) await send(endpoint, 'DELETE', `/dir/${parent}/${name}/${(i + 3) % 40}`, {});
        if (i % 13 === 0) await send(endpoint, 'POST', '/queue', { value: `job ${i}` });
      }
      await send(endpoint, 'PUT', '/leased', { dir: 'true', ttl: '7200' });
      await send(endpoint, 'PUT', '/leased/child', { value: 'goes with it' });
      await send(endpoint, 'PUT', '/kept/lives', { value: 'v', ttl: '3600' });
      await send(endpoint, 'PUT', '/kept/plain', { value: '<a> & \u2028 b\b\f' });
      await send(endpoint, 'PUT', '/kept/empty', { value: '' });
      await send(endpoint, 'PUT', '/kept/nothing', { dir: 'true' });
      await server.members[0]?.stop();
    }, 120_000);
    afterAll(async () => {
      await server?.stop();
      await folder.remove();
    });

    async function pagesOf(): Promise<readonly (readonly ProgramInput[])[]> {
      const store = openDatadir(dataDir);
      const range = prefixRange(keyFromText('/'));
      const view = await store.openView(range);
      const pages: ProgramInput[][] = [];
      for await (const { records, notCarried } of view.scan(range, { pageKeysMax: 50 })) {
        pages.push([
          ...notCarried
            .filter(({ reason }) => reason.startsWith('dir.'))
            .map(({ key: sourceKey }) => ({ kind: 'directory', sourceKey }) as const),
          ...records.map(
            ({ created = null, ...each }) => ({ ...each, kind: 'record', sourceKey: each.key, created }) as const,
          ),
        ]);
      }
      await view.close();
      return pages;
    }

    /** By etcdctl on a copy: what the program was given, and what a server answers on what came of it. */
    async function byEtcdctl(source: string) {
      await writeFile(join(folder.path, 'program'), source);
      await chmod(join(folder.path, 'program'), 0o755);
      const migrated = await runMigrate(server, dataDir, folder.path, { transformer: join(folder.path, 'program') });
      const given = nodesIn(await readFile(join(folder.path, 'given'), 'utf8'));
      return { ...migrated, given };
    }

    it('is given the same nodes', async () => {
      const { given, exitCode } = await byEtcdctl(transformer(plain));
      expect(exitCode).toBe(0);
      await folder.run({ source: transformer(plain), protocol: 'etcdctl-migrate', nowMs: Date.now() }, await pagesOf());
      const own = nodesIn(await readFile(join(folder.path, 'given'), 'utf8'));
      const expirations = new Map(own.map((node) => [node.key, node.expiration]));
      const wanted = given.map((node) => {
        // The time of the directory above it, which etcdctl leaves out.
        const expiration = node.dir === true ? undefined : (node.expiration ?? expirations.get(node.key));
        return comparable({ ...node, ...(expiration === undefined ? {} : { expiration }) }) as Node;
      });
      expect(own.map(comparable)).toHaveLength(wanted.length);
      expect(own.toSorted(byKey).map(comparable)).toEqual(wanted.toSorted(byKey));
      expect(expirations.get('/leased/child')).toBeDefined();
      expect(own.length).toBeGreaterThan(100);
      expect(given.map(({ key }) => key)).toContain('/kept/plain');
    });

    it('makes the same keys and values, and all of them', async () => {
      const { dataDir: migrated, given } = await byEtcdctl(transformer(renaming));
      const there = await v3RecordsOf(version, migrated);
      const answers = await folder.run({ source: transformer(renaming), protocol: 'etcdctl-migrate' }, await pagesOf());
      const made = new Map(
        answers.flatMap((answer) => (answer.kind === 'kept' ? answer.records : [])).map((each) => [each.key, each]),
      );
      expect(made.size).toBe(given.filter(({ dir }) => dir !== true).length);
      // etcdctl stops reading once the program has ended, so that the last of its answers may be lost, with exit code 0.
      expect(there.size).toBeGreaterThan(0);
      expect(there.size).toBeLessThanOrEqual(made.size);
      for (const [key, stored] of there) {
        expect([key, Buffer.from(made.get(key)?.value ?? []).toString('utf8')]).toEqual([key, textOf(stored)]);
        // For etcdctl every key lives for ever.
        expect(stored.expiresAtMs).toBeNull();
      }
      expect(made.get(keyFromText('/v3/kept/lives'))?.expiresAtMs).toBeGreaterThan(Date.now());
    });

    it('that writes what is no record ends etcdctl with success, and keyferry with an error', async () => {
      const source = transformer(
        `${plain} if (node.key === '/kept/empty') fs.writeSync(1, Buffer.from('0400000000000000ffffffff', 'hex'));`,
      );
      const migrated = await byEtcdctl(source);
      expect([migrated.exitCode, migrated.stdout]).toEqual([0, expect.stringContaining('finished transforming keys')]);
      const there = await v3RecordsOf(version, migrated.dataDir);
      expect(there.has(keyFromText('/kept/plain'))).toBe(false);
      await expect(folder.run({ source, protocol: 'etcdctl-migrate' }, await pagesOf())).rejects.toMatchObject({
        code: 'program.answer-invalid',
        details: { where: expect.stringMatching(/^byte \d+$/) as string },
      });
    });

    it('that makes two keys of one node loses one with etcdctl, and none with keyferry', async () => {
      const both = `${plain} if (node.key === '/kept/plain') write({ key: '/kept/plain-copy', value: 'c', mod: node.modifiedIndex });`;
      const { dataDir: migrated } = await byEtcdctl(transformer(both));
      const there = await v3RecordsOf(version, migrated, '/kept/');
      expect([...there.keys()].filter((key) => key.startsWith('/kept/plain')).length).toBeLessThan(2);
      const answers = await folder.run({ source: transformer(both), protocol: 'etcdctl-migrate' }, await pagesOf());
      const made = answers.flatMap((answer) => (answer.kind === 'kept' ? answer.records.map(({ key }) => key) : []));
      expect(made.filter((key) => key.startsWith('/kept/plain'))).toHaveLength(2);
    });
  });
}

describe('which record an answer of a transformer is about', () => {
  let folder: ProgramFolder;
  beforeAll(async () => {
    folder = await ProgramFolder.create();
  });
  afterAll(() => folder.remove());

  const run = (body: string, pages: readonly (readonly ProgramInput[])[]): Promise<readonly ProgramAnswer[]> =>
    folder.run({ source: transformer(body), protocol: 'etcdctl-migrate' }, pages);
  const given = [
    [record('/a', '1', 7, { expiresAtMs: 4_000_000_000_000 }), record('/b', '2', 9), record('/c', '3', 300)],
  ];

  it('is told by its mod_revision, in whatever order they come', async () => {
    const reversed =
      'globalThis.held ??= []; held.unshift(node); if (node.key === "/c") for (const n of held) if (!n.dir) write({ key: "/x" + n.key, value: n.value, mod: n.modifiedIndex });';
    const answers = await run(reversed, given);
    expect(
      answers.map((answer) => [answer.kind === 'untraced' ? null : keyToText(answer.of.sourceKey), answerJson(answer)]),
    ).toEqual([
      ['/a', { kept: [{ key: { text: '/x/a' }, value: { text: '1' }, expiresAt: '2096-10-02T07:06:40.000Z' }] }],
      ['/b', { kept: [{ key: { text: '/x/b' }, value: { text: '2' }, expiresAt: null }] }],
      ['/c', { kept: [{ key: { text: '/x/c' }, value: { text: '3' }, expiresAt: null }] }],
    ]);
  });

  it('is not told by a number of its own; nodes without an answer were left out', async () => {
    const own =
      'if (node.key === "/a") write({ key: "/x", value: "", mod: 8 }); if (node.key === "/b") write({ key: "/y", value: "", mod: node.modifiedIndex });';
    expect((await run(own, given)).map(answerJson)).toEqual([
      { dropped: true },
      { untraced: [{ key: { text: '/x' }, value: { text: '' }, expiresAt: null }] },
      { kept: [{ key: { text: '/y' }, value: { text: '' }, expiresAt: null }] },
      { dropped: true },
    ]);
  });

  it('does not count where it has a lease, or where its node is not text', async () => {
    const leased = 'if (!node.dir) write({ key: node.key, value: node.value, mod: node.modifiedIndex, lease: 5 });';
    const answers = await run(leased, [[record('/a', '1', 7), record('/b', Buffer.of(0xff), 9)]]);
    expect(answers.map(answerJson)).toEqual([
      { failed: expect.stringContaining('UTF-8') as string },
      { failed: expect.stringContaining('lease 5') as string },
    ]);
  });
});
