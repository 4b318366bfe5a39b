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
  recordsEqual,
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

/** What a plan may change of what is there: by key, the action and the version that it expects. */
export type PlannedGuards = ReadonlyMap<Key, { readonly action: 'overwrite' | 'delete'; readonly version: string }>;

/** One record that was overwritten or deleted. */
export interface GuardedChange {
  readonly key: Key;
  readonly attempt: number;
  readonly by: string;
  readonly plan: string;
  readonly kind: 'overwrite' | 'delete';
  readonly before: StoredRecord;
}

/** One record that a backfill write put into the target. */
export interface Creation {
  readonly key: Key;
  readonly attempt: number;
  readonly by: string;
  readonly plan: string;
  readonly value: Uint8Array;
  readonly version: string;
  readonly expiresAtMs: number | null;
  /** It took the place of another one. */
  readonly over: boolean;
}

export interface WriteContext {
  readonly process: string;
  /** Which plan the process applies; empty: that of the attempt, whichever it is. */
  readonly plan: string;
  readonly chunk: ChunkId;
  readonly fence: Fence;
  readonly epoch: Fence;
}

export interface WitnessQuestions {
  readonly mayHold: (key: Key, value: Uint8Array) => boolean;
  /** Whether the state holds a before-image of that version, kept by that attempt. */
  readonly isKept: (attempt: number, key: Key, version: string) => boolean;
  /** Whether a record that the source held for this key has come to its end by now. */
  readonly mayHaveEnded: (key: Key) => boolean;
  readonly report: (violation: Violation) => void;
}

export class TargetWitness {
  readonly creations: Creation[] = [];
  readonly guardedChanges: GuardedChange[] = [];
  /** How many records rollbacks have taken out again, or put back. */
  removals = 0;
  /** Attempts up to this one have lost their before-images with the state. */
  imagesLostTo = 0;
  readonly appActions = new Map<Key, AppAction>();
  readonly tombstones = new Set<Key>();
  /** Keys that the application touched after a backfill write had created them. */
  readonly touchedAfterCreation = new Set<Key>();
  highestEpoch: Fence | null = null;
  private readonly store: MemoryStore;
  private readonly questions: WitnessQuestions;
  private readonly guards = new Map<string, PlannedGuards>();
  /** Versions that keyferry gave records when it put them back. */
  private readonly putBack = new Set<string>();
  /** Who made a key absent last. */
  private readonly absentBy = new Map<Key, 'keyferry' | 'application'>();
  private readonly fences = new Map<ChunkId, Fence>();
  private readonly planOfAttempt = new Map<number, string>();

  constructor(store: MemoryStore, questions: WitnessQuestions) {
    this.store = store;
    this.questions = questions;
  }

  planned(plan: string, guards: PlannedGuards): void {
    this.guards.set(plan, guards);
  }

  imagesAreLost(): void {
    this.imagesLostTo = this.highestEpoch?.attempt ?? 0;
  }

  /** Changed by an attempt whose before-images are gone: nobody can put it back. */
  isBeyondRestoring(key: Key): boolean {
    return this.guardedChanges.some((change) => change.key === key && change.attempt <= this.imagesLostTo);
  }

  /** Overwritten by a record with a TTL that has ended: nothing is there, and that it was no delete cannot be told. */
  endedInItsPlace(key: Key, nowMs: number): boolean {
    const last = this.creations.findLast((creation) => creation.key === key);
    return last !== undefined && last.over && last.expiresAtMs !== null && last.expiresAtMs <= nowMs;
  }

  /** The application acts: at once, past the engine. */
  appPut(migration: Parameters<MemoryStore['putTombstone']>[0], key: Key, value: Uint8Array): void {
    this.noteTouch(key);
    this.store.putOverTombstone(migration, key, value);
    this.tombstones.delete(key);
    this.appActions.set(key, { kind: 'put', value });
  }

  appDelete(migration: Parameters<MemoryStore['putTombstone']>[0], key: Key): void {
    this.noteTouch(key);
    this.store.putTombstone(migration, key);
    this.absentBy.set(key, 'application');
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
    const after = this.store.snapshot();
    for (const [key, record] of after) {
      if (before.get(key)?.version !== record.version) this.judgePut(context, record, before.get(key));
    }
    for (const [key, record] of before) if (!after.has(key)) this.judgeDelete(context, record);
    return result;
  }

  /** Over what keyferry left there, or where keyferry had deleted; and only what was there before one of its changes. */
  restore<T>(epoch: Fence, process: string, effect: () => T): T {
    const before = this.store.snapshot();
    const result = effect();
    const after = this.store.snapshot();
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const [then, now] = [before.get(key), after.get(key)];
      if (then?.version === now?.version) continue;
      this.removals += 1;
      const where = `restoring of ${keyForDisplay(key)} by ${process}`;
      this.assertEpoch(epoch, where);
      const isOwn =
        then === undefined
          ? this.absentBy.get(key) === 'keyferry'
          : this.putBack.has(then.version) || this.creations.some(({ version }) => version === then.version);
      if (!isOwn) this.violate('rollback', `${where}: somebody had changed it since`);
      if (now === undefined) {
        this.absentBy.set(key, 'keyferry');
        continue;
      }
      this.putBack.add(now.version);
      const wasThere = this.guardedChanges.some((change) => change.key === key && recordsEqual(change.before, now));
      if (!wasThere) this.violate('rollback', `${where}: it was never there like that`);
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
      this.absentBy.set(key, 'keyferry');
      const created = this.creations.some(
        (creation) => creation.key === key && creation.version === record.version && !creation.over,
      );
      if (!created || asked.get(key) !== record.version) this.violate('rollback', `${where}: not what it had created`);
    }
    return result;
  }

  droppedControl(epoch: Fence, process: string): void {
    this.assertEpoch(epoch, `clean-up by ${process}`);
    this.fences.clear();
    this.tombstones.clear();
  }

  wroteDone(epoch: Fence, process: string): void {
    this.assertEpoch(epoch, `done marker by ${process}`);
  }

  private judgePut(context: WriteContext, record: StoredRecord, before: StoredRecord | undefined): void {
    const { process, chunk, fence } = context;
    const { key, value } = record;
    const where = `${keyForDisplay(key)} by ${process}, ${chunk} ${fence.attempt}.${fence.token}`;
    if (before !== undefined) this.judgeGuarded(context, before, 'overwrite', where);
    if (before === undefined && this.tombstones.has(key)) this.violate('resurrected', where);
    if (!this.questions.mayHold(key, value)) this.violate('invented', where);
    if (this.creations.some((other) => other.key === key && other.attempt === fence.attempt)) {
      this.violate('duplicated', where);
    }
    this.judgeFence(context, where);
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
      expiresAtMs: record.expiresAtMs,
      over: before !== undefined,
    });
  }

  private judgeDelete(context: WriteContext, record: StoredRecord): void {
    const { process, chunk, fence } = context;
    const where = `delete of ${keyForDisplay(record.key)} by ${process}, ${chunk} ${fence.attempt}.${fence.token}`;
    // A record can end in the very instant in which it is put over another one.
    const isOverwrite =
      this.plannedAction(context.plan, record) === 'overwrite' && this.questions.mayHaveEnded(record.key);
    this.judgeGuarded(context, record, isOverwrite ? 'overwrite' : 'delete', where);
    this.judgeFence(context, where);
    if (!isOverwrite) this.absentBy.set(record.key, 'keyferry');
  }

  /** What a plan has to do with a record at that version; a retry names no plan, and goes by the one that the state knows. */
  private plannedAction(plan: string, { key, version }: StoredRecord): GuardedChange['kind'] | null {
    const plans = plan === '' ? [...this.guards.values()] : [this.guards.get(plan)];
    const guard = plans.map((guards) => guards?.get(key)).find((each) => each?.version === version);
    return guard?.action ?? null;
  }

  /** Only what the plan names, at the version that it saw, and only once an image of it is kept. */
  private judgeGuarded(
    { process, plan, fence: { attempt } }: WriteContext,
    before: StoredRecord,
    kind: GuardedChange['kind'],
    where: string,
  ): void {
    const { key, version } = before;
    if (this.plannedAction(plan, before) !== kind) {
      this.violate(kind === 'delete' ? 'deleted' : 'overwritten', where);
    } else if (attempt > this.imagesLostTo && !this.questions.isKept(attempt, key, version)) {
      this.violate('unkept', where);
    }
    this.guardedChanges.push({ key, attempt, by: process, plan, kind, before });
  }

  private judgeFence({ chunk, fence, epoch }: WriteContext, where: string): void {
    const held = this.fences.get(chunk);
    if (held === undefined || compareFences(fence, held) < 0) {
      this.violate('stale-fence', `${where}, while ${held?.attempt ?? 'none'}.${held?.token ?? ''} was raised`);
    }
    this.assertEpoch(epoch, where);
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
    this.questions.report({ property, detail });
  }
}
