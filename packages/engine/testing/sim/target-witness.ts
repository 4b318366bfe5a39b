/**
 * The target's witness: stands beside the memory store and looks at its records before and after each call of the
 * engine, in the same instant. It believes no outcome and no count; it sees what changed, and by whom.
 *
 * It keeps its own memory of fences, epoch, tombstones and of who put what, so that a rule switched off in the store is
 * still judged here.
 */
import {
  bytesEqual,
  compareFences,
  keyForDisplay,
  type ChunkId,
  type CreatedRecord,
  type Fence,
  type Key,
  type StoredRecord,
} from '@keyferry/core';
import type { MemoryStore } from '@keyferry/core/testing';
import type { Property, Violation } from './violation.ts';

/** What the application made of a key, last. */
export type AppAction = { readonly kind: 'put'; readonly value: Uint8Array } | { readonly kind: 'deleted' };

/** One record that a backfill write put into the target. */
export interface Creation {
  readonly key: Key;
  readonly attempt: number;
  readonly by: string;
  readonly plan: string;
  readonly value: Uint8Array;
  readonly version: string;
}

export interface WriteContext {
  readonly process: string;
  /** Which plan the process applies; empty: that of the attempt, whichever it is. */
  readonly plan: string;
  readonly chunk: ChunkId;
  readonly fence: Fence;
  readonly epoch: Fence;
}

export class TargetWitness {
  readonly creations: Creation[] = [];
  /** How many records rollbacks have taken out again. */
  removals = 0;
  readonly appActions = new Map<Key, AppAction>();
  readonly tombstones = new Set<Key>();
  /** Keys that the application touched after a backfill write had created them. */
  readonly touchedAfterCreation = new Set<Key>();
  highestEpoch: Fence | null = null;
  private readonly store: MemoryStore;
  private readonly report: (violation: Violation) => void;
  private readonly mayHold: (key: Key, value: Uint8Array) => boolean;
  private readonly fences = new Map<ChunkId, Fence>();
  private readonly planOfAttempt = new Map<number, string>();

  constructor(
    store: MemoryStore,
    mayHold: (key: Key, value: Uint8Array) => boolean,
    report: (violation: Violation) => void,
  ) {
    this.store = store;
    this.mayHold = mayHold;
    this.report = report;
  }

  /** The application acts: at once, past the engine. */
  appPut(key: Key, value: Uint8Array): void {
    this.noteTouch(key);
    this.store.put(key, value);
    this.appActions.set(key, { kind: 'put', value });
  }

  appDelete(migration: Parameters<MemoryStore['putTombstone']>[0], key: Key): void {
    this.noteTouch(key);
    this.store.putTombstone(migration, key);
    this.tombstones.add(key);
    this.appActions.set(key, { kind: 'deleted' });
  }

  raised(epoch: Fence): void {
    if (this.highestEpoch === null || compareFences(epoch, this.highestEpoch) > 0) this.highestEpoch = epoch;
  }

  claimed(chunk: ChunkId, fence: Fence, epoch: Fence, process: string): void {
    this.assertEpoch(epoch, `claim of ${chunk} by ${process}`);
    const held = this.fences.get(chunk);
    if (held === undefined || compareFences(fence, held) > 0) this.fences.set(chunk, fence);
  }

  /** Around the store's own write: `effect` has it done when it returns its promise. */
  write<T>(context: WriteContext, effect: () => T): T {
    const before = this.store.snapshot();
    const result = effect();
    for (const [key, record] of this.store.snapshot()) {
      if (before.get(key)?.version !== record.version) this.judgePut(context, record, before.get(key));
    }
    return result;
  }

  removeCreated<T>(records: readonly CreatedRecord[], epoch: Fence, process: string, effect: () => T): T {
    const before = this.store.snapshot();
    const result = effect();
    const after = this.store.snapshot();
    const asked = new Map(records.map(({ key, version }) => [key, version]));
    for (const [key, record] of before) {
      if (after.has(key)) continue;
      this.removals += 1;
      const where = `removal of ${keyForDisplay(key)} by ${process}`;
      this.assertEpoch(epoch, where);
      const created = this.creations.some((creation) => creation.key === key && creation.version === record.version);
      if (!created || asked.get(key) !== record.version) this.violate('rollback', `${where}: not what it had created`);
    }
    return result;
  }

  droppedControl(epoch: Fence, process: string): void {
    this.assertEpoch(epoch, `clean-up by ${process}`);
    this.fences.clear();
    this.tombstones.clear();
  }

  private judgePut(context: WriteContext, record: StoredRecord, before: StoredRecord | undefined): void {
    const { process, chunk, fence, epoch } = context;
    const { key, value } = record;
    const where = `${keyForDisplay(key)} by ${process}, ${chunk} ${fence.attempt}.${fence.token}`;
    if (before !== undefined) this.violate('overwritten', where);
    if (before === undefined && this.tombstones.has(key)) this.violate('resurrected', where);
    if (!this.mayHold(key, value)) this.violate('invented', where);
    if (this.creations.some((other) => other.key === key && other.attempt === fence.attempt)) {
      this.violate('duplicated', where);
    }
    const held = this.fences.get(chunk);
    if (held === undefined || compareFences(fence, held) < 0) {
      this.violate('stale-fence', `${where}, while ${held?.attempt ?? 'none'}.${held?.token ?? ''} was raised`);
    }
    this.assertEpoch(epoch, where);
    const plan = this.planOfAttempt.get(fence.attempt) ?? context.plan;
    if (plan !== '') this.planOfAttempt.set(fence.attempt, plan);
    if (context.plan !== '' && plan !== context.plan)
      this.violate('attempt-reused', `${where}: ${plan} and ${context.plan}`);
    this.touchedAfterCreation.delete(key);
    this.creations.push({
      key,
      attempt: fence.attempt,
      by: process,
      plan,
      value,
      version: record.version,
    });
  }

  private noteTouch(key: Key): void {
    const present = this.store.snapshot().get(key);
    const last = this.creations.findLast((creation) => creation.key === key);
    if (present !== undefined && last !== undefined && bytesEqual(present.value, last.value)) {
      this.touchedAfterCreation.add(key);
    }
  }

  private assertEpoch(epoch: Fence, what: string): void {
    const highest = this.highestEpoch;
    if (highest === null || compareFences(epoch, highest) === 0) return;
    this.violate(
      'stale-epoch',
      `${what} under ${epoch.attempt}.${epoch.token}, raised was ${highest.attempt}.${highest.token}`,
    );
  }

  private violate(property: Property, detail: string): void {
    this.report({ property, detail });
  }
}
