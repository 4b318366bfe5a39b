/**
 * Goal: a directory that is damaged gives what a server makes of it, or an error: never another state in silence.
 * Method: one directory of a real server, damaged in one way each time; what its server answers that is started on a copy, or
 * that it does not start, beside what is read.
 */
import { copyFile, cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverOrSkip, startEtcd } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyOf, listedBy, nodesOf, replayed, type FlatNode } from './etcd-v2-datadir-fixture.ts';
import { send, work } from './etcd-v2-datadir-workload.ts';

/** Where they are in a copy. */
interface Files {
  readonly log: string;
  /** Newest first. */
  readonly snapshots: readonly string[];
}

const nextSegment = ({ log }: Files, name: string): string => join(log, '..', name);

async function change(file: string, make: (bytes: Buffer, end: number) => Buffer): Promise<void> {
  const bytes = await readFile(file);
  let end = bytes.length;
  while (bytes[end - 1] === 0) end -= 1;
  await writeFile(file, make(bytes, end));
}

const flip = (file: string, placeIn: (bytes: Buffer, end: number) => number): Promise<void> =>
  change(file, (bytes, end) => {
    const at = placeIn(bytes, end);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    return bytes;
  });
const cut = (file: string, less: number): Promise<void> => change(file, (bytes, end) => bytes.subarray(0, end - less));
const newest = ({ snapshots: [file = ''] }: Files): string => file;

const keyInTheMidst = '/in-the-midst';

interface Damage {
  readonly name: string;
  readonly damage: (files: Files) => Promise<unknown>;
  /** Null: it is read, and is what the server has that starts on it. */
  readonly code: string | null;
  readonly serverStarts: boolean;
}

const same = { code: null, serverStarts: true };
const damages: readonly Damage[] = [
  { name: 'a byte of the newest snapshot', damage: (files) => flip(newest(files), (_, end) => end >> 1), ...same },
  { name: 'the newest snapshot cut short', damage: (files) => cut(newest(files), 900), ...same },
  { name: 'the newest snapshot gone', damage: (files) => rm(newest(files)), ...same },
  { name: 'no snapshot left', damage: ({ snapshots }) => Promise.all(snapshots.map((file) => rm(file))), ...same },
  {
    name: 'an older snapshot under the name of the newest',
    damage: (files) => copyFile(files.snapshots[1] ?? '', newest(files)),
    ...same,
  },
  {
    name: 'a snapshot that is empty and newer than all',
    damage: (files) => writeFile(join(newest(files), '../00000000000000ff-00000000000000ff.snap'), ''),
    ...same,
  },
  {
    name: 'the log under a later number',
    damage: (files) => rename(files.log, nextSegment(files, '0000000000000003-0000000000000000.wal')),
    ...same,
  },
  { name: 'the last record of the log cut short', damage: ({ log }) => cut(log, 5), ...same },
  {
    name: 'a byte in the midst of the log',
    // Of a record: what fills up to the next one belongs to no checksum, and a server starts on it.
    damage: ({ log }) => flip(log, (bytes) => bytes.indexOf(keyInTheMidst)),
    code: 'datadir.damaged',
    serverStarts: false,
  },
  // The server takes it for the end; nobody can tell what was in it.
  {
    name: 'a segment behind that holds nothing',
    damage: (files) => writeFile(nextSegment(files, '0000000000000001-0000000000000fff.wal'), ''),
    code: 'datadir.damaged',
    serverStarts: true,
  },
];

/** 3.5 notes in the v3 store how far it is, also for what is of v2: there a log that ends before is seen to be cut. */
const cutLog = { name: 'entries missing at the end of the log', damage: ({ log }: Files) => cut(log, 900) };
const damagesOf = {
  '3.4': [...damages, { ...cutLog, ...same }],
  '3.5': [
    ...damages.filter(({ name }) => !name.startsWith('the last record')),
    { ...cutLog, code: 'datadir.incomplete', serverStarts: true },
  ],
} as const;

for (const version of ['3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`a directory of etcd ${version}${available.note}`, () => {
    let folder = '';
    let dataDir = '';

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'keyferry-damage-'));
      dataDir = join(folder, 'data');
      await using server = await startEtcd({ version, enableV2: true, dataDir, extraArgs: ['--snapshot-count=60'] });
      const [endpoint = ''] = server.endpoints;
      await work(endpoint, 5, 240);
      await send(endpoint, 'PUT', keyInTheMidst, { value: 'x' });
      for (let i = 0; i < 20; i += 1) await send(endpoint, 'PUT', `/last/k${i}`, { value: String(i) });
      await server.members[0]?.stop();
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    /** Null: it does not start. */
    const answerOf = async (directory: string): Promise<readonly FlatNode[] | null> => {
      const server = await startEtcd({ version, enableV2: true, dataDir: directory }).catch(() => null);
      if (server === null) return null;
      try {
        return (await listedBy(server.endpoints[0] ?? '')).nodes;
      } finally {
        await server.stop();
      }
    };

    it.each<Damage>(damagesOf[version])('$name', async ({ damage, code, serverStarts }) => {
      const copy = await copyOf(dataDir, folder);
      const [snap, wal] = [join(copy, 'member/snap'), join(copy, 'member/wal')];
      const named = (await readdir(snap)).filter((name) => name.endsWith('.snap')).toSorted();
      expect(named.length).toBeGreaterThan(2);
      const [log = ''] = (await readdir(wal)).filter((name) => name.endsWith('.wal'));
      await damage({ log: join(wal, log), snapshots: named.toReversed().map((name) => join(snap, name)) });
      const forServer = join(folder, 'started');
      await rm(forServer, { recursive: true, force: true });
      await cp(copy, forServer, { recursive: true });
      const read = replayed(copy).then(
        ({ tree }) => nodesOf(tree, { hidden: false }),
        (error: unknown) => (error as { readonly code?: string }).code ?? error,
      );
      const [own, answer] = [await read, await answerOf(forServer)];
      expect(answer !== null).toBe(serverStarts);
      if (code !== null) expect(own).toBe(code);
      else expect(lasting(own as readonly FlatNode[])).toEqual(lasting(answer ?? []));
    });
  });
}

/** What lived for a few seconds may be swept when a server starts. */
function lasting(nodes: readonly FlatNode[]): readonly FlatNode[] {
  const soonNs = BigInt(Date.now() + 60_000) * 1_000_000n;
  const mortal = nodes.filter(({ expiresAtNs }) => expiresAtNs !== null && expiresAtNs < soonNs).map(({ key }) => key);
  return nodes.filter(({ key }) => !mortal.some((each) => key === each || key.startsWith(`${each}/`)));
}
