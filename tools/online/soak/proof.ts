/**
 * The live proof: an application of several processes works at full rate on etcd 3.4 (v2) and 3.5 while the built program
 * migrates it, is killed, goes on, cuts over, goes back, and forth again to the end; one instance behind a proxy that breaks
 * connections, one on an island that is cut off. What the instances wrote down is the oracle (judge.ts).
 *
 *     cut off, so that apply gives up ─► apply, kill -9, apply ─► cutover ─► rollback ─┐ as many rounds as asked for
 *           ▲──────────────────────────────────────────────────────────────────────────┘
 *     apply on the island, cut off for a while ─► cutover ─► finalize ─► judge
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Prng } from '@keyferry/engine/testing';
import { loadV2Keys, ServerError, startEtcd, waitUntil, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { fairWeather, startProxy, type Proxy, type ProxyWeather } from './faulty-proxy.ts';
import { readInstanceLog } from './instance-log.ts';
import type { InstanceOptions } from './instance.ts';
import type { Island } from './island.ts';
import { judge, type Verdict } from './judge.ts';

export interface ProofOptions {
  readonly seed: string;
  /** Ways there and back before the last way there. */
  readonly rounds: number;
  /** How long the application works between two commands. */
  readonly betweenMs: number;
  readonly keysAtRest: number;
  /** Null: processes are stopped with SIGSTOP instead of being cut off. */
  readonly island: Island | null;
  readonly weather: ProxyWeather;
  readonly say: (line: string) => void;
}

export interface Proof extends Verdict {
  /** Broken connections. */
  readonly cuts: number;
  /** Keys that nobody touched and that are not as they were. */
  readonly restWrong: readonly string[];
  /** Of keyferry's own, in the target in the end. */
  readonly controlLeft: readonly string[];
  readonly commands: readonly string[];
}

const binary = fileURLToPath(new URL('../../../packages/cli/bin/keyferry.js', import.meta.url));
const instanceProgram = fileURLToPath(new URL('instance.ts', import.meta.url));
const name = 'proof';
const prefix = `/${name}/`;
const switchKey = '_keyferry/switch';
const hotKeys: readonly [string, ...string[]] = [
  `${prefix}hot/0`,
  ...Array.from({ length: 11 }, (_, i) => `${prefix}hot/${i + 1}`),
];
const requestTimeoutMs = 1500;
/** Longer than a request waits, and than what a cut held back is repeated. */
const requestLifeMs = 5000;
const leaseMs = 3000;
/** What an instance that is cut off costs; a machine that is slower than this repeats the command. */
const barrierTimeoutMs = 12_000;
const triesMax = 5;
const waitMaxMs = 120_000;
const idsEach = 100_000_000;

export async function runProof(options: ProofOptions): Promise<Proof> {
  await using stage = await Stage.open(options);
  return await stage.play();
}

interface Ended {
  readonly exitCode: number | null;
  readonly document: Record<string, unknown>;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

interface Instance {
  readonly name: string;
  readonly log: string;
  readonly child: ChildProcess;
}

class Stage {
  private readonly options: ProofOptions;
  private readonly folder: string;
  private readonly servers: readonly [source: EtcdServer, target: EtcdServer];
  private readonly etcd: Etcd3;
  private readonly proxies: Proxy[] = [];
  private readonly instances: Instance[] = [];
  private readonly commands: string[] = [];
  private commandsStarted = 0;

  static async open(options: ProofOptions): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-proof-'));
    const servers = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, unsafeNoFsync: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    return new Stage(options, folder, servers);
  }

  private constructor(options: ProofOptions, folder: string, servers: Stage['servers']) {
    this.options = options;
    this.folder = folder;
    this.servers = servers;
    this.etcd = new Etcd3({ hosts: [...servers[1].endpoints] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.instances) child.kill('SIGKILL');
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
    this.etcd.close();
    await Promise.all(this.servers.map((server) => server.stop()));
    this.options.island?.remove();
    await rm(this.folder, { recursive: true, force: true });
  }

  async play(): Promise<Proof> {
    const { rounds, say } = this.options;
    const atRest = await this.load();
    const endpoints = await this.reachableEndpoints(fairWeather);
    await this.writeConfig(endpoints);
    await this.startInstance('app-1', endpoints, null);
    await this.startInstance('app-2', await this.reachableEndpoints(this.options.weather), null);
    const island = await this.startInstance('app-3', endpoints, this.options.island);
    await this.goOn();
    for (let round = 1; round <= rounds; round += 1) {
      say(`round ${round} of ${rounds}, and back`);
      const plan = await this.planned(`there-${round}`);
      await this.refuseWhileCutOff(plan, island);
      await this.applyThroughKill(plan);
      await this.expectMode('cutover', 'settled');
      await this.goOn();
      await this.expectMode('rollback', 'legacy');
      await this.goOn();
    }
    say('there, to the end');
    await this.applyThroughCut(await this.planned('last'));
    await this.goOn();
    await this.expectMode('cutover', 'settled');
    await this.goOn();
    await this.expectMode('finalize', 'normal');
    await this.goOn();
    return await this.judge(atRest);
  }

  private async load(): Promise<ReadonlyMap<string, string>> {
    const entries = Array.from({ length: this.options.keysAtRest }, (_, i) => {
      return { key: `${prefix}rest/${String(i).padStart(6, '0')}`, value: `value ${i}` };
    });
    await loadV2Keys(this.servers[0].endpoints[0] ?? '', entries);
    return new Map(entries.map(({ key, value }) => [key, value]));
  }

  /** Source and target through proxies of their own, which the island reaches too. */
  private async reachableEndpoints(weather: ProxyWeather) {
    const { island, seed } = this.options;
    const listenOn = island?.address ?? '127.0.0.1';
    const reach = async (server: EtcdServer): Promise<string> => {
      const prng = new Prng(`${seed} proxy ${this.proxies.length}`);
      const proxy = await startProxy(server.endpoints[0] ?? '', listenOn, prng);
      proxy.change(weather);
      this.proxies.push(proxy);
      return proxy.endpoint;
    };
    return { source: await reach(this.servers[0]), target: await reach(this.servers[1]) };
  }

  private async writeConfig({ source, target }: { source: string; target: string }): Promise<void> {
    const config = {
      version: 1,
      stores: {
        old: { kind: 'etcd-v2', endpoints: [source] },
        new: { kind: 'etcd-v3', endpoints: [target] },
      },
      migrations: {
        [name]: {
          source: { store: 'old', prefix },
          target: { store: 'new', prefix },
          strategy: 'dual-read',
          switch: { store: 'new', key: switchKey },
          instances: { min: 3, barrierTimeout: `${barrierTimeoutMs}ms`, requestLife: `${requestLifeMs}ms` },
          rules: [{ ttl: { toLease: { bucket: '1s' } } }],
          // Slow enough for a kill and for a cut in the middle.
          limits: { workers: 2, chunkKeys: 50, rate: '400/s' },
        },
      },
    };
    await writeFile(join(this.folder, 'keyferry.yaml'), JSON.stringify(config));
  }

  private async startInstance(
    instance: string,
    endpoints: { source: string; target: string },
    island: Island | null,
  ): Promise<Instance> {
    const log = join(this.folder, `${instance}.jsonl`);
    const options: InstanceOptions = {
      name: instance,
      ...endpoints,
      migration: name,
      switchKey,
      requestLifeMs,
      leaseMs,
      requestTimeoutMs,
      firstId: idsEach * (this.instances.length + 1),
      seed: this.options.seed,
      keys: hotKeys,
      prefix: `${prefix}hot/`,
      lanes: 3,
      log,
    };
    const args = ['--conditions=keyferry-source', instanceProgram, JSON.stringify(options)];
    const [command, commandArgs] = island?.around(process.execPath, args) ?? [process.execPath, args];
    const child = spawn(command, commandArgs, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => undefined); // it died, and its exit tells so
    await Promise.race([once(child.stdout, 'data'), this.failed(child, instance)]);
    this.instances.push({ name: instance, log, child });
    return { name: instance, log, child };
  }

  private async failed(child: ChildProcess, what: string): Promise<never> {
    const [code] = (await once(child, 'exit')) as [number | null];
    throw new ServerError('server.start-failed', `${what} ended with ${code}`, 'What it printed is above.');
  }

  /** @throws when an instance found what it cannot go on from */
  private async goOn(): Promise<void> {
    await sleep(this.options.betweenMs);
    const dead = this.instances.find(({ child }) => child.exitCode !== null || child.signalCode !== null);
    if (dead !== undefined)
      throw new ServerError('server.start-failed', `${dead.name} has died`, 'What it printed is above.');
  }

  /** An instance that may write the source and cannot be reached: apply must not go on without it. */
  private async refuseWhileCutOff(plan: string, instance: Instance): Promise<void> {
    const { island } = this.options;
    if (island === null) instance.child.kill('SIGSTOP');
    else island.cutOff();
    try {
      const { exitCode, document } = await this.keyferry(['apply', `${plan}.kfplan`]);
      if (codeOf(document) !== 'barrier.timed-out')
        throw this.unexpected('apply went on without an instance', { exitCode, document });
    } finally {
      if (island === null) instance.child.kill('SIGCONT');
      else island.join();
    }
    await this.goOn();
  }

  private async applyThroughKill(plan: string): Promise<void> {
    const killed = this.start(['apply', `${plan}.kfplan`, '--log-file', `${plan}.log`], null);
    await this.chunksDone(`${plan}.log`, killed);
    killed.child.kill('SIGKILL');
    await killed.ended;
    await this.goOn();
    this.expectDone(await this.keyferryInTime(['apply', `${plan}.kfplan`]));
    await this.goOn();
  }

  /** The worker itself is cut off in the middle of its backfill, comes back and goes on. */
  private async applyThroughCut(plan: string): Promise<void> {
    const { island } = this.options;
    const worker = this.start(['apply', `${plan}.kfplan`, '--log-file', `${plan}.log`], island);
    await this.chunksDone(`${plan}.log`, worker);
    if (island === null) worker.child.kill('SIGSTOP');
    else island.cutOff();
    await sleep(leaseMs);
    if (island === null) worker.child.kill('SIGCONT');
    else island.join();
    const ended = await worker.ended;
    this.expectDone(isLate(ended) ? await this.keyferryInTime(['apply', `${plan}.kfplan`]) : ended);
  }

  private async planned(plan: string): Promise<string> {
    const planned = await this.keyferry(['plan', name, '--out', `${plan}.kfplan`]);
    if (planned.exitCode !== 0) throw this.unexpected('plan', planned);
    return plan;
  }

  private async chunksDone(log: string, running: Running): Promise<void> {
    const ending: { ended: Ended | null } = { ended: null };
    void running.ended.then((ended) => (ending.ended = ended));
    const done = async (): Promise<boolean> => {
      if (ending.ended !== null) throw this.unexpected('apply ended before it was disturbed', ending.ended);
      const text = await readFile(join(this.folder, log), 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line.includes('"chunk.done"')).length >= 2;
    };
    await waitUntil(done, waitMaxMs, 5);
  }

  private expectDone(ended: Ended): void {
    if (ended.exitCode !== 0 || ended.document['outcome'] !== 'done') throw this.unexpected('apply', ended);
  }

  private async expectMode(command: string, mode: string): Promise<void> {
    const ended = await this.keyferryInTime([command, name, '--yes']);
    const online = ended.document['online'] as { mode?: string } | undefined;
    if (ended.exitCode !== 0 || online?.mode !== mode) throw this.unexpected(command, ended);
  }

  private unexpected(what: string, { exitCode, document }: Pick<Ended, 'exitCode' | 'document'>): Error {
    const said = `${what}: exit ${exitCode}, ${JSON.stringify(document).slice(0, 2000)}`;
    return new ServerError('server.command-failed', said, `The commands before it: ${this.commands.join('; ')}`);
  }

  private start(args: readonly string[], island: Island | null): Running {
    this.commandsStarted += 1;
    const all = [binary, ...args, '--json'];
    const [command, commandArgs] = island?.around(process.execPath, all) ?? [process.execPath, all];
    const child = spawn(command, commandArgs, {
      cwd: this.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: this.folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
    const startedAtMs = performance.now();
    const ended = once(child, 'close').then(([exitCode]): Ended => {
      const line = `${args.slice(0, 2).join(' ')}: exit ${String(exitCode)} after ${Math.round(performance.now() - startedAtMs)} ms`;
      this.commands.push(line);
      this.options.say(`  ${line}`);
      const document = stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
      return { exitCode: exitCode as number | null, document, stderr };
    });
    return { child, ended };
  }

  private keyferry(args: readonly string[]): Promise<Ended> {
    return this.start(args, null).ended;
  }

  /** Again where a barrier was given up, as its error says. */
  private async keyferryInTime(args: readonly string[]): Promise<Ended> {
    for (let tries = 1; ; tries += 1) {
      const ended = await this.keyferry(args);
      if (!isLate(ended) || tries === triesMax) return ended;
    }
  }

  private async judge(atRest: ReadonlyMap<string, string>): Promise<Proof> {
    for (const { child } of this.instances) child.stdin?.end();
    await waitUntil(async () => this.instances.every(({ child }) => child.exitCode !== null), waitMaxMs, 50);
    // What nobody was told of may still happen, and what has a TTL may still end.
    await sleep(requestLifeMs);
    const found = new Map(Object.entries(await this.etcd.getAll().prefix(prefix).strings()));
    const control = await this.etcd.getAll().prefix(`_keyferry/${name}/`).keys();
    const idAt = (key: string): number => Number((found.get(key) ?? 'v0').slice(1));
    const verdict = judge({
      instances: new Map(this.instances.map(({ name: instance, log }) => [instance, readInstanceLog(log)])),
      before: new Map(hotKeys.map((key) => [key, 0])),
      after: new Map(hotKeys.map((key) => [key, idAt(key)])),
      requestLifeMs,
    });
    const others = [...found.keys()].filter((key) => !hotKeys.includes(key));
    return {
      ...verdict,
      cuts: this.proxies.reduce((sum, { cuts }) => sum + cuts, 0),
      restWrong: [...new Set([...atRest.keys(), ...others])].filter((key) => atRest.get(key) !== found.get(key)),
      controlLeft: control.map((key) => key.slice(`_keyferry/${name}/`.length)).toSorted(),
      commands: this.commands,
    };
  }
}

const codeOf = (document: Ended['document']): unknown => (document['error'] as { code?: string } | undefined)?.code;
const isLate = ({ document }: Ended): boolean => codeOf(document) === 'barrier.timed-out';
