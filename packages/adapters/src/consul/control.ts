/**
 * The control side of Consul: epoch, claims, and what undo and finalize need. The records' side is chunk-writer.ts.
 *
 * Fences are raised by comparing the index that was read, not by comparing values: what is there is read and understood
 * first, so that something that is not keyferry's is an error and never a number. A lost race reads again, and ends by
 * itself, because every winner raised the fence.
 */
import {
  compareFences,
  KeyferryError,
  rangeHolds,
  type BeforeImage,
  type ChunkId,
  type ClaimOutcome,
  type CreatedRecord,
  type Fence,
  type Key,
  type KeyRange,
  type MigrationId,
  type RaiseOutcome,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type TargetControl,
} from '@keyferry/core';
import { RecordSpool } from '../spool/record-spool.ts';
import type { Transaction } from './api.ts';
import { operationsMax } from './capabilities.ts';
import { ConsulChunkWriter, type WriterContext } from './chunk-writer.ts';
import { fenceOf, fenceValue } from './control-keys.ts';
import { indexOf, noBytes, versionOf, type ConsulEntry } from './entry.ts';
import { listingPrefix } from './key-form.ts';
import { lookUp } from './look-up.ts';
import { readMarks, WriterMarks } from './marks.ts';
import { plain, type Operation } from './operations.ts';
import { Origins, Restorer } from './restore.ts';

export interface ControlContext extends WriterContext {
  readonly migration: MigrationId;
  readonly reserved: KeyRange;
  readonly nowMs: () => number;
}

/** Beside the check of the epoch, two operations a record. */
const removedAtOnce = Math.floor((operationsMax - 1) / 2);

export class ConsulControl implements TargetControl {
  private readonly context: ControlContext;
  private readonly origins: Origins;
  private readonly restorer: Restorer;

  constructor(context: ControlContext) {
    this.context = context;
    this.origins = new Origins(context);
    this.restorer = new Restorer(
      { ...context, writeUnder: (epoch, operations) => this.writeUnder(epoch, operations) },
      this.origins,
    );
  }

  async readEpoch(): Promise<Fence | null> {
    return (await this.readFenceAt(this.context.keys.epoch)).fence;
  }

  async readFence(chunk: ChunkId): Promise<Fence | null> {
    return (await this.readFenceAt(this.context.keys.fence(chunk))).fence;
  }

  async raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    const { api, keys, operations } = this.context;
    for (;;) {
      const { fence: current, index } = await this.readFenceAt(keys.epoch);
      if (current !== null && compareFences(epoch, current) <= 0) return { kind: 'refused', current };
      const { kind } = await api.writeTransaction([operations.cas(keys.epoch, plain(fenceValue(epoch)), index)]);
      if (kind === 'done') return { kind: 'raised' };
    }
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { store, api, keys, operations } = this.context;
    const key = keys.fence(chunk);
    for (;;) {
      const [held = null, epochHeld = null] = await lookUp(api, [key, keys.epoch]);
      const current = fenceOf(store, held);
      const currentEpoch = fenceOf(store, epochHeld);
      const isHigher = current === null || compareFences(fence, current) > 0;
      if (!isHigher || epochHeld === null || currentEpoch === null || compareFences(epoch, currentEpoch) !== 0) {
        return { kind: 'refused', fence: current, epoch: currentEpoch };
      }
      const epochIndex = epochHeld.modifyIndex;
      const answer = await api.writeTransaction([
        operations.cas(key, plain(fenceValue(fence)), held?.modifyIndex ?? 0),
        operations.checkIndex(keys.epoch, epochIndex),
      ]);
      if (answer.kind === 'refused') continue;
      const claim = { chunk, fence, fenceIndex: indexOfEntry(answer.entries, key), epochIndex };
      const marks = new WriterMarks(api, keys.chunkMarks(chunk, fence.attempt));
      return { kind: 'claimed', writer: new ConsulChunkWriter(this.context, claim, marks) };
    }
  }

  /**
   * Marks are read first, then the range as it was right after: what was written meanwhile is not among them. The range
   * is one listing, with its values; their keys wait on disk.
   */
  async *listCreated(range: KeyRange, options: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { api, keys, reserved } = this.context;
    const { indexes } = await readMarks(api, keys.marks);
    const created = await api.readTree(listingPrefix(range), async (feed) => {
      const spool = new RecordSpool();
      try {
        await feed({
          take: (entry) => {
            const isNew = entry.createIndex === entry.modifyIndex && indexes.has(entry.modifyIndex);
            if (!isNew || !rangeHolds(range, entry.key) || rangeHolds(reserved, entry.key)) return;
            spool.add({ key: entry.key, value: noBytes, version: versionOf(entry), expiresAtMs: null });
          },
          notText: () => undefined,
        });
        await spool.seal();
        return spool;
      } catch (error) {
        spool.close();
        throw error;
      }
    });
    try {
      for await (const { records } of created.scan(range, options)) {
        yield records.map(({ key, version }) => ({ key, version }));
      }
    } finally {
      created.close();
    }
  }

  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    if (records.length === 0) await this.writeUnder(epoch, []);
    const outcomes: RemoveOutcome[] = [];
    for (let at = 0; at < records.length; at += removedAtOnce) {
      outcomes.push(...(await this.removeSome(records.slice(at, at + removedAtOnce), epoch)));
    }
    return outcomes;
  }

  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    return this.origins.of(await lookUp(this.context.api, keys));
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    if (restorations.length === 0) await this.writeUnder(epoch, []);
    return this.restorer.restore(restorations, epoch);
  }

  /** One transaction: nobody sees some of them gone and others not. */
  async dropControl(epoch: Fence): Promise<void> {
    const { keys, operations } = this.context;
    const all = [keys.fences, keys.tails, keys.tombs, keys.origins, keys.gones, keys.backs, keys.marks];
    const trees = all.map((prefix) => operations.deleteTree(prefix));
    await this.writeUnder(epoch, [...trees, operations.delete(keys.entombed)]);
  }

  async readDone(): Promise<string | null> {
    const [entry = null] = await lookUp(this.context.api, [this.context.keys.done]);
    return entry === null ? null : Buffer.from(entry.value).toString('utf8');
  }

  async writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const { keys, operations } = this.context;
    const put = (text: string) => operations.set(keys.done, plain(Buffer.from(text, 'utf8')));
    await this.writeUnder(epoch, [marker === null ? operations.delete(keys.done) : put(marker)]);
  }

  private async removeSome(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const { api, operations } = this.context;
    const outcomes = new Map<CreatedRecord, RemoveOutcome>();
    let left = records;
    for (;;) {
      const answer = await this.writeUnder(
        epoch,
        left.flatMap(({ key, version }) => [
          operations.checkIndex(key, indexOf(version)),
          operations.deleteAt(key, indexOf(version)),
        ]),
      );
      if (answer.kind === 'done') break;
      const failed = left.filter((_, i) => answer.failed.has(2 * i) || answer.failed.has(2 * i + 1));
      const found = await lookUp(
        api,
        failed.map(({ key }) => key),
      );
      for (const [i, record] of failed.entries()) {
        const entry = found[i] ?? null;
        if (entry === null) outcomes.set(record, 'absent');
        else if (versionOf(entry) !== record.version) outcomes.set(record, 'changed');
      }
      left = left.filter((record) => !outcomes.has(record));
    }
    return records.map((record) => outcomes.get(record) ?? 'removed');
  }

  private async readFenceAt(key: Key): Promise<{ readonly fence: Fence | null; readonly index: number }> {
    const [entry = null] = await lookUp(this.context.api, [key]);
    return { fence: fenceOf(this.context.store, entry), index: entry?.modifyIndex ?? 0 };
  }

  /**
   * Under further conditions, if the operations have any; places in the answer are theirs.
   * @throws {KeyferryError} `fence.lost` when the epoch is another one; nothing was done then.
   */
  private async writeUnder(epoch: Fence, wanted: readonly Operation[]): Promise<Transaction> {
    const { api, keys, operations, migration } = this.context;
    for (;;) {
      const { fence, index } = await this.readFenceAt(keys.epoch);
      if (fence === null || compareFences(fence, epoch) !== 0) {
        throw new KeyferryError('fence.lost', { chunk: `all of ${migration}` });
      }
      const answer = await api.writeTransaction([operations.checkIndex(keys.epoch, index), ...wanted]);
      if (answer.kind === 'done')
        return { kind: 'done', entries: answer.entries.filter(({ key }) => key !== keys.epoch) };
      if (answer.failed.has(0)) continue; // raised just now: the next look says to what
      return { kind: 'refused', failed: new Set([...answer.failed].map((at) => at - 1)) };
    }
  }
}

function indexOfEntry(entries: readonly ConsulEntry[], key: Key): number {
  return entries.find((entry) => entry.key === key)?.modifyIndex ?? 0;
}
