/**
 * Goal: an application whose instances register is led over as soon as they have acknowledged, long before a request's life
 * is over; one that died is passed over on an operator's word alone; and both ways nothing is lost (SPEC R100 to R105).
 * Method: the built binary and etcd 3.5; followers of the client package at work, whose own tally is the oracle, and
 * a registration that nobody renews, as a killed process leaves one.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openEtcdV3PrimarySwitch } from '@keyferry/adapters/etcd-v3';
import { followPrimary, type Follower } from '@keyferry/client';
import { invariant, type InstanceId, type PrimarySide, type PrimarySwitch, type SwitchEpoch } from '@keyferry/core';
import { serverOrSkip, startEtcd, waitUntil, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const binary = fileURLToPath(new URL('../../../../packages/cli/bin/keyferry.js', import.meta.url));
const available = await serverOrSkip('etcd-3.5');
/** Silence would hold writes for so long at least; round trips take a fraction of it, on a slow machine too. */
const requestLifeMs = 8000;
const waitMaxMs = 100_000;
/** So that the programs under test have their share of a small machine. */
const betweenWritesMs = 10;
const prefixes: Readonly<Record<PrimarySide, string>> = { source: '/from/', target: '/to/' };
const key = '_keyferry/switch';
const dead = 'api-3.killed' as InstanceId;

/** Writes one key after another through its follower, and keeps what was acknowledged. */
class Worker {
  readonly tally = new Map<string, string>();
  writes = 0;
  private readonly name: string;
  private readonly etcd: Etcd3;
  private readonly follower: Follower;
  private isStopping = false;
  private running = Promise.resolve();

  constructor(name: string, etcd: Etcd3, follower: Follower) {
    this.name = name;
    this.etcd = etcd;
    this.follower = follower;
  }

  start(): void {
    this.running = this.goOn();
    this.running.catch(() => undefined); // `stop` is told of it
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running;
    await this.follower.close();
  }

  private async goOn(): Promise<void> {
    while (!this.isStopping) {
      // Each key is written twice: what is lost of it stays lost.
      const name = `${this.name}/${Math.floor(this.writes / 2)}`;
      const value = `turn ${this.writes}`;
      await this.follower.write(name, (primary) => this.etcd.put(`${prefixes[primary]}${name}`).value(value).exec());
      this.tally.set(name, value);
      this.writes += 1;
      await pause(betweenWritesMs);
    }
  }
}

describe.skipIf(!available.ok)(`a cutover that instances acknowledge${available.note}`, () => {
  let server: EtcdServer;
  let etcd: Etcd3;
  let folder: string;
  const places: PrimarySwitch[] = [];
  const workers: Worker[] = [];

  beforeAll(async () => {
    server = await startEtcd({ version: '3.5', unsafeNoFsync: true });
    etcd = new Etcd3({ hosts: [...server.endpoints] });
    folder = await mkdtemp(join(tmpdir(), 'keyferry-cutover-'));
    const store = { kind: 'etcd-v3', endpoints: server.endpoints };
    const replicate = {
      freeze: { switch: { store: 'new', key } },
      pauseMax: '90s',
      requestLife: `${requestLifeMs}ms`,
      instances: { min: 2 },
    };
    const sides = { source: { store: 'old', prefix: '/from/' }, target: { store: 'new', prefix: '/to/' } };
    const migrations = { move: { ...sides, strategy: 'replicate', replicate } };
    await writeFile(
      join(folder, 'keyferry.yaml'),
      JSON.stringify({ version: 1, stores: { old: store, new: store }, migrations }),
    );
  });

  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop().catch(() => undefined)));
    await Promise.all(places.map((place) => place.close()));
    etcd?.close();
    await server?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it('is as short as that takes, passes over the dead on a word alone, and comes back so too', async () => {
    for (const name of ['api-1', 'api-2']) {
      const follower = await followPrimary({ name, switch: open(), requestLifeMs, waitMaxMs });
      workers.push(new Worker(name, etcd, follower));
    }
    for (const worker of workers) worker.start();
    await register(dead);
    expect((await keyferry(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
    expect((await keyferry(['apply', 'move.kfplan'])).exitCode).toBe(0);

    const refused = await keyferry(['cutover', 'move', '--yes']);
    expect([refused.exitCode, refused.document]).toMatchObject([4, { error: { code: 'cutover.instances-missing' } }]);
    expect(JSON.stringify(refused.document)).toContain(dead);
    expect((await keyferry(['cutover', 'move', '--yes', '--confirm-gone', 'nobody'])).document).toMatchObject({
      error: { code: 'instance.unknown' },
    });
    expect(await etcd.get(`${key}/primary`).string()).toBeNull();

    const cut = await keyferry(['cutover', 'move', '--yes', '--confirm-gone', dead]);
    expect([cut.exitCode, cut.document]).toMatchObject([0, { strays: [] }]);
    expect(heldMsOf(cut.document)).toBeLessThan(requestLifeMs);
    await allWrite();
    const { document } = await keyferry(['status', 'move']);
    expect(document).toMatchObject({
      migrations: [
        {
          phase: 'cut-over',
          cutover: { outcome: 'flipped', proof: 'acknowledgements', missing: [] },
          primary: { primary: 'target', writes: 'open' },
        },
      ],
    });
    const { instances } = (document['migrations'] as readonly { primary: { instances: object[] } }[])[0]?.primary ?? {};
    expect(instances).toHaveLength(3);
    expect(instances).toContainEqual(expect.objectContaining({ instance: dead, goneAt: expect.any(String) }));

    const back = await keyferry(['rollback', 'move', '--yes']);
    expect([back.exitCode, back.document]).toMatchObject([0, { ledBack: { strays: [] } }]);
    expect(heldMsOf(back.document['ledBack'])).toBeLessThan(requestLifeMs);
    await allWrite();
    await Promise.all(workers.map((worker) => worker.stop()));
    const tally = Object.fromEntries(workers.flatMap((worker) => [...worker.tally]));
    expect(await recordsUnder('/from/')).toEqual(tally);
    expect(await recordsUnder('/to/')).toEqual({});
  }, 240_000);

  function open(): PrimarySwitch {
    const place = openEtcdV3PrimarySwitch({ name: 'new', endpoints: server.endpoints, key });
    places.push(place);
    return place;
  }

  /** As an instance that registered and was killed right after it. */
  async function register(instance: InstanceId): Promise<void> {
    const { instances } = open();
    invariant(instances !== null, 'a key has a place for registrations');
    const acknowledged = 0 as SwitchEpoch;
    const since = new Date().toISOString();
    const registration = { instance, acknowledged, renewals: 1, leaseMs: 1000, since, goneAt: null } as const;
    await instances.writeRegistration({ ...registration, follows: 'primary' }, 'absent');
  }

  /** Each of them writes on, where it was led. */
  async function allWrite(): Promise<void> {
    const before = workers.map(({ writes }) => writes);
    await waitUntil(async () => workers.every(({ writes }, at) => writes > (before[at] ?? 0) + 10), waitMaxMs, 20);
  }

  async function recordsUnder(prefix: string): Promise<Readonly<Record<string, string>>> {
    const found = await etcd.getAll().prefix(prefix).strings();
    return Object.fromEntries(Object.entries(found).map(([name, value]) => [name.slice(prefix.length), value]));
  }

  function keyferry(args: readonly string[]): Promise<{ exitCode: number | null; document: Record<string, unknown> }> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [binary, ...args, '--json'], {
        cwd: folder,
        env: { PATH: process.env['PATH'] ?? '', HOME: folder },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.on('error', reject);
      child.on('close', (exitCode) => resolve({ exitCode, document: JSON.parse(stdout) as Record<string, unknown> }));
    });
  }
});

const heldMsOf = (document: unknown): number => (document as { readonly heldMs: number }).heldMs;
