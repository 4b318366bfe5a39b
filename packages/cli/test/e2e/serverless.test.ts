/**
 * Goal: functions that are killed, frozen, called twice and cut off by their deadlines migrate 100,000 keys: the counts add
 * up, no record is lost, none is written twice, and nothing that a stale one still writes lands.
 * Method: the built bundles, each alone in an empty folder, run through the Runtime API by the local cloud, from etcd v2 to
 * etcd v3 on real servers with state in DynamoDB Local; the command line submits the plan and follows.
 */
import { cp, mkdir, readdir, readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { LocalCloud, LocalFunction, type Environment, type LocalInvocation } from '@keyferry/lambda/local';
import {
  loadV2Keys,
  serverOrSkip,
  startDynamoDb,
  startEtcd,
  type DynamoDbServer,
  type EtcdServer,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readV3 } from './etcd-data.ts';
import { MigrationFolder, until } from './migration-folder.ts';

const available = await Promise.all([
  serverOrSkip('etcd-3.4'),
  serverOrSkip('etcd-3.5'),
  serverOrSkip('dynamodb-local'),
]);
const note = available.find((server) => !server.ok)?.note ?? '';

const keyCount = 100_000;
const chunkKeys = 2500;
const concurrency = 8;
const timeoutMs = 20_000;
const directories = 100;
const killsMax = 4;
const debugging = { AWS_LAMBDA_LOG_LEVEL: 'DEBUG' };
const entries = Array.from({ length: keyCount }, (_, i) => ({
  key: `/config/${i % directories}/${i}`,
  value: `v${i}`,
}));

/** One that no function runs: for what is put into its bundle. */
async function addMigration(
  to: MigrationFolder,
  name: string,
  { source, target }: { readonly source: string; readonly target: object },
): Promise<void> {
  const config = JSON.parse(await readFile(to.file('keyferry.yaml'), 'utf8')) as {
    readonly stores: Record<string, object>;
    readonly migrations: Record<string, object>;
  };
  config.stores[`of-${name}`] = target;
  const sides = { source: { store: source, prefix: '/config/' }, target: { store: `of-${name}`, prefix: 'config/' } };
  config.migrations[name] = { ...sides, strategy: 'offline' };
  await to.write('keyferry.yaml', JSON.stringify(config));
}

/** A log line of a function. */
interface Line {
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

describe.skipIf(available.some(({ ok }) => !ok))(`functions${note}`, { timeout: 600_000 }, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer; readonly dynamo: DynamoDbServer };
  let folder: MigrationFolder;

  beforeAll(async () => {
    const [source, target, dynamo] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
      startDynamoDb(),
    ]);
    servers = { source, target, dynamo };
    Object.assign(process.env, dynamo.credentials);
    await loadV2Keys(source.endpoints[0] as string, entries);
    const options = {
      source: { kind: 'etcd-v2', endpoints: source.endpoints },
      target: { kind: 'etcd-v3', endpoints: target.endpoints },
      prefix: '/config/',
      settings: { limits: { chunkKeys, workers: 1, functions: concurrency } },
      state: { dynamodb: { table: 'keyferry', region: 'eu-west-1', endpoint: dynamo.endpoint } },
    };
    folder = await MigrationFolder.create(options);
    await addMigration(folder, 'beside', {
      source: 'old',
      target: { kind: 'consul', endpoints: ['http://127.0.0.1:1'] },
    });
    await addMigration(folder, 'tables', {
      source: 'old',
      target: { kind: 'dynamodb', table: 'records', region: 'eu-west-1', key: { hash: 'id' } },
    });
  }, 600_000);
  afterAll(async () => {
    await folder?.remove();
    await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()));
  });

  it('start from their bundles alone, which hold no client that the migration does not name', async () => {
    const made = await folder.run(['lambda', 'package', 'move', '--out', 'made']);
    expect(made).toMatchObject({ exitCode: 0, document: { format: 'keyferry.lambda-package' } });
    const { functions } = made.document as PackageDocument;
    for (const { bytes, libraries } of functions) {
      expect(bytes).toBeLessThan(900_000);
      expect(libraries).not.toContain('etcd3');
    }
    // The figures that packages/lambda/README.md gives, and a little for what is to come.
    for (const [migration, bytesMax] of [
      ['beside', 630_000],
      ['tables', 640_000],
    ] as const) {
      const other = await folder.run(['lambda', 'package', migration, '--out', migration]);
      for (const { bytes, libraries } of (other.document as PackageDocument).functions) {
        expect(bytes).toBeLessThan(bytesMax);
        expect(libraries).not.toContain('grpc-js');
      }
    }
    // An empty folder of their own: neither node_modules nor a package.json anywhere near.
    await mkdir(folder.file('functions'));
    await cp(folder.file('made'), folder.file('functions'), { recursive: true });
    expect((await readdir(folder.file('functions/backfill'))).toSorted()).toEqual(['index.cjs', 'keyferry.json']);
    expect((await folder.run(['state', 'create-table'])).exitCode).toBe(0);
    const idle = await folder.run(['lambda', 'invoke', 'functions/backfill']);
    expect(idle).toMatchObject({
      exitCode: 0,
      document: { function: 'keyferry-backfill', result: { outcome: 'idle', why: 'no plan was applied yet' } },
    });
    const served = ['lambda', 'serve', 'functions', '--every', '1s', '--concurrency', '1', '--timeout', '10s'];
    expect(await folder.run(served)).toMatchObject({ exitCode: 0, document: { format: 'keyferry.lambda-served' } });
    const planned = await folder.run(['lambda', 'invoke', 'functions/plan', '--function-timeout', '5m']);
    expect(planned.document).toMatchObject({
      result: { outcome: 'planned', applyable: true, totals: { actions: { create: { keys: keyCount } } } },
    });
  });

  it('migrate 100,000 keys, eight at once, on a schedule, with kills, freezes and duplicates', async () => {
    const plan = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect(plan.exitCode).toBe(0);
    const applying = folder.start(['apply', 'move.kfplan', '--runner', 'lambda']);
    let isOver = false;
    void applying.ended.then(() => (isOver = true));
    const ends: LocalInvocation[] = [];
    const claims: Claim[] = [];
    let kills = 0;
    const cloud = new LocalCloud({
      folder: folder.file('functions'),
      timeoutMs,
      concurrency,
      env: debugging,
      onEnd: (_name, end) => void ends.push(end),
      onLine: (text, _name, environment) => {
        const claim = claimOf(text);
        if (claim === null) return;
        claims.push(claim);
        if (claims.length % 5 !== 3 || kills >= killsMax) return;
        kills += 1;
        // In the middle of its writes, or just before them.
        setTimeout(() => environment.kill(), 5 * kills);
      },
    });
    const sleeper = new Sleeper(folder.file('functions/backfill'));
    try {
      // The plan is taken up by whichever dispatch comes first; both may.
      await until(async () => (await Promise.all([cloud.invoke('dispatch'), cloud.invoke('dispatch')])).some(isBegun));
      const asleep = await sleeper.fallAsleep();
      const running = cloud.run(3000, async () => {
        // Delivered twice: at once, and again with the next tick.
        for (const name of ['backfill', 'dispatch'] as const) void cloud.invoke(name);
        void cloud.invoke('backfill', { first: 'c00000', last: 'c00003' });
        return isOver;
      });
      const isTakenOver = ({ chunk, token }: Claim): boolean => chunk === asleep.chunk && token > asleep.token;
      await until(async () => claims.some(isTakenOver) || isOver);
      await sleeper.wake();
      await running;
    } finally {
      await cloud.close();
      await sleeper.stop();
    }
    const applied = await applying.output;
    expect(applied).toMatchObject({
      exitCode: 0,
      document: {
        outcome: 'done',
        counts: { written: keyCount, equal: 0, kept: 0, deadLetters: 0, notCarried: directories },
        verify: { verdict: 'agree', source: { records: keyCount }, target: { records: keyCount } },
        deviations: [],
      },
    });
    const records = await readV3(servers.target.endpoints[0] as string, '/config/');
    expect(records.size).toBe(keyCount);
    // A key that was written twice has version 2.
    expect([...new Set([...records.values()].map(({ version }) => version))]).toEqual(['1']);
    expect(entries.filter(({ key, value }) => records.get(key)?.value.toString() !== value)).toEqual([]);
    expect((await folder.run(['locks', 'list'])).document).toMatchObject({ locks: [] });
    expect(ends.filter(({ kind }) => kind === 'died').length).toBeGreaterThanOrEqual(1);
    expect(ends.some(({ kind, cold }) => kind === 'returned' && !cold)).toBe(true);
    expect(ends.filter(({ kind }) => kind === 'failed')).toEqual([]);
    expect(sleeper.messages()).toContain('chunk.lost');
    expect((await folder.run(['rollback', 'move', '--yes'])).exitCode).toBe(0);
    expect((await readV3(servers.target.endpoints[0] as string, '/config/')).size).toBe(0);
  });
});

interface PackageDocument {
  readonly functions: readonly { readonly bytes: number; readonly libraries: readonly string[] }[];
}

/** A worker took a chunk on. */
interface Claim {
  readonly chunk: string;
  readonly token: number;
}

function isBegun(end: LocalInvocation): boolean {
  return end.kind === 'returned' && (end.result as { readonly next: string | null }).next === 'backfill';
}

function claimOf(text: string): Claim | null {
  const line = lineOf(text);
  return line?.message === 'chunk.claimed' ? (line.data as unknown as Claim) : null;
}

function lineOf(text: string): Line | null {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return null; // not every line of a process is a log line
  }
}

/** A function that is stopped in the middle of its chunk, for longer than its lease, and then goes on writing. */
class Sleeper {
  private readonly lines: Line[] = [];
  private readonly target: LocalFunction;
  private environment: Environment | null = null;
  private isAwake = false;
  private ended: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.target = new LocalFunction({
      name: 'sleeper',
      folder,
      timeoutMs: 600_000,
      concurrency: 1,
      env: debugging,
      onLine: (text, environment) => {
        const line = lineOf(text);
        if (line === null) return;
        this.lines.push(line);
        this.environment = environment;
        if (line.message === 'chunk.claimed' && !this.isAwake) environment.freeze();
      },
    });
  }

  /** Sleeps in a chunk that it holds. One that it was quicker with than the signal is passed by. */
  async fallAsleep(): Promise<Claim> {
    this.ended = this.target.invoke();
    for (let seen = 0; ; seen += 1) {
      await until(async () => this.claims().length > seen);
      // Whatever it still wrote before it stopped is in the pipe by then.
      await wait(500);
      const claim = this.claims()[seen] as Claim;
      const isDone = this.lines.some(({ message, data }) => message === 'chunk.done' && data['chunk'] === claim.chunk);
      if (!isDone) return claim;
      this.environment?.thaw();
    }
  }

  async wake(): Promise<void> {
    this.isAwake = true;
    this.environment?.thaw();
    await this.ended;
  }

  messages(): readonly string[] {
    return this.lines.map(({ message }) => message);
  }

  async stop(): Promise<void> {
    await this.target.close();
  }

  private claims(): readonly Claim[] {
    return this.lines.flatMap(({ message, data }) => (message === 'chunk.claimed' ? [data as unknown as Claim] : []));
  }
}
