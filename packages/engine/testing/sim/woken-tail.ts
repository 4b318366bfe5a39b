/**
 * One simulated replication that functions carry on, called by the log of the source alone: no schedule, no machine.
 *
 *     application ─► source ─► its log ─► batches of notices ─► invocations ─► what is left comes again
 *
 * Batches come late and twice, invocations stall, lose requests and answers, and are crashed at their deadline; a person
 * pauses and resumes. What was acknowledged calls nobody any more: if it is not carried by then, or is undone by a request
 * that came late, it may be behind for ever. Judged at each acknowledgement by what is in the target, and never by what an
 * invocation says.
 */
import { keyFromText, type FeedNotice } from '@keyferry/core';
import { MemoryPrimarySwitch, MemoryStateStore, MemoryStore, type ProtocolRules } from '@keyferry/core/testing';
import { applyReplicate, Deadline, makePlan, requestControl, wokenTailSlice, type Engine } from '../../src/index.ts';
import { Kernel } from './kernel.ts';
import { Limbo } from './limbo.ts';
import { MemoryPlan } from './memory-plan.ts';
import { Prng } from './prng.ts';
import { replicateSpec } from './replicate-spec.ts';
import { SimProcess, type Ending } from './process.ts';
import { replicateEngine } from './replicate-ports.ts';
import { calm, drawClimate, Weather } from './weather.ts';

export interface WokenRules {
  readonly stores?: Partial<ProtocolRules>;
  /** Off: an answer acknowledges the whole batch, whatever it leaves, as where nobody reads it. */
  readonly leftComesAgain?: boolean;
  /** Off: a tail stores its position before its changes. */
  readonly effectFirst?: boolean;
}

export type WokenViolation =
  /** The target holds of some key what the source held before a change that was acknowledged. */
  | 'left-behind'
  /** In calm weather the same notices came again and again. */
  | 'never-ends';

export interface WokenRun {
  readonly violations: readonly WokenViolation[];
  readonly traceHash: string;
  /** How invocations ended, by outcome; `crashed` and `failed` among them. */
  readonly endings: ReadonlyMap<string, number>;
}

const spec = replicateSpec;
const { migration } = spec;

/** For how long the application writes. */
const writingMs = 120_000;
/** A course that goes on for so long after it never ends. */
const patienceMs = 1_800_000;

export async function runWokenSeed(seed: number, rules: WokenRules = {}): Promise<WokenRun> {
  const course = new Course(seed, rules);
  await course.kernel.run(() => course.play());
  const { violations, endings, kernel } = course;
  return { violations: [...violations], traceHash: kernel.traceHash(), endings };
}

class Course {
  readonly kernel = new Kernel(false, 400_000);
  readonly violations = new Set<WokenViolation>();
  readonly endings = new Map<string, number>();
  private readonly prng: Prng;
  private readonly weather: Weather;
  private readonly limbo: Limbo;
  private readonly stores: {
    readonly source: MemoryStore;
    readonly target: MemoryStore;
    readonly state: MemoryStateStore;
  };
  private readonly primary = new MemoryPrimarySwitch();
  private readonly rules: Required<Omit<WokenRules, 'stores'>>;
  private readonly timeoutMs: number;
  /** Nobody writes any more, and nothing is paused. */
  private isQuiet = false;
  private processes = 0;
  private writes = 0;
  /** Of each key, from its first write on. */
  private readonly history = new Map<string, readonly { readonly revision: number; readonly value: string | null }[]>();

  constructor(seed: number, { stores = {}, ...rules }: WokenRules) {
    this.rules = { leftComesAgain: true, effectFirst: true, ...rules };
    this.prng = new Prng(`woken ${seed}`);
    this.timeoutMs = this.prng.fork('timeout').pick([5000, 15_000, 60_000]);
    this.weather = new Weather(this.prng.fork('weather'), calm);
    this.limbo = new Limbo(this.kernel, this.prng.fork('limbo'));
    const nowMs = (): number => this.kernel.nowMs;
    this.stores = {
      source: new MemoryStore({ name: 'old', nowMs, rules: stores }),
      target: new MemoryStore({ name: 'new', nowMs, rules: stores }),
      state: new MemoryStateStore(),
    };
  }

  async play(): Promise<void> {
    const { kernel, weather, prng, stores } = this;
    for (let i = 0; i < 9; i += 1) this.write();
    const plan = new MemoryPlan();
    await this.process((engine) => makePlan(engine, spec, plan));
    await this.process((engine, process) =>
      applyReplicate(engine, spec, plan.reader(), {
        holder: process.name,
        command: process.name,
        lockTimeoutMs: 0,
        holderIsGone: () => false,
        signal: process.signal,
        accept: [],
        appliedAs: 'shop.kfplan',
        chunksMax: null,
        follow: false,
      }),
    );
    weather.change(drawClimate(prng.fork('climate')));
    const startedAtMs = kernel.nowMs;
    const untilMs = startedAtMs + writingMs;
    kernel.at(untilMs, () => weather.change(calm));
    const from = stores.source.revision();
    const called = this.log(from, startedAtMs + patienceMs);
    await Promise.all([this.application(untilMs), this.person(untilMs)]);
    this.isQuiet = true;
    await called;
    if (!this.violations.has('never-ends')) this.judge(stores.source.revision());
  }

  private async application(untilMs: number): Promise<void> {
    const draw = this.prng.fork('application');
    while (this.kernel.nowMs < untilMs) {
      this.write();
      await this.kernel.sleep(draw.pick([20, 400, 4000, 25_000]));
    }
    this.write();
  }

  private write(): void {
    this.writes += 1;
    const { source } = this.stores;
    const draw = this.prng.fork(`write ${this.writes}`);
    const name = `k${draw.below(40)}`;
    const value = draw.chance(0.25) ? null : `write ${this.writes}`;
    if (value === null) source.delete(keyFromText(`src/${name}`));
    else source.put(keyFromText(`src/${name}`), new TextEncoder().encode(value));
    const held = this.history.get(name) ?? [{ revision: 0, value: null }];
    this.history.set(name, [...held, { revision: source.revision(), value }]);
  }

  /** Of each key the target holds what the source held when everything up to a revision was written, or later. */
  private judge(revision: number): void {
    const target = valuesOf(this.stores.target, 'dst/');
    for (const [name, held] of this.history) {
      const from = held.findLastIndex((each) => each.revision <= revision);
      if (!held.slice(from).some(({ value }) => value === (target.get(name) ?? null)))
        this.violations.add('left-behind');
    }
  }

  /** In half of the courses: somebody pauses the migration for a while, and lets it go on in the end. */
  private async person(untilMs: number): Promise<void> {
    const draw = this.prng.fork('person');
    if (draw.chance(0.5)) return;
    await this.kernel.sleep(draw.between(1000, writingMs));
    for (const kind of ['pause', 'resume'] as const) {
      for (;;) {
        const ending = await this.process((engine) => requestControl(engine, migration, { kind }, 'ada@one'));
        if (ending.kind === 'returned') break;
        await this.kernel.sleep(2000);
      }
      if (kind === 'pause') await this.kernel.sleep(Math.max(0, untilMs - this.kernel.nowMs) + draw.between(0, 60_000));
    }
  }

  /** Whoever reads the log and calls, batch after batch; what an answer leaves comes again from there on. */
  private async log(from: number, patienceEndsAtMs: number): Promise<void> {
    const { kernel, stores } = this;
    const draw = this.prng.fork('log');
    let acknowledged = from;
    while (!this.isQuiet || acknowledged < stores.source.revision()) {
      if (kernel.nowMs > patienceEndsAtMs) {
        this.violations.add('never-ends');
        return;
      }
      const batch = stores.source.feed.noticesAfter(acknowledged).slice(0, draw.pick([1, 3, 50]));
      const last = batch.at(-1);
      if (last === undefined) {
        await kernel.sleep(500);
        this.judge(acknowledged);
        continue;
      }
      // Twice, and then at once or one after the other: one answer counts.
      const again = draw.chance(0.2) ? this.invoke(batch) : null;
      const left = await this.invoke(draw.chance(0.1) ? batch.toReversed() : batch);
      if (again !== null && draw.chance(0.5)) await again;
      const numbers = left.map(({ number }) => Number(number));
      acknowledged = numbers.length === 0 ? Number(last.number) : Math.min(...numbers) - 1;
      this.judge(acknowledged);
      if (numbers.length > 0) await kernel.sleep(200);
    }
  }

  /** @returns what comes again */
  private async invoke(batch: readonly FeedNotice[]): Promise<readonly FeedNotice[]> {
    const { kernel, timeoutMs } = this;
    const ending = await this.process(async (engine, process) => {
      kernel.at(kernel.nowMs + timeoutMs, () => process.crash());
      const deadline = new Deadline(process.clock, timeoutMs);
      try {
        const request = { deadline, holder: process.name, command: process.name };
        return await wokenTailSlice(engine, spec, request, batch);
      } finally {
        await deadline.close();
      }
    });
    const how = ending.kind === 'returned' ? ending.value.outcome : ending.kind;
    this.endings.set(how, (this.endings.get(how) ?? 0) + 1);
    if (ending.kind !== 'returned') return batch;
    return this.rules.leftComesAgain ? ending.value.left : [];
  }

  private process<T>(work: (engine: Engine, process: SimProcess) => Promise<T>): Promise<Ending<T>> {
    this.processes += 1;
    const { kernel, weather, limbo } = this;
    const name = `process ${this.processes}`;
    const process = new SimProcess({ kernel, weather, limbo }, name, this.prng.fork(name), 0);
    const engine = replicateEngine(process, this.stores, this.primary, !this.rules.effectFirst);
    return process.run(() => work(engine, process));
  }
}

function valuesOf(store: MemoryStore, prefix: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [key, { value }] of store.snapshot()) {
    if (key.startsWith(prefix)) values.set(key.slice(prefix.length), new TextDecoder().decode(value));
  }
  return values;
}
