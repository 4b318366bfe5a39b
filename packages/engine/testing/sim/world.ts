/**
 * One seed's world: stores, state, witnesses, applications, processes. The scenario moves it; this file builds it and
 * gives each process its ports.
 */
import {
  keyFromJson,
  keyFromText,
  rangeHolds,
  prefixRange,
  recordBytes,
  type BeforePage,
  type Key,
  type MigrationState,
  type RunLimits,
  type StoredRecord,
  type MigrationSpec,
} from '@keyferry/core';
import { MemoryScratch, MemoryStateStore, MemoryStore, type ProtocolRules } from '@keyferry/core/testing';
import type { MigrationId } from '@keyferry/core';
import type { Engine } from '../../src/index.ts';
import { memorySpec } from '../memory-spec.ts';
import { Application } from './application.ts';
import { fillStores, plainKeys, reversedKeys, rule, type Dataset } from './dataset.ts';
import { Kernel } from './kernel.ts';
import { Limbo } from './limbo.ts';
import type { MemoryPlan } from './memory-plan.ts';
import { Prng } from './prng.ts';
import { SimProcess } from './process.ts';
import { simScratch, simSource, simState, simTarget, type PortContext } from './sim-ports.ts';
import { StateWitness } from './state-witness.ts';
import { TargetWitness, type PlannedGuards } from './target-witness.ts';
import type { Violation } from './violation.ts';
import { calm, Weather } from './weather.ts';

export type Snapshot = ReadonlyMap<Key, StoredRecord>;

/** A plan, and what both sides were when it was made. */
export interface Planned {
  readonly archive: MemoryPlan;
  readonly guards: PlannedGuards;
  readonly id: string;
  readonly source: Snapshot;
  readonly target: Snapshot;
  /** How many records had been put into the target by then, and taken out of it. */
  readonly creationsBefore: number;
  readonly changesBefore: number;
  readonly removalsBefore: number;
}

export interface WorldOptions {
  /** The state says that it has kept a before-image, and has not. */
  readonly losesImages: boolean;
  readonly seed: number;
  readonly rules: Partial<ProtocolRules>;
  readonly keepTrace: boolean;
}

const migration = 'shop' as MigrationId;
/** In place of a plan: whichever the attempt is of that a function joins. */
export const ofTheAttempt = 'of the attempt';
/** About as long as a successor needs for its first writes. */
const rushMs = 200;

export class World {
  readonly kernel: Kernel;
  readonly prng: Prng;
  readonly weather: Weather;
  readonly limbo: Limbo;
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  /** The same target as apply meets it; in some seeds it refuses records that the plan thought it would take. */
  readonly narrowTarget: MemoryStore;
  readonly state: MemoryStateStore;
  readonly witness: TargetWitness;
  readonly application: Application;
  readonly data: Dataset;
  readonly spec: MigrationSpec;
  readonly violations: Violation[] = [];
  /** What happened how often: a run of many seeds must have seen all of it. */
  readonly seen = new Map<string, number>();
  readonly processes = new Map<string, SimProcess>();
  /** What each side was at each position at which a view was opened. */
  readonly snapshots = { source: new Map<string, Snapshot>(), target: new Map<string, Snapshot>() };
  /** The target before anything happened. */
  readonly initialTarget: Snapshot;
  private readonly initialSource: Snapshot;
  readonly viewsLeft = new Map<string, number>();
  private readonly stateWitness: StateWitness;
  private readonly pageKeysMax: number;
  private readonly skewMs: number;
  private readonly losesImages: boolean;

  constructor({ seed, rules, keepTrace, losesImages }: WorldOptions) {
    this.losesImages = losesImages;
    this.prng = new Prng(`keyferry ${seed}`);
    const draw = this.prng.fork('world');
    this.kernel = new Kernel(keepTrace);
    this.weather = new Weather(this.prng.fork('weather'), calm);
    const nowMs = (): number => this.kernel.nowMs;
    this.limbo = new Limbo(this.kernel, this.prng.fork('limbo'));
    this.source = new MemoryStore({ name: 'old', nowMs });
    const batchKeysMax = draw.pick([1, 3, 7]);
    this.target = new MemoryStore({ name: 'new', nowMs, rules, capabilities: { batchKeysMax } });
    const recordBytesMax = draw.chance(0.15) ? 10 : 1000;
    this.narrowTarget = new MemoryStore({
      name: 'new',
      sharedWith: this.target,
      nowMs,
      rules,
      capabilities: { batchKeysMax, recordBytesMax },
    });
    this.state = new MemoryStateStore({ rules });
    const keys = this.prng.fork('rules').chance(0.3) ? reversedKeys : plainKeys;
    this.data = fillStores(this.prng.fork('data'), keys, this, this.kernel.nowMs);
    this.initialTarget = this.target.snapshot();
    this.initialSource = this.source.snapshot();
    const report = (violation: Violation): void => this.violate(violation);
    this.witness = new TargetWitness(this.target, {
      mayHold: (key, value) => this.sourceHeld(key, value),
      isKept: (attempt, key, version) => this.isKept(attempt, key, version),
      mayHaveEnded: (key) => this.mayHaveEnded(key),
      report,
    });
    this.stateWitness = new StateWitness((holder) => this.processes.get(holder)?.isDead === true, report);
    this.application = new Application(this.prng.fork('application'), this.kernel, this.data, this.source, {
      witness: this.witness,
      migration,
    });
    this.pageKeysMax = draw.pick([1, 2, 5, 1000]);
    // With records that expire, clocks that differ by much make a record end early: no fault of the protocol.
    this.skewMs = draw.pick(this.data.expiring ? [0, 0] : [0, 1500, 30_000]);
    const policy = this.prng.fork('policy');
    this.spec = memorySpec({
      strategy: 'offline',
      rule,
      transform: keys.transform,
      onConflict: policy.pick(['keep-target', 'overwrite'] as const),
      // With few keys the source may run empty, and a plan that would delete everything is no story of the protocol.
      prune: this.data.keys.length >= 5 && policy.chance(0.5),
      guards: { deleteShareMax: 1, deletesMax: 1000 },
      workers: draw.pick([1, 2, 4]),
      limits: {
        chunkKeysMax: draw.pick([2, 5, 20]),
        chunkBytesMax: 1_000_000,
        createRowsMax: draw.pick([0, 10, 1000]),
      },
      runLimits: drawRunLimits(this.prng.fork('limits')),
    });
  }

  violate(violation: Violation): void {
    this.kernel.trace(`VIOLATION ${violation.property}: ${violation.detail}`);
    this.violations.push(violation);
  }

  note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  startProcess(name: string): SimProcess {
    const random = this.prng.fork(name);
    const skewMs = this.skewMs === 0 ? 0 : random.between(-this.skewMs, this.skewMs);
    const process = new SimProcess(this, name, random, skewMs);
    this.processes.set(name, process);
    return process;
  }

  /**
   * The engine as `process` sees it. With a plan, the target may be narrower than the plan thought. A function goes by the
   * attempt that it joins.
   */
  engineFor(process: SimProcess, plan: string): Engine {
    const context: PortContext = {
      process,
      planOf: (attempt) => (plan === ofTheAttempt ? this.planOfAttempt(attempt) : plan),
      pageKeysMax: this.pageKeysMax,
      events: {
        viewOpened: (side) => this.snapshots[side].set(String(this[side].revision()), this[side].snapshot()),
        viewsLeft: (name, change) => this.viewsLeft.set(name, (this.viewsLeft.get(name) ?? 0) + change),
        aroundWrite: (keys) => this.application.aroundWrite(keys),
        packed: (answer) => this.note(`packed batch ${answer}`),
        claimed: () => this.limbo.call(rushMs),
        beforeScan: () => this.application.beforeScan(),
      },
    };
    return {
      source: simSource(context, this.source),
      target: simTarget(context, plan === '' ? this.target : this.narrowTarget, this.witness),
      state: simState(context, this.state, this.stateWitness, this.losesImages),
      scratch: simScratch(context, new MemoryScratch({ pageKeysMax: this.pageKeysMax })),
      clock: process.clock,
      random: process.random,
      host: { emit: ({ code }) => this.note(code) },
    };
  }

  /** Somebody deletes the file or table with the state, and with it what was kept in it. */
  wipeState(): void {
    this.witness.imagesAreLost();
    this.kernel.trace('the state is wiped');
    this.state.database.scopes.clear();
  }

  refuses(key: Key, value: Uint8Array): boolean {
    return recordBytes({ key, value }) > (this.narrowTarget.capabilities.recordBytesMax ?? Number.POSITIVE_INFINITY);
  }

  private planOfAttempt(attempt: number): string {
    const entry = this.state.database.scope('migration', 'migrations').get(migration);
    const state = entry === undefined ? null : (JSON.parse(entry.body) as MigrationState);
    return state?.attempt === attempt ? state.plan : '';
  }

  /** Looks into the state itself, in the instant in which the target is changed. */
  private isKept(attempt: number, key: Key, version: string): boolean {
    const scope = `${migration}/${String(attempt).padStart(10, '0')}`;
    for (const { body } of this.state.database.scope('before', scope).values()) {
      const { pieces } = JSON.parse(body) as BeforePage;
      if (pieces.some((piece) => piece.version === version && keyFromJson(piece.key) === key && !piece.goesOn))
        return true;
    }
    return false;
  }

  private mayHaveEnded(targetKey: Key): boolean {
    const expiresAtMs = this.initialSource.get(this.data.map.toSource(targetKey))?.expiresAtMs ?? null;
    return expiresAtMs !== null && expiresAtMs <= this.kernel.nowMs;
  }

  private sourceHeld(targetKey: Key, value: Uint8Array): boolean {
    const key = this.data.map.toSource(targetKey);
    if (!rangeHolds(prefixRange(rule.sourcePrefix), key)) return false;
    return this.data.history.get(key)?.some((text) => keyFromText(text) === textOf(value)) ?? false;
  }
}

/** Most seeds are paced in some way; a rate of five makes a run last for many looks at its control. */
function drawRunLimits(draw: Prng): RunLimits {
  return {
    ratePerSecond: draw.pick([null, null, 5, 50]),
    targetP99Ms: draw.pick([null, null, 30]),
    sourceP99Ms: draw.pick([null, null, 30]),
    deadLettersMax: draw.pick([0, 3, 1000]),
    functions: 3,
  };
}

function textOf(value: Uint8Array): Key {
  return keyFromText(new TextDecoder().decode(value));
}
