/**
 * A stage for strategy `parallel`: two registries that are sets of writes, two balancers, a directory, and clients who write
 * and read through every balancer before each call of a port.
 *
 * A process may be killed at any call, before or after its effect: from then on it does nothing more, not even give its lock
 * back. What clients were told is held against what the registries hold.
 */
import type {
  Clock,
  Finding,
  Host,
  Message,
  MigrationId,
  ParallelPhase,
  ParallelPlan,
  ParallelSettings,
  ParallelState,
  Rehearsal,
  RegistryDifference,
  TrafficPhase,
} from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { applyParallel, type ParallelApplyResult } from '../src/strategies/parallel/apply.ts';
import { finalizeParallel, rollBackParallel, type ParallelEndResult } from '../src/strategies/parallel/ends.ts';
import { planParallel } from '../src/strategies/parallel/plan.ts';
import type { ParallelEngine } from '../src/strategies/parallel/ports.ts';
import { rehearseParallel } from '../src/strategies/parallel/rehearse.ts';
import { readParallelStatus } from '../src/strategies/parallel/status.ts';
import { archives, StageFiles, workspace } from './parallel/files.ts';
import { front, stageBalancer } from './parallel/fronts.ts';
import { Gate, gatedState, type RunHooks } from './parallel/gate.ts';
import { newRegistry, oldRegistry } from './parallel/registries.ts';

export const migration = 'registry' as MigrationId;

export class ParallelStage {
  nowMs = 1_000_000;
  readonly old = new Set<string>();
  readonly fresh = new Set<string>();
  readonly traffic: Record<string, TrafficPhase> = { a: 'v2-rw', b: 'v2-rw' };
  readonly acknowledged = new Set<string>();
  /** Writes that were refused while nobody had been told that writes are refused. */
  readonly refusedOutside: string[] = [];
  readonly files = new StageFiles();
  readonly state = new MemoryStateStore();
  readonly messages: Message[] = [];
  readonly settings: ParallelSettings;
  /** What the next exports of 2.x lack, one after another; those after them are whole. */
  lacking: (readonly RegistryDifference[])[] = [];
  /** Archives that walks of 2.x took contents from. */
  contentsOf: string[] = [];
  /** Of each proof of an export: whether 2.x was walked for it, or a walk that was kept was at hand. */
  proofs: ('walked' | 'kept')[] = [];
  /** What 2.x cannot take of what 3.x accepted. */
  unfit: readonly RegistryDifference[] = [];
  /** Why no delta can be made; null: it can. */
  refusedDelta: string | null = null;
  /** An export of 3.x leaves something out that its API shows. */
  exportLacks = false;
  /** 3.x answers nobody. */
  targetDown = false;
  /** How many more times balancer `b` answers for a 3.x that it does not see. */
  unreached = 0;
  /** Of a rehearsal: what the throw-away 2.x does not take, and what the migration's own balancers say. */
  notFilled: readonly string[] = [];
  ownFindings: readonly Finding[] = [];
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

  /** On this stage as the throw-away one: 2.x is empty, and filled with `held`. */
  rehearse(held: readonly string[], hooks: RunHooks = {}): Promise<Rehearsal> {
    const { engine, settings, options } = this.process(hooks);
    this.old.clear();
    const fill = (): Promise<readonly string[]> => {
      for (const each of held) this.old.add(each);
      return Promise.resolve(this.notFilled);
    };
    const archive = this.files.store('given.zip', new Set(held));
    return rehearseParallel(engine, settings, {
      ...options,
      archive,
      fill,
      findings: this.ownFindings,
      notRehearsed: [],
    });
  }

  async course(): Promise<ParallelState | null> {
    return (await this.state.read('parallel', migration, 'current'))?.item ?? null;
  }

  async evidence(phase: ParallelPhase, name: string): Promise<unknown> {
    const { evidence } = await readParallelStatus(this.process({}).engine, this.settings, []);
    return evidence.find((each) => each.phase === phase && each.name === name)?.data ?? null;
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
      random: { uint32: () => this.nextWrite() },
      host: { emit: (message) => this.messages.push(message) } satisfies Host,
      parallel: {
        source: oldRegistry(this, gate),
        target: newRegistry(this, gate),
        balancers: [stageBalancer(this, 'a', gate), stageBalancer(this, 'b', gate)],
        archives: archives(this.files),
        front: front(this, gate),
        settings: null,
        workspace: workspace(this.files),
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
      const write = `c${this.nextWrite()}`;
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

  nextWrite(): number {
    this.writes += 1;
    return this.writes;
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
}
