/**
 * One seed's world of an online migration: two stores, the switch and the state in memory, the weather between them and
 * everybody, instances of the client and commands of the engine, each a process of its own.
 */
import { openClient, type OnlineClient } from '@keyferry/client';
import {
  keyFromText,
  type Message,
  type MigrationSpec,
  type Mode,
  type StateItems,
  type StateKind,
} from '@keyferry/core';
import {
  allRules,
  MemoryScratch,
  MemoryStateStore,
  MemoryStore,
  MemorySwitch,
  MemorySwitchData,
} from '@keyferry/core/testing';
import type { Engine } from '@keyferry/engine';
import {
  calm,
  drawClimate,
  Faults,
  Kernel,
  Limbo,
  Prng,
  SimProcess,
  Weather,
  type Climate,
  type Fate,
  type StoreName,
} from '@keyferry/engine/testing';
import {
  allOnlineRules,
  controllersSwitch,
  controllersTarget,
  copiersSwitch,
  sourceUnder,
  targetUnder,
  verifiersState,
  type OnlineRules,
} from './online-rules.ts';
import { dualReadSpec } from './dual-read-spec.ts';
import { overNetwork } from './over-network.ts';
import { nothing, Tally, type HistoryId } from './tally.ts';
import { treeKeys } from './tree-names.ts';

export const keyNames = ['app/a', 'app/b', 'app/c', 'app/d'] as const;

/** Requests that live for seconds would make every barrier last for minutes: all times are a fiftieth of the kernel's usual. */
const timeScale = 1 / 50;
/** Sleeps are longer than a request lives: only so does an instance wake up behind a barrier that did not wait for it. */
const stallScale = 1 / 20;
/** The longest that a late request, or one of a process that stopped, is under way: 60 s of the weather's time. */
const requestLifeMs = 60_000 * timeScale + 100;
const leaseMs = 500;
/** With functions that ask at each tick, and leases of crashed ones that have to end. */
const scheduledEventsMax = 250_000;
/** Longer than an operation of an instance that slept can be under way, and longer than any sleep. */
const barrierTimeoutMs = 9000;

class QuickWeather extends Weather {
  override fateOf(store: StoreName, operation: string, nowMs: number): Fate {
    const fate = super.fateOf(store, operation, nowMs);
    const { stall } = fate;
    return {
      ...fate,
      requestMs: fate.requestMs * timeScale,
      answerMs: fate.answerMs * timeScale,
      stall: stall && { ...stall, ms: stall.ms * stallScale },
    };
  }
}

export interface OnlineWorldOptions {
  readonly seed: number;
  readonly rules?: Partial<OnlineRules>;
  readonly keepTrace?: boolean;
  /** What the application does: with keys and lists of them, or with a tree and a queue. Default `keys`. */
  readonly work?: 'keys' | 'trees';
  /** Who copies, and leads the application on: commands of a machine, or functions on a schedule. Default `machine`. */
  readonly by?: 'machine' | 'functions';
  /** These happen and no others, of the faults that are drawn; null: all do. */
  readonly faults?: ReadonlySet<number> | null;
}

export class OnlineWorld {
  readonly kernel: Kernel;
  readonly prng: Prng;
  readonly weather: Weather;
  readonly rules: OnlineRules;
  readonly tally: Tally;
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly spec: MigrationSpec;
  readonly work: 'keys' | 'trees';
  readonly by: 'machine' | 'functions';
  readonly faults: Faults;
  /** No faults happen any more. */
  isCalm = false;
  /** Each has a history. */
  readonly keys: readonly [string, ...string[]];
  readonly violations: string[] = [];
  /** What happened at all: a fault that never happens tests nothing. */
  readonly seen = new Map<string, number>();
  /** Instances whose process is dead, and that nobody has named gone yet. */
  readonly dead = new Set<string>();
  /** Begun so far: each may have cleared the target. */
  rollbacks = 0;
  /** Of machines, where it can be seen whether one is dead. */
  readonly processes = new Map<string, SimProcess>();
  private readonly climate: Climate;
  private readonly limbo: Limbo;
  private readonly switchData = new MemorySwitchData();
  private readonly state = new MemoryStateStore();
  private readonly targetHoldsSwitch: boolean;
  private started = 0;

  constructor(options: OnlineWorldOptions) {
    const { seed, rules = {}, keepTrace = false, work = 'keys', by = 'machine', faults = null } = options;
    this.faults = new Faults(faults);
    this.work = work;
    this.by = by;
    this.keys = work === 'trees' ? treeKeys : keyNames;
    this.prng = new Prng(`online ${seed}`);
    this.kernel = by === 'machine' ? new Kernel(keepTrace) : new Kernel(keepTrace, scheduledEventsMax);
    this.rules = { ...allOnlineRules, ...rules };
    this.climate = { ...drawClimate(this.prng.fork('climate')), compacted: 0, interrupt: 0, jam: 0 };
    this.weather = new QuickWeather(this.prng.fork('weather'), this.climate, this.faults);
    this.limbo = new Limbo(this.kernel, this.prng.fork('limbo'));
    const nowMs = (): number => this.kernel.nowMs;
    this.tally = new Tally(nowMs, (line) => this.kernel.trace(line));
    const { absentGuard, tombstoneGuard, fences } = this.rules;
    this.source = new MemoryStore({ name: 'old', nowMs });
    const guards = { absentGuard, tombstoneGuard, fence: fences, epoch: fences };
    this.target = new MemoryStore({ name: 'new', nowMs, rules: { ...allRules, ...guards } });
    this.targetHoldsSwitch = this.prng.fork('switch').chance(0.5);
    this.spec = dualReadSpec({ instancesMin: 1, barrierTimeoutMs, requestLifeMs }, 2);
    for (const name of this.keys) {
      const id = this.prng.fork(name).chance(0.7) ? this.tally.next() : nothing;
      this.tally.begin(name, id);
      if (id !== nothing) this.source.put(keyFromText(name), Buffer.from(valueOf(id)));
    }
  }

  note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  violate(what: string): void {
    this.violations.push(what);
    this.kernel.trace(`VIOLATION ${what}`);
  }

  /** No faults from now on: what has to come to an end does. */
  calmDown(): void {
    this.isCalm = true;
    this.weather.change(calm);
  }

  /** @param isSeen false: nobody can tell whether it lives, as of a function */
  startProcess(what: string, isSeen = true): SimProcess {
    this.started += 1;
    const name = `${what}-${this.started}`;
    const { kernel, weather, limbo, prng } = this;
    const random = prng.fork(name);
    const process = new SimProcess(
      { kernel, weather, limbo, strandedMaxMs: requestLifeMs - 100 },
      name,
      random,
      random.between(-400, 400),
    );
    if (isSeen) this.processes.set(name, process);
    return process;
  }

  openClientIn(process: SimProcess): Promise<OnlineClient> {
    const { rules } = this;
    return openClient({
      name: process.name,
      uniqueId: () => '0',
      switch: overNetwork(process, 'switch', this.place()),
      source: overNetwork(process, 'source', sourceUnder(rules, this.source.onlineSource())),
      target: overNetwork(process, 'target', targetUnder(rules, this.onlineTarget())),
      clock: process.clock,
      leaseMs,
      requestLifeMs: rules.requestLife ? requestLifeMs : 0,
      waitMaxMs: 800,
      pollMs: 200,
    });
  }

  /** @param as what reads the switch and the state with a rule of its own. @param onMessage sees each as it is emitted */
  engineIn(
    process: SimProcess,
    as: 'machine' | 'dispatch' | 'backfill' | 'verify' = 'machine',
    onMessage: (message: Message) => void = () => undefined,
  ): Engine {
    const { rules } = this;
    const place = controllersSwitch(rules, this.place());
    const state = as === 'verify' ? verifiersState(rules, this.state, () => this.kernel.nowMs) : this.state;
    return {
      source: overNetwork(process, 'source', this.source),
      target: overNetwork(process, 'target', this.target),
      state: overNetwork(process, 'state', state),
      scratch: new MemoryScratch({ pageKeysMax: 2 }),
      clock: process.clock,
      random: process.random,
      host: {
        emit: (message) => {
          this.note(message.code);
          onMessage(message);
        },
      },
      online: {
        place: overNetwork(process, 'switch', as === 'backfill' ? copiersSwitch(rules, place) : place),
        source: overNetwork(process, 'source', this.source.onlineSource()),
        target: overNetwork(process, 'target', controllersTarget(rules, this.onlineTarget())),
      },
    };
  }

  place(): MemorySwitch {
    return new MemorySwitch(this.switchData);
  }

  async mode(): Promise<Mode> {
    return (await this.place().read())?.value.mode ?? 'legacy';
  }

  /** As it is in the state, without the weather. */
  async item<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateItems[K] | null> {
    return (await this.state.read(kind, scope, id))?.item ?? null;
  }

  onlineTarget() {
    return this.target.onlineTarget(this.spec.migration, this.targetHoldsSwitch ? this.switchData : null);
  }

  /** For how long what nobody answered may still happen. */
  get requestLifeMs(): number {
    return requestLifeMs;
  }
}

export const valueOf = (id: HistoryId): string => `v${id}`;
export const idOf = (value: Uint8Array | undefined): HistoryId =>
  value === undefined ? nothing : Number(Buffer.from(value).toString().slice(1));
