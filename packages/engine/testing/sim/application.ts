/**
 * The applications around a migration: one that writes and deletes in the target while it is filled (as the strategies
 * under which applications go on allow), and one that was told to leave the source alone and does not.
 *
 * They act at the worst moments: just before and just after a backfill write on its own keys, and during scans.
 */
import type { Key, MigrationId } from '@keyferry/core';
import type { MemoryStore } from '@keyferry/core/testing';
import { sourceKey, valueOf, type Dataset } from './dataset.ts';
import type { Kernel } from './kernel.ts';
import type { Prng } from './prng.ts';
import type { TargetWitness } from './target-witness.ts';

export interface Habits {
  /** Chance of a write in the target around each backfill write, and of one in the source at each scan. */
  readonly inTarget: number;
  readonly inSource: number;
}

export class Application {
  /** Whether anything happened since the last plan that a plan cannot foresee. */
  wroteTarget = false;
  wroteSource = false;
  private readonly prng: Prng;
  private readonly kernel: Kernel;
  private readonly data: Dataset;
  private readonly source: MemoryStore;
  private readonly target: { readonly witness: TargetWitness; readonly migration: MigrationId };
  private habits: Habits = { inTarget: 0, inSource: 0 };
  private writes = 0;

  constructor(
    prng: Prng,
    kernel: Kernel,
    data: Dataset,
    source: MemoryStore,
    target: { readonly witness: TargetWitness; readonly migration: MigrationId },
  ) {
    this.prng = prng;
    this.kernel = kernel;
    this.data = data;
    this.source = source;
    this.target = target;
  }

  become(habits: Habits): void {
    this.habits = habits;
  }

  aroundWrite(keys: readonly string[]): void {
    if (!this.prng.chance(this.habits.inTarget)) return;
    const near = this.prng.chance(0.7) ? keys[this.prng.below(Math.max(keys.length, 1))] : undefined;
    this.touchTarget(near as Key | undefined);
  }

  beforeScan(): void {
    if (this.prng.chance(this.habits.inSource)) this.touchSource();
  }

  touchTarget(near?: Key): void {
    const { witness, migration } = this.target;
    const any = this.data.keys[this.prng.below(Math.max(this.data.keys.length, 1))];
    const key = near ?? (any === undefined ? undefined : this.data.map.toTarget(any));
    if (key === undefined) return;
    this.writes += 1;
    this.wroteTarget = true;
    const deletes = this.prng.chance(0.4);
    this.kernel.trace(`the application ${deletes ? 'deletes' : 'puts'} ${key}`);
    if (deletes) witness.appDelete(migration, key);
    else witness.appPut(migration, key, valueOf(`app${this.writes}`));
  }

  touchSource(): void {
    this.writes += 1;
    this.wroteSource = true;
    const known = this.data.keys[this.prng.below(Math.max(this.data.keys.length, 1))];
    const key = known === undefined || this.prng.chance(0.3) ? sourceKey(100 + this.prng.below(20)) : known;
    const deletes = this.prng.chance(0.3);
    this.kernel.trace(`somebody ${deletes ? 'deletes' : 'writes'} ${key} in the source`);
    if (deletes) {
      this.source.delete(key);
      return;
    }
    const value = `changed${this.writes}`;
    this.source.put(key, valueOf(value));
    this.data.history.set(key, [...(this.data.history.get(key) ?? []), value]);
  }
}
