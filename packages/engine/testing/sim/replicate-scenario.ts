/**
 * One simulated replication: an application that follows the switch, or whose instances register at it too, operators who
 * repeat a command until it has come to its end, and weather. Judged by what is in the stores in the instant of each flip, and never by what the engine says.
 *
 *     plan ─► apply … ─► cutover … ─► (the reverse tail) ─► rollback …          each again and again, under faults
 *                     └──── functions that follow, on a schedule ────┘          in half of the seeds
 */
import {
  allCutoverRules,
  KeyferryError,
  keyFromText,
  prefixRange,
  type CutoverRules,
  type PrimaryRecord,
} from '@keyferry/core';
import { MemoryPrimarySwitch, MemoryStateStore, MemoryStore, type ProtocolRules } from '@keyferry/core/testing';
import {
  applyReplicate,
  cutOver,
  Deadline,
  makePlan,
  rollBackReplicate,
  tailSlice,
  type Engine,
  type RunOptions,
} from '../../src/index.ts';
import { Kernel } from './kernel.ts';
import { Limbo } from './limbo.ts';
import { MemoryPlan } from './memory-plan.ts';
import { Prng } from './prng.ts';
import { replicateSpec, requestLifeMs } from './replicate-spec.ts';
import { SimProcess } from './process.ts';
import { SimInstance } from './replicate-instances.ts';
import { replicateEngine } from './replicate-ports.ts';
import { calm, drawClimate, Weather } from './weather.ts';

export interface ReplicateRules {
  /** Of both stores. */
  readonly stores?: Partial<ProtocolRules>;
  readonly cutover?: Partial<CutoverRules>;
  /** A tail stores its position before its changes. */
  readonly positionFirst?: boolean;
}

export type ReplicateViolation =
  /** In the instant of a flip the store that became primary was not what the other one was. */
  | 'differs-at-flip'
  /** An application that follows the switch wrote to the former primary after a flip. */
  | 'wrote-behind'
  /** A generation found a difference although nobody but the migration writes to the other store. */
  | 'differs'
  /** A command that was repeated in calm weather never came to its end. */
  | 'never-ends'
  /** After a rollback records of the migration are left in the target. */
  | 'left-behind';

const spec = replicateSpec;
const encoder = new TextEncoder();
const triesMax = 40;
/** Commands run under faults for so many tries, then in calm weather. */
const stormyTries = 8;

/** Sees each announcement in the instant in which it takes effect. */
class WatchedSwitch extends MemoryPrimarySwitch {
  announced: (record: PrimaryRecord) => void = () => undefined;

  override async write(...parts: Parameters<MemoryPrimarySwitch['write']>): ReturnType<MemoryPrimarySwitch['write']> {
    const outcome = await super.write(...parts);
    if (outcome.kind === 'written') this.announced(parts[0]);
    return outcome;
  }
}

export interface ReplicateRun {
  readonly violations: readonly ReplicateViolation[];
  readonly traceHash: string;
  readonly flips: number;
  /** Whether instances were registered. */
  readonly isAcknowledged: boolean;
  /** How functions that follow ended, by outcome; `crashed` and `failed` among them. */
  readonly slices: ReadonlyMap<string, number>;
}

export async function runReplicateSeed(seed: number, rules: ReplicateRules = {}): Promise<ReplicateRun> {
  const world = new World(seed, rules);
  await world.kernel.run(() => world.play());
  return {
    violations: [...world.violations],
    traceHash: world.kernel.traceHash(),
    flips: world.flips,
    isAcknowledged: world.isAcknowledged,
    slices: world.slices,
  };
}

class World {
  readonly kernel = new Kernel(false);
  readonly violations = new Set<ReplicateViolation>();
  flips = 0;
  readonly slices = new Map<string, number>();
  readonly isAcknowledged: boolean;
  private readonly prng: Prng;
  private readonly weather: Weather;
  private readonly limbo: Limbo;
  private readonly stores: {
    readonly source: MemoryStore;
    readonly target: MemoryStore;
    readonly state: MemoryStateStore;
  };
  private readonly primary = new WatchedSwitch();
  private instances: readonly SimInstance[] = [];
  private readonly cutoverRules: CutoverRules;
  private readonly positionFirst: boolean;
  private processes = 0;
  private writing = true;
  private turn = 0;

  constructor(seed: number, { stores = {}, cutover = {}, positionFirst = false }: ReplicateRules) {
    this.positionFirst = positionFirst;
    this.prng = new Prng(`replicate ${seed}`);
    this.isAcknowledged = this.prng.fork('who').chance(0.5);
    this.weather = new Weather(this.prng.fork('weather'), calm);
    this.limbo = new Limbo(this.kernel, this.prng.fork('limbo'));
    const nowMs = (): number => this.kernel.nowMs;
    this.stores = {
      source: new MemoryStore({ name: 'old', nowMs, rules: stores }),
      target: new MemoryStore({ name: 'new', nowMs, rules: stores }),
      state: new MemoryStateStore(),
    };
    this.cutoverRules = { ...allCutoverRules, ...cutover };
    this.primary.announced = (record) => this.judge(record);
  }

  async play(): Promise<void> {
    for (let i = 0; i < 18; i += 1) this.write('source', `k${String(i).padStart(2, '0')}`, 'seed');
    const plan = new MemoryPlan();
    await this.process((engine: Engine) => makePlan(engine, spec, plan));
    if (this.isAcknowledged) await this.register();
    else this.application();
    const apply = (engine: Engine, options: RunOptions) =>
      applyReplicate(engine, spec, plan.reader(), {
        ...options,
        accept: ['guard.deletes'],
        appliedAs: 'shop.kfplan',
        chunksMax: null,
        follow: false,
      }).then(({ outcome }) => {
        if (outcome === 'differs') this.violations.add('differs');
        return outcome === 'proven';
      });
    if (!(await this.untilDone(apply))) return;
    const following = this.functions();
    await this.leadOver(apply);
    this.writing = false;
    await following;
  }

  private async leadOver(apply: (engine: Engine, options: RunOptions) => Promise<boolean>): Promise<void> {
    const { cutoverRules: rules } = this;
    const cut = (engine: Engine, options: RunOptions) =>
      cutOver(engine, spec, { ...options, rules, confirmGone: this.dead() }).then(() => true);
    if (!(await this.untilDone(cut, (code) => code === 'phase.not-allowed'))) return;
    await this.kernel.sleep(2000);
    if (this.prng.chance(0.5) && !(await this.untilDone(apply))) return;
    const back = (engine: Engine, options: RunOptions) =>
      rollBackReplicate(engine, spec, { ...options, rules, confirmGone: this.dead() }).then(() => true);
    if (!(await this.untilDone(back, (code) => code === 'phase.not-allowed'))) return;
    this.writing = false;
    if (this.valuesOf('target').size > 0) this.violations.add('left-behind');
  }

  /** Again and again, under faults first. `isDoneBy`: what a repeat is refused with where an answer was lost. */
  private async untilDone(
    work: (engine: Engine, options: RunOptions) => Promise<boolean>,
    isDoneBy: (code: string) => boolean = () => false,
  ): Promise<boolean> {
    const climate = drawClimate(this.prng.fork(`climate ${this.processes}`));
    for (let tries = 0; tries < triesMax; tries += 1) {
      this.weather.change(tries < stormyTries ? climate : calm);
      const ending = await this.process(work);
      if (this.violations.size > 0) break;
      if (ending.kind === 'returned' && ending.value) return true;
      const code = ending.kind === 'failed' && ending.error instanceof KeyferryError ? ending.error.code : '';
      if (code === 'internal.invariant' && ending.kind === 'failed') throw ending.error;
      if (isDoneBy(code)) return true;
      await this.kernel.sleep(this.prng.between(100, 25_000));
    }
    if (this.violations.size === 0) this.violations.add('never-ends');
    this.writing = false;
    return false;
  }

  /** In half of the seeds: a schedule of functions, some called twice, all crashed at their deadline. They give way. */
  private async functions(): Promise<void> {
    const draw = this.prng.fork('functions');
    if (draw.chance(0.5)) return;
    const timeoutMs = draw.pick([5000, 30_000]);
    const everyMs = draw.pick([2000, 15_000]);
    while (this.writing) {
      await Promise.all(Array.from({ length: draw.chance(0.2) ? 2 : 1 }, () => this.slice(timeoutMs)));
      await this.kernel.sleep(everyMs);
    }
  }

  private async slice(timeoutMs: number): Promise<void> {
    const ending = await this.process(async (engine, { holder, command }, process) => {
      this.kernel.at(this.kernel.nowMs + timeoutMs, () => process.crash());
      const deadline = new Deadline(engine.clock, timeoutMs);
      try {
        return (await tailSlice(engine, spec, { deadline, holder, command })).outcome;
      } finally {
        await deadline.close();
      }
    });
    if (ending.kind === 'failed' && ending.error instanceof KeyferryError && ending.error.code === 'internal.invariant')
      throw ending.error;
    const how = ending.kind === 'returned' ? ending.value : ending.kind;
    this.slices.set(how, (this.slices.get(how) ?? 0) + 1);
  }

  private process<T>(work: (engine: Engine, options: RunOptions, process: SimProcess) => Promise<T>) {
    this.processes += 1;
    const name = `process ${this.processes}`;
    const { kernel, weather, limbo } = this;
    const process = new SimProcess({ kernel, weather, limbo }, name, this.prng.fork(name), 0);
    const engine = replicateEngine(process, this.stores, this.primary, this.positionFirst);
    const options = {
      holder: name,
      command: name,
      lockTimeoutMs: 60_000,
      holderIsGone: () => false,
      signal: process.signal,
    };
    return process.run(() => work(engine, options, process));
  }

  /** Two or three; one of them may die on the way, and is named gone by whoever tries next. */
  private async register(): Promise<void> {
    const { kernel, primary } = this;
    const prng = this.prng.fork('instances');
    const write = (side: 'source' | 'target'): void => {
      if (side !== (primary.record?.primary ?? 'source')) this.violations.add('wrote-behind');
      this.change(side);
    };
    const app = { kernel, prng, primary, requestLifeMs, write, isOver: () => !this.writing };
    this.instances = ['api-1', 'api-2', 'api-3'].slice(0, prng.between(2, 3)).map((name) => new SimInstance(name, app));
    for (const instance of this.instances) await instance.start();
    const [first] = this.instances;
    if (first === undefined || !prng.chance(0.3)) return;
    kernel.at(kernel.nowMs + prng.between(2000, 60_000), () => {
      first.isDead = true;
    });
  }

  private readonly dead = (): readonly string[] =>
    this.instances.filter(({ isDead }) => isDead).map(({ instance }) => instance);

  /** Looks at the switch, and writes within the life of a request where that led it. */
  private application(): void {
    const next = (): void => {
      if (!this.writing) return;
      const record = this.primary.record;
      const side = record?.primary ?? 'source';
      if (record?.writes !== 'held') {
        const flipsSeen = this.flips;
        this.kernel.at(this.kernel.nowMs + this.prng.below(requestLifeMs - 200), () => {
          if (this.flips !== flipsSeen) this.violations.add('wrote-behind');
          this.change(side);
        });
      }
      this.kernel.at(this.kernel.nowMs + this.prng.pick([50, 300, 1500, 6000]), next);
    };
    next();
  }

  private change(side: 'source' | 'target'): void {
    this.turn += 1;
    const name = `k${String(this.prng.below(24)).padStart(2, '0')}`;
    const store = this.stores[side];
    const prefix = side === 'source' ? 'src/' : 'dst/';
    const kind = this.prng.below(10);
    this.kernel.trace(`application ${kind} ${side} ${name}`);
    if (kind < 5) this.write(side, name, `turn ${this.turn}`);
    else if (kind < 7) this.write(side, `log${this.turn}`, 'once');
    else if (kind === 9 && side === 'source' && this.prng.chance(0.3)) {
      store.deleteRange(prefixRange(keyFromText(`${prefix}k1`)));
    } else store.delete(keyFromText(prefix + name));
  }

  private write(side: 'source' | 'target', name: string, value: string): void {
    const prefix = side === 'source' ? 'src/' : 'dst/';
    this.stores[side].put(keyFromText(prefix + name), encoder.encode(value));
  }

  private judge({ primary, writes }: PrimaryRecord): void {
    this.kernel.trace(`switch ${primary} ${writes}`);
    const before = this.flips % 2 === 0 ? 'source' : 'target';
    if (primary === before) return;
    this.flips += 1;
    const [source, target] = [this.valuesOf('source'), this.valuesOf('target')];
    const isEqual = source.size === target.size && [...source].every(([name, value]) => target.get(name) === value);
    if (!isEqual) this.violations.add('differs-at-flip');
  }

  private valuesOf(side: 'source' | 'target'): ReadonlyMap<string, string> {
    const prefix = side === 'source' ? 'src/' : 'dst/';
    const values = new Map<string, string>();
    for (const [key, { value }] of this.stores[side].snapshot()) {
      if (key.startsWith(prefix)) values.set(key.slice(prefix.length), new TextDecoder().decode(value));
    }
    return values;
  }
}
