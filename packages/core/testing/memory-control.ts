/**
 * The control side of a memory store: epoch, fences, guarded puts, marks, tombstones, done marker of one migration.
 *
 * Every method does all its work synchronously inside the call, so a call is one atomic transaction. What is here is
 * the reference for adapters: the contract suite holds them to it, the simulator runs the engine against it.
 */
import {
  compareFences,
  invariant,
  KeyferryError,
  recordBytes,
  recordsEqual,
  rangeHolds,
  restoreStep,
  type BeforeImage,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type ClaimOutcome,
  type CreatedRecord,
  type Fence,
  type GuardedChange,
  type GuardedDelete,
  type GuardedPut,
  type Key,
  type KeyRange,
  type MigrationId,
  type Position,
  type RaiseOutcome,
  type RecordOrigin,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type StoredRecord,
  type TailName,
  type TailOutcome,
  type TargetCapabilities,
  type TargetControl,
  type Version,
} from '../src/index.ts';
import type { MemoryData } from './memory-data.ts';
import { putsOf } from './packed-page-of.ts';
import type { ProtocolRules } from './protocol-rules.ts';

/** Written with a record: who put it there, and whether the key was there before. */
interface Mark {
  readonly attempt: number;
  readonly version: Version;
  readonly created: boolean;
}

/** What a target remembers of one migration. */
export class ControlData {
  epoch: Fence | null = null;
  readonly fences = new Map<ChunkId, Fence>();
  readonly marks = new Map<Key, Mark>();
  /** Keys that the migration deleted, with the attempt that did. */
  readonly deletions = new Map<Key, number>();
  readonly tombstones = new Set<Key>();
  readonly tails = new Map<TailName, MemoryTail>();
  /** Of records that were copied, while they have that version: the one in the source. */
  readonly origins = new Map<Key, { readonly at: Version; readonly from: Version }>();
  done: string | null = null;
}

/** What a store remembers of one tail; the sequence grows with each write of its owner. */
export interface MemoryTail {
  readonly fence: Fence;
  readonly position: Position | null;
  readonly sequence: number;
  /** Of the last write, for its repeat. */
  readonly outcomes: readonly TailOutcome[];
}

export type ControlOperation = keyof TargetControl | TailOperation | 'write';
export type TailOperation = 'readTail' | 'claimTail' | 'apply';

export interface ControlContext {
  readonly migration: MigrationId;
  readonly data: MemoryData;
  readonly own: ControlData;
  readonly rules: ProtocolRules;
  readonly capabilities: TargetCapabilities;
  readonly run: <T>(operation: ControlOperation, effect: () => T) => T;
}

export class MemoryControl implements TargetControl {
  private readonly context: ControlContext;

  constructor(context: ControlContext) {
    this.context = context;
  }

  async readEpoch(): Promise<Fence | null> {
    return this.context.run('readEpoch', () => this.context.own.epoch);
  }

  async raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    const { run, own, rules } = this.context;
    return run('raiseEpoch', () => {
      if (rules.epoch && own.epoch !== null && compareFences(epoch, own.epoch) <= 0) {
        return { kind: 'refused', current: own.epoch };
      }
      own.epoch = epoch;
      return { kind: 'raised' };
    });
  }

  async readFence(chunk: ChunkId): Promise<Fence | null> {
    return this.context.run('readFence', () => this.context.own.fences.get(chunk) ?? null);
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { run, own, rules } = this.context;
    return run('claimChunk', () => {
      const held = own.fences.get(chunk) ?? null;
      const fenceIsHigher = !rules.fence || held === null || compareFences(fence, held) > 0;
      if (!fenceIsHigher || !this.epochIs(epoch)) return { kind: 'refused', fence: held, epoch: own.epoch };
      own.fences.set(chunk, fence);
      return { kind: 'claimed', writer: this.writer(chunk, fence, epoch) };
    });
  }

  async *listCreated(range: KeyRange, options: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { run, own, data } = this.context;
    const created = run('listCreated', () =>
      data.all().filter(({ key, version }) => {
        const mark = own.marks.get(key);
        return rangeHolds(range, key) && mark !== undefined && mark.created && mark.version === version;
      }),
    );
    for (let at = 0; at < created.length; at += options.pageKeysMax) {
      yield created.slice(at, at + options.pageKeysMax).map(({ key, version }) => ({ key, version }));
    }
  }

  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const { run, own, data } = this.context;
    return run('removeCreated', () => {
      this.assertEpoch(epoch);
      return records.map(({ key, version }) => {
        const present = data.get(key);
        if (present === undefined) return 'absent';
        if (present.version !== version) return 'changed';
        data.delete(key);
        own.marks.delete(key);
        return 'removed';
      });
    });
  }

  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    const { run, data, capabilities } = this.context;
    return run('readBefore', () => {
      invariant(keys.length <= capabilities.batchKeysMax, `a look at ${keys.length} records`);
      return keys.map((key) => {
        const present = data.get(key);
        return present === undefined ? null : { ...present, origin: this.originOf(present) };
      });
    });
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    return this.context.run('restore', () => {
      this.assertEpoch(epoch);
      return restorations.map((restoration) => this.restoreOne(restoration, epoch.attempt));
    });
  }

  async dropControl(epoch: Fence): Promise<void> {
    const { run, own } = this.context;
    run('dropControl', () => {
      this.assertEpoch(epoch);
      own.fences.clear();
      own.marks.clear();
      own.deletions.clear();
      own.tombstones.clear();
      own.tails.clear();
      own.origins.clear();
    });
  }

  async readDone(): Promise<string | null> {
    return this.context.run('readDone', () => this.context.own.done);
  }

  async writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const { run, own } = this.context;
    run('writeDone', () => {
      this.assertEpoch(epoch);
      own.done = marker;
    });
  }

  private writer(chunk: ChunkId, fence: Fence, epoch: Fence): ChunkWriter {
    const { run, own, rules, capabilities } = this.context;
    const assertMayWrite = (changes: readonly GuardedChange[]): void => {
      invariant(changes.length <= capabilities.batchKeysMax, `a batch of ${changes.length} changes`);
      const bytes = changes.reduce((sum, change) => sum + recordBytes(change), 0);
      const fits = changes.length === 1 || bytes <= capabilities.batchBytesMax;
      invariant(fits || changes.some((change) => this.refusal(change) !== null), `a batch of ${bytes} bytes`);
      const held = own.fences.get(chunk) ?? null;
      const fenceIsMine = !rules.fence || (held !== null && compareFences(held, fence) === 0);
      if (!fenceIsMine || !this.epochIs(epoch)) throw new KeyferryError('fence.lost', { chunk });
    };
    const write = (changes: readonly GuardedChange[]): readonly ChangeOutcome[] => {
      assertMayWrite(changes);
      return changes.map((change) =>
        change.kind === 'put' ? this.put(change, fence.attempt) : this.delete(change, fence.attempt),
      );
    };
    const writePacked = (puts: readonly GuardedPut[]): 'written' | 'declined' => {
      assertMayWrite(puts);
      if (!puts.every((put) => this.refusal(put) === null && this.mayPut(put))) return 'declined';
      for (const put of puts) this.put(put, fence.attempt);
      return 'written';
    };
    return {
      write: async (changes) => run('write', () => write(changes)),
      writePacked: async (packed) => run('write', () => writePacked(putsOf(packed))),
    };
  }

  private put(put: GuardedPut, attempt: number): ChangeOutcome {
    const { data, own } = this.context;
    const { key, value, expiresAtMs } = put;
    const detail = this.refusal(put);
    if (detail !== null) return { kind: 'refused', detail };
    const present = data.get(key);
    if (this.mayPut(put)) {
      const version = data.put(key, value, expiresAtMs);
      own.marks.set(key, { attempt, version, created: present === undefined });
      if (put.origin !== undefined) own.origins.set(key, { at: version, from: put.origin });
      return { kind: 'written', version };
    }
    const mark = own.marks.get(key);
    if (present !== undefined) {
      const isOurs = mark !== undefined && mark.version === present.version;
      const equal = recordsEqual(put, present);
      if (isOurs && mark.attempt === attempt && equal) return { kind: 'already-written', version: present.version };
      if (!this.guardHolds(put)) return { kind: 'present', version: present.version, equal };
    }
    return own.tombstones.has(key) ? { kind: 'tombstoned' } : { kind: 'missing' };
  }

  private mayPut(put: GuardedPut): boolean {
    const { own, rules } = this.context;
    return this.guardHolds(put) && !(rules.tombstoneGuard && own.tombstones.has(put.key));
  }

  private guardHolds({ key, expect }: GuardedPut): boolean {
    const { data, rules } = this.context;
    const present = data.get(key);
    return expect === 'absent'
      ? present === undefined || !rules.absentGuard
      : present !== undefined && (present.version === expect.version || !rules.versionGuard);
  }

  private delete(change: GuardedDelete, attempt: number): ChangeOutcome {
    const { data, own, rules } = this.context;
    const { key, expect } = change;
    const detail = this.refusal(change);
    if (detail !== null) return { kind: 'refused', detail };
    const present = data.get(key);
    if (present === undefined) return { kind: own.deletions.get(key) === attempt ? 'deleted' : 'missing' };
    const { version } = present;
    if (rules.versionGuard && version !== expect.version) return { kind: 'present', version, equal: false };
    data.delete(key);
    own.deletions.set(key, attempt);
    return { kind: 'deleted' };
  }

  private restoreOne(restoration: Restoration, attempt: number): RestoreOutcome {
    const { data, own, rules } = this.context;
    const { key, value, expiresAtMs, origin } = restoration.image;
    const found = data.get(key);
    // Without the rule, whatever is there is taken for what the migration left.
    const present = found && { ...found, origin: rules.restoreGuard ? this.originOf(found) : ('overwritten' as const) };
    const wasDeleted = own.deletions.has(key) && !(rules.tombstoneGuard && own.tombstones.has(key));
    const step = restoreStep(restoration, present ?? null, wasDeleted, data.nowMs());
    if (step.kind === 'leave') return step.outcome;
    if (origin === 'foreign') own.deletions.delete(key);
    if (step.kind === 'remove') data.delete(key);
    else {
      const version = data.put(key, value, expiresAtMs);
      if (step.own) own.marks.set(key, { attempt, version, created: false });
    }
    return step.outcome;
  }

  private originOf({ key, version }: StoredRecord): RecordOrigin {
    const mark = this.context.own.marks.get(key);
    if (mark === undefined || mark.version !== version) return 'foreign';
    return mark.created ? 'created' : 'overwritten';
  }

  private refusal(change: GuardedChange): string | null {
    const { recordBytesMax, emptyKeys } = this.context.capabilities;
    if (change.key.length === 0 && !emptyKeys) return 'the key is empty';
    const bytes = recordBytes(change);
    return recordBytesMax !== null && bytes > recordBytesMax ? `${bytes} bytes, at most ${recordBytesMax}` : null;
  }

  private epochIs(epoch: Fence): boolean {
    const { own, rules } = this.context;
    return !rules.epoch || (own.epoch !== null && compareFences(own.epoch, epoch) === 0);
  }

  private assertEpoch(epoch: Fence): void {
    if (!this.epochIs(epoch)) throw new KeyferryError('fence.lost', { chunk: `all of ${this.context.migration}` });
  }
}
