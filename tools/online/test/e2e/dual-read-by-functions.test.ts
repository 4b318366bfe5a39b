/**
 * Goal: eight scheduled functions move an application under load from etcd v2 to etcd v3 (strategy `dual-read`): its
 * instances go over behind the barrier, records are copied and compared behind them, and the last function moves the switch
 * on. Functions are killed where it hurts most and are called twice, and one instance died before they came; nothing is lost
 * and nothing comes back.
 * Method: the built bundles in the local cloud, state and switch in one table of DynamoDB Local, etcd 3.4 serving v2 and
 * etcd 3.5; the instances are processes of their own, and what they say that they did is the oracle.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDynamoDbSwitch } from '@keyferry/adapters/state-dynamodb';
import type { InstanceId, SwitchEpoch } from '@keyferry/core';
import { LocalCloud, type LocalInvocation } from '@keyferry/lambda/local';
import {
  loadV2Keys,
  serverOrSkip,
  startDynamoDb,
  startEtcd,
  type DynamoDbServer,
  type EtcdServer,
} from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InstanceProcesses } from './instance-processes.ts';

const binary = fileURLToPath(new URL('../../../../packages/cli/bin/keyferry.js', import.meta.url));
const available = await Promise.all([
  serverOrSkip('etcd-3.4'),
  serverOrSkip('etcd-3.5'),
  serverOrSkip('dynamodb-local'),
]);
const note = available.find((server) => !server.ok)?.note ?? '';

const functions = 8;
const instances = 3;
const keysAtRest = 3000;
const requestLifeMs = 10_000;
const everyMs = 2000;
const timeoutMs = 30_000;
const testMaxMs = 600_000;

/** A log line of a function. */
interface Line {
  readonly message: string;
  readonly data: { readonly mode?: string };
}

describe.skipIf(available.some(({ ok }) => !ok))(`dual-read by functions${note}`, { timeout: testMaxMs }, () => {
  let servers: { readonly source: EtcdServer; readonly target: EtcdServer; readonly dynamo: DynamoDbServer };
  let folder: string;
  let etcd: Etcd3;
  let env: NodeJS.ProcessEnv;
  let app: InstanceProcesses | null = null;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyferry-functions-'));
    const [source, target, dynamo] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
      startDynamoDb(),
    ]);
    servers = { source, target, dynamo };
    etcd = new Etcd3({ hosts: [...target.endpoints] });
    env = { PATH: process.env['PATH'] ?? '', HOME: folder, ...dynamo.credentials };
    const table = { table: 'keyferry', region: 'eu-west-1', endpoint: dynamo.endpoint };
    const config = {
      version: 1,
      state: { dynamodb: table },
      stores: {
        old: { kind: 'etcd-v2', endpoints: source.endpoints },
        new: { kind: 'etcd-v3', endpoints: target.endpoints },
      },
      migrations: {
        shop: {
          source: { store: 'old', prefix: '/shop/' },
          target: { store: 'new', prefix: '/shop/' },
          strategy: 'dual-read',
          switch: { dynamodb: table },
          instances: { min: instances, barrierTimeout: '10s', requestLife: `${requestLifeMs}ms` },
          // Slow enough for kills in the middle.
          limits: { workers: 1, chunkKeys: 100, functions, rate: '800/s' },
        },
      },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
  }, testMaxMs);

  afterAll(async () => {
    app?.kill();
    etcd?.close();
    await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  it('comes to settled through kills and duplicates, and to normal, with all that the application wrote', async () => {
    const atRest = Array.from({ length: keysAtRest }, (_, i) => {
      return { key: `/shop/rest/${String(i).padStart(5, '0')}`, value: `value ${i}` };
    });
    await loadV2Keys(servers.source.endpoints[0] as string, atRest);
    expect(await keyferry(['state', 'create-table'])).toMatchObject({ exitCode: 0 });
    expect(await keyferry(['lambda', 'package', 'shop', '--out', 'functions'])).toMatchObject({ exitCode: 0 });
    const running = startInstances();
    app = running;
    await running.goOn(20);
    expect(await keyferry(['plan', 'shop', '--out', 'shop.kfplan'])).toMatchObject({ exitCode: 0 });

    await leaveBehind('app-dead.1');
    const named = ['--confirm-gone', 'app-dead.1'];
    const applying = keyferry(['apply', 'shop.kfplan', '--runner', 'lambda', ...named]);
    let isOver = false;
    void applying.finally(() => (isOver = true));
    const ends: LocalInvocation[] = [];
    const wanted = new Set(['draining', 'chunk', 'settled']);
    const cloud = new LocalCloud({
      folder: join(folder, 'functions'),
      timeoutMs,
      concurrency: functions,
      env: { ...servers.dynamo.credentials, AWS_LAMBDA_LOG_LEVEL: 'DEBUG' },
      onEnd: (_name, end) => void ends.push(end),
      // Each once: while writes are held, in the middle of a chunk, and before the epoch is raised.
      onLine: (text, _name, environment) => {
        const at = placeOf(text);
        if (at !== null && wanted.delete(at)) environment.kill();
      },
    });
    try {
      await cloud.run(everyMs, async () => {
        // Delivered twice: now, and with the tick.
        for (const name of ['dispatch', 'backfill', 'verify'] as const) void cloud.invoke(name);
        return isOver;
      });
    } finally {
      await cloud.close();
    }
    const applied = await applying;
    expect(applied).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', verify: { verdict: 'agree' }, deviations: [], next: 'keyferry finalize shop' },
    });
    expect(wanted).toEqual(new Set());
    expect(ends.filter(({ kind }) => kind === 'died').length).toBeGreaterThanOrEqual(3);
    expect(ends.filter(({ kind }) => kind === 'failed')).toEqual([]);
    const settled = await keyferry(['status', 'shop']);
    expect(settled.document).toMatchObject({
      migrations: [{ phase: 'verified', online: { mode: 'settled' }, next: 'keyferry finalize shop' }],
    });
    await running.goOn(20);
    // A function that was killed late keeps the lock until its lease ends.
    expect(await keyferry(['finalize', 'shop', '--yes', '--lock-timeout', '2m'])).toMatchObject({ exitCode: 0 });
    await running.goOn(20);

    const expected = new Map([...atRest.map(({ key, value }) => [key, value] as const), ...(await running.end())]);
    expect(new Map(Object.entries(await etcd.getAll().prefix('/shop/').strings()))).toEqual(expected);
    const left = await etcd.getAll().prefix('_keyferry/').keys();
    expect(left.toSorted()).toEqual(['_keyferry/shop/done', '_keyferry/shop/epoch']);
  });

  function startInstances(): InstanceProcesses {
    const { source, target, dynamo } = servers;
    const orders = Array.from({ length: instances }, (_, i) => ({
      name: `app-${i}`,
      migration: 'shop',
      source: source.endpoints,
      target: target.endpoints,
      place: { name: 'switch', table: 'keyferry', region: 'eu-west-1', endpoint: dynamo.endpoint },
      prefix: `/shop/${i}/`,
      counter: '/shop/count',
      requestLifeMs,
      waitMaxMs: 120_000,
    }));
    return new InstanceProcesses(orders, env);
  }

  /** What a process leaves at the switch that died without a word: the first barrier would wait for it until it is given up. */
  async function leaveBehind(instance: string): Promise<void> {
    Object.assign(process.env, servers.dynamo.credentials);
    const { endpoint } = servers.dynamo;
    const place = openDynamoDbSwitch({ name: 'switch', table: 'keyferry', region: 'eu-west-1', endpoint });
    const registration = {
      instance: instance as InstanceId,
      acknowledged: 0 as SwitchEpoch,
      renewals: 7,
      leaseMs: 1000,
      since: '2026-01-01T00:00:00.000Z',
      goneAt: null,
    };
    await place.writeRegistration(registration, 'absent');
    await place.close();
  }

  async function keyferry(args: readonly string[]) {
    const child = spawn(process.execPath, [binary, ...args, '--json'], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    return { exitCode, stderr, document: JSON.parse(stdout) as Record<string, unknown> };
  }
});

/** A place to kill a function at. */
function placeOf(text: string): string | null {
  let line: Line;
  try {
    line = JSON.parse(text) as Line;
  } catch {
    return null; // not every line of a process is a log line
  }
  if (line.message === 'chunk.claimed') return 'chunk';
  return line.message === 'mode.announced' ? (line.data.mode ?? null) : null;
}
