/**
 * A stage for strategy `parallel`: two registries that are sets of writes, two balancers, a directory, and clients who write
 * and read through every balancer before each call of a port.
 *
 * A process may be killed at any call, before or after its effect: from then on it does nothing more, not even give its lock
 * back. What clients were told is held against what the registries hold.
 */
import {
  KeyferryError,
  type BalancerOrigin,
  type Clock,
  type Host,
  type LoadBalancer,
  type Message,
  type MigrationId,
  type NewRegistry,
  type OldRegistry,
  type ParallelPhase,
  type ParallelPlan,
  type ParallelSettings,
  type ParallelState,
  type ProbeOutcome,
  type RegistryArchives,
  type RegistryCensus,
  type RegistryChanges,
  type RegistryCounts,
  type RegistryDifference,
  type StateStore,
  type TrafficPhase,
} from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { applyParallel, type ParallelApplyResult } from '../src/strategies/parallel/apply.ts';
import { finalizeParallel, rollBackParallel, type ParallelEndResult } from '../src/strategies/parallel/ends.ts';
import { planParallel } from '../src/strategies/parallel/plan.ts';
import type { ParallelEngine, Workspace } from '../src/strategies/parallel/ports.ts';

export const migration = 'registry' as MigrationId;

/** No error of keyferry's: nothing may catch it and go on. */
class Killed extends Error {}

export interface Fault {
  /** Of the calls of a run, counted from 1. */
  readonly call: number;
  readonly moment: 'before' | 'after';
}

export interface RunHooks {
  readonly kill?: Fault;
  readonly accept?: readonly string[];
  readonly confirm?: readonly ParallelPhase[];
  readonly follow?: boolean;
  readonly settings?: Partial<ParallelSettings>;
  /** The call of that name fails for good. */
  readonly failing?: string;
  /** Called before each call of a port, by its name. */
  readonly onCall?: (name: string) => void;
}

const noCounts: RegistryCounts = {
  group: 0,
  artifact: 0,
  version: 0,
  content: 0,
  globalRule: 0,
  groupRule: 0,
  artifactRule: 0,
  comment: 0,
  branch: 0,
};

export class ParallelStage {
  nowMs = 1_000_000;
  readonly old = new Set<string>();
  readonly fresh = new Set<string>();
  readonly traffic: Record<string, TrafficPhase> = { a: 'v2-rw', b: 'v2-rw' };
  readonly acknowledged = new Set<string>();
  /** Writes that were refused while nobody had been told that writes are refused. */
  readonly refusedOutside: string[] = [];
  readonly files = new Map<string, string>();
  readonly state = new MemoryStateStore();
  readonly messages: Message[] = [];
  readonly settings: ParallelSettings;
  /** What 2.x cannot take of what 3.x accepted. */
  unfit: readonly RegistryDifference[] = [];
  /** 3.x answers nobody. */
  targetDown = false;
  restored = new Set<string>();
  /** Of the run that was made last. */
  calls: string[] = [];
  private writes = 0;
  private timers: { atMs: number; fire: () => void }[] = [];

  constructor(settings: Partial<ParallelSettings> = {}) {
    this.settings = {
      migration,
      configDigest: 'config',
      keyferryVersion: '0.1.0',
      confirm: [],
      freeze: { maxMs: 3_600_000, drainMs: 1000 },
      bulk: false,
      repair: false,
      losses: [],
      soak: { lengthMs: 2000, errorShareMax: 0.01, p99MaxMs: 100, gapMaxMs: 60_000 },
      soakEveryMs: 1000,
      smokeCommand: null,
      planMaxAgeMs: 86_400_000,
      ...settings,
    };
    for (const each of ['w1', 'w2', 'w3']) this.old.add(each);
  }

  plan(hooks: RunHooks = {}): Promise<ParallelPlan> {
    const { engine, settings } = this.process(hooks);
    return planParallel(engine, settings, { archive: null, signal: new AbortController().signal });
  }

  apply(plan: ParallelPlan, hooks: RunHooks = {}): Promise<ParallelApplyResult> {
    const { engine, settings, options } = this.process(hooks);
    const { confirm = [], follow = true } = hooks;
    return applyParallel(engine, settings, plan, { ...options, appliedAs: 'registry.kfplan', confirm, follow });
  }

  rollBack(hooks: RunHooks = {}): Promise<ParallelEndResult> {
    const { engine, settings, options } = this.process(hooks);
    return rollBackParallel(engine, settings, options);
  }

  finalize(hooks: RunHooks = {}): Promise<ParallelEndResult> {
    const { engine, settings, options } = this.process(hooks);
    return finalizeParallel(engine, settings, options);
  }

  async course(): Promise<ParallelState | null> {
    return (await this.state.read('parallel', migration, 'current'))?.item ?? null;
  }

  /** Acknowledged writes that a registry does not hold. */
  missingIn(side: 'old' | 'fresh'): readonly string[] {
    return [...this.acknowledged].filter((each) => !this[side].has(each));
  }

  private process(hooks: RunHooks) {
    const gate = new Gate(this, hooks);
    const engine: ParallelEngine = {
      state: gatedState(this.state, gate),
      clock: this.clock(),
      random: { uint32: () => (this.writes += 1) },
      host: { emit: (message) => this.messages.push(message) } satisfies Host,
      parallel: {
        source: this.oldRegistry(gate),
        target: this.newRegistry(gate),
        balancers: [this.balancer('a', gate), this.balancer('b', gate)],
        archives: this.archives(),
        front: {
          sample: () => gate.pass('sample', () => ({ versions: [] })),
          probe: (url) => gate.pass(`probe ${url}`, () => probes),
        },
        workspace: this.workspace(),
        runCommand: (run) => gate.pass('command', () => ({ run, exitCode: 0, output: '', tookMs: 1 })),
      },
    };
    const options = {
      holder: 'ops@test, pid 1',
      command: 'keyferry',
      lockTimeoutMs: 0,
      holderIsGone: () => true,
      signal: new AbortController().signal,
      accept: hooks.accept ?? [],
      by: 'ops@test',
    };
    return { engine, options, settings: { ...this.settings, ...hooks.settings } };
  }

  /** Before each call of a port: one write and one read through each balancer. */
  async clientsAct(): Promise<void> {
    this.advance(7);
    for (const [balancer, phase] of Object.entries(this.traffic)) {
      const write = `c${(this.writes += 1)}`;
      if (phase === 'v2-rw') this.old.add(write);
      else if (phase === 'v3-rw') this.fresh.add(write);
      else {
        const course = await this.course();
        if (course?.freeze?.toMs !== null) this.refusedOutside.push(`${balancer} in ${phase}`);
        continue;
      }
      this.acknowledged.add(write);
    }
  }

  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.timers = this.timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { fire } of due) fire();
  }

  /** Waits of a lease and of a freeze end with the time that others spend; shorter ones spend it. */
  private clock(): Clock {
    return {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      sleep: async (ms, signal) => {
        if (signal?.aborted === true) return;
        if (ms < 5000) {
          this.advance(ms);
          await Promise.resolve();
          return;
        }
        await new Promise<void>((resolve) => {
          this.timers.push({ atMs: this.nowMs + ms, fire: resolve });
          signal?.addEventListener('abort', resolve);
        });
      },
    };
  }

  private oldRegistry(gate: Gate): OldRegistry {
    return {
      where: 'http://old',
      system: () => gate.pass('old.system', () => ({ version: '2.6.13.Final', ready: true, tookMs: 1 })),
      walk: () => gate.pass('old.walk', () => census(this.old)),
      exportTo: (file) => gate.pass('old.export', () => this.store(file, this.old)),
      proveComplete: () =>
        gate.pass('old.prove', () => ({ complete: true, census: census(this.old), missing: [], missingTotal: 0 })),
      readBesides: () =>
        gate.pass('old.besides', () => ({
          roles: [],
          settings: [],
          owners: [],
          groupLabels: [],
          latestOrders: [],
          unreadable: [],
        })),
      replay: (changes) =>
        gate.pass('old.replay', () => {
          for (const { name } of changes.changes) this.old.add(name);
          return { written: changes.changes.length, equal: 0, refused: [], refusedTotal: 0, tookMs: 1 };
        }),
      close: () => Promise.resolve(),
    };
  }

  private newRegistry(gate: Gate): NewRegistry {
    const up = <T>(work: () => T): T => {
      if (this.targetDown) throw new KeyferryError('store.unreachable', { store: 'new', detail: 'refused' });
      return work();
    };
    return {
      where: 'http://new',
      system: () => gate.pass('new.system', () => up(() => ({ version: '3.3.3', ready: true, tookMs: 1 }))),
      walk: () => gate.pass('new.walk', () => census(this.fresh)),
      importFrom: (file, { into }) =>
        gate.pass('new.import', () => {
          if (into === 'empty' && this.fresh.size > 0) {
            throw new KeyferryError('registry.not-empty', { store: 'new', detail: 'it holds versions' });
          }
          for (const each of this.read(file)) this.fresh.add(each);
          return { sha256: this.files.get(nameOf(file)) ?? '', status: 204, tookMs: 1 };
        }),
      carry: () => gate.pass('new.carry', () => ({ carried: [], carriedTotal: 0, notCarried: [] })),
      compare: (file) =>
        gate.pass('new.compare', () => {
          const expected = new Set(this.read(file));
          const differences = [...new Set([...expected, ...this.fresh])]
            .filter((each) => !expected.has(each) || !this.fresh.has(each))
            .map((name): RegistryDifference => ({
              kind: 'version',
              name,
              what: 'is on one side',
            }));
          return {
            equal: differences.length === 0,
            expected: census(expected).counts,
            found: census(this.fresh).counts,
            comparedVersions: expected.size,
            lostAsForeseen: 0,
            differences,
            differencesTotal: differences.length,
            tookMs: 1,
          };
        }),
      exportTo: (file) => gate.pass('new.export', () => this.store(file, this.fresh)),
      changesSince: (snapshot, now) =>
        gate.pass('new.changes', () =>
          up((): RegistryChanges => {
            const before = new Set(this.read(snapshot));
            const changes = [...this.fresh].filter((each) => !before.has(each));
            return {
              archive: this.store(now, this.fresh),
              changes: changes.map((name) => ({ kind: 'version', action: 'create', name, data: null })),
              notFitting: this.unfit,
            };
          }),
        ),
      close: () => Promise.resolve(),
    };
  }

  private balancer(name: string, gate: Gate): LoadBalancer {
    const lead = (phase: TrafficPhase) => {
      const changed = this.traffic[name] !== phase;
      this.traffic[name] = phase;
      const at = { atMs: this.nowMs, tookMs: 1 };
      return { balancer: name, phase, sha256Before: '', sha256After: '', changed, by: 'map', ...at } as const;
    };
    const origin: BalancerOrigin = { balancer: name, kind: 'haproxy', files: [] };
    return {
      name,
      kind: 'haproxy',
      where: name,
      url: `http://${name}`,
      readOrigin: () => gate.pass('origin', () => origin),
      rehearse: () => gate.pass('rehearse', () => []),
      adopt: () => gate.pass('adopt', () => lead('v2-rw')),
      read: () => gate.pass('read', () => this.balancerState(name)),
      shift: (phase) => gate.pass(`shift ${phase}`, () => lead(phase)),
      awaitDrained: () => gate.pass('drain', () => ({ balancer: name, drained: true, left: null, tookMs: 1 })),
      leakTest: (phase) =>
        gate.pass('leak', () => ({
          balancer: name,
          phase,
          probes: 2,
          leaks: this.traffic[name] === phase ? 0 : 1,
          detail: null,
        })),
      traffic: (sinceMs) =>
        gate.pass('traffic', () => ({
          balancer: name,
          sinceMs,
          untilMs: this.nowMs,
          requests: 100,
          answers: { '2xx': 100, '3xx': 0, '4xx': 0, '405': 0, '5xx': this.targetDown ? 50 : 0 },
          p50Ms: 1,
          p99Ms: 2,
        })),
      apiUse: () => gate.pass('api use', () => []),
      restore: () =>
        gate.pass('restore', () => {
          this.restored.add(name);
          return lead('v2-rw');
        }),
      close: () => Promise.resolve(),
    };
  }

  private balancerState(name: string) {
    const phase = this.traffic[name] ?? null;
    return { inFile: phase, atRuntime: phase, drift: null };
  }

  private archives(): RegistryArchives {
    return {
      receipt: (file) => Promise.resolve(this.receipt(file)),
      foresee: (file, release) =>
        Promise.resolve({
          archive: this.receipt(file),
          release,
          archived: noCounts,
          expected: noCounts,
          nextGlobalId: 1,
          nextContentId: 1,
          findings: [],
        }),
      repair: (file, into) => {
        this.files.set(nameOf(into), this.files.get(nameOf(file)) ?? '[]');
        return Promise.resolve({ from: file, into: this.receipt(into), changes: [], changesTotal: 0 });
      },
    };
  }

  private workspace(): Workspace {
    return {
      path: (name) => `archives/${name}`,
      sha256: (name) => Promise.resolve(this.files.get(name) ?? null),
      writeJson: (name, value) => {
        this.files.set(name, JSON.stringify(value));
        return Promise.resolve();
      },
      readJson: (name) => {
        const text = this.files.get(name);
        return Promise.resolve(text === undefined ? null : JSON.parse(text));
      },
      remove: (name) => {
        this.files.delete(name);
        return Promise.resolve();
      },
    };
  }

  private store(file: string, held: ReadonlySet<string>) {
    this.files.set(nameOf(file), JSON.stringify([...held].toSorted((a, b) => (a < b ? -1 : 1))));
    return this.receipt(file);
  }

  private read(file: string): readonly string[] {
    return JSON.parse(this.files.get(nameOf(file)) ?? '[]') as readonly string[];
  }

  private receipt(file: string) {
    const sha256 = this.files.get(nameOf(file)) ?? '';
    const { counts } = census(new Set(this.read(file)));
    return { file, bytes: sha256.length, sha256, counts, globalIdMax: 1, contentIdMax: 1, tookMs: 1 };
  }
}

/** Every call of a process to the world goes through here. */
class Gate {
  private readonly stage: ParallelStage;
  private readonly hooks: RunHooks;
  private dead = false;

  constructor(stage: ParallelStage, hooks: RunHooks) {
    this.stage = stage;
    this.hooks = hooks;
    stage.calls = [];
  }

  async pass<T>(name: string, effect: () => T | Promise<T>): Promise<T> {
    if (this.dead) throw new Killed(name);
    const { kill, failing, onCall } = this.hooks;
    this.stage.calls.push(name);
    const isDue = kill?.call === this.stage.calls.length;
    if (isDue && kill.moment === 'before') this.die(name);
    onCall?.(name);
    await this.stage.clientsAct();
    if (name === failing)
      throw new KeyferryError('store.request-refused', { store: 'x', detail: `${name} is refused` });
    const result = await effect();
    if (isDue) this.die(name);
    return result;
  }

  private die(name: string): never {
    this.dead = true;
    throw new Killed(name);
  }
}

function gatedState(state: StateStore, gate: Gate): StateStore {
  return {
    read: (...of) => state.read(...of),
    write: (...of) => gate.pass(`write ${of[0]}`, () => state.write(...of)),
    remove: (...of) => gate.pass(`remove ${of[0]}`, () => state.remove(...of)),
    list: (...of) => state.list(...of),
    close: () => state.close(),
  };
}

const probes: readonly ProbeOutcome[] = [{ name: 'look-up by id', status: 200, sha256: null, wrong: null, tookMs: 1 }];

const nameOf = (file: string): string => file.slice(file.lastIndexOf('/') + 1);

function census(held: ReadonlySet<string>): RegistryCensus {
  const sha256 = JSON.stringify([...held].toSorted((a, b) => (a < b ? -1 : 1)));
  return {
    counts: { ...noCounts, version: held.size },
    globalIdMax: 1,
    contentIdMax: 1,
    sha256,
    requests: 1,
    tookMs: 1,
  };
}

export function isKilled(error: unknown): boolean {
  return error instanceof Killed;
}
