/**
 * The control side of etcd v3: epoch, claims, and what undo and finalize need. The records' side is chunk-writer.ts.
 *
 * Fences are raised by comparing the revision that was read, not by comparing values as bytes: what is there is read and
 * understood first, so that something that is not keyferry's is an error and never a number. A lost race reads again,
 * and ends by itself, because every winner raised the fence.
 */
import type { ITxnRequest, ITxnResponse } from 'etcd3';
import {
  compareFences,
  KeyferryError,
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
  type Version,
} from '@keyferry/core';
import { modifiedAt, valueIs } from './batch.ts';
import { batchKeysMax } from './capabilities.ts';
import { EtcdChunkWriter, type WriterContext } from './chunk-writer.ts';
import { keyFromBuffer, keyToBuffer, rangeWithout } from './codec.ts';
import { fenceOf, fenceValue } from './control.ts';
import { toKeyferryError } from './errors.ts';
import { lookUp } from './look-up.ts';
import { readMarks, WriterMarks } from './marks.ts';
import { readPages } from './pages.ts';
import { Origins, Restorer } from './restore.ts';

export interface ControlContext extends WriterContext {
  readonly migration: MigrationId;
  readonly reserved: KeyRange;
  readonly nowMs: () => number;
}

export class EtcdTargetControl implements TargetControl {
  private readonly context: ControlContext;
  private readonly origins: Origins;
  private readonly restorer: Restorer;

  constructor(context: ControlContext) {
    this.context = context;
    this.origins = new Origins(context);
    this.restorer = new Restorer(
      { ...context, writeUnder: (epoch, request) => this.writeUnder(epoch, request) },
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
    const key = this.context.keys.epoch;
    for (;;) {
      const { fence: current, revision } = await this.readFenceAt(key);
      if (current !== null && compareFences(epoch, current) <= 0) return { kind: 'refused', current };
      const { succeeded } = await this.write({
        compare: [modifiedAt(key, revision)],
        success: [{ request_put: { key, value: fenceValue(epoch) } }],
      });
      if (succeeded) return { kind: 'raised' };
    }
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { store, client, keys } = this.context;
    const key = keys.fence(chunk);
    for (;;) {
      const read = await client.readTxn({
        success: [{ request_range: { key } }, { request_range: { key: keys.epoch } }],
      });
      const [held, epochHeld] = read.responses.map(({ response_range }) => response_range.kvs[0]);
      const current = fenceOf(store, held);
      const currentEpoch = fenceOf(store, epochHeld);
      const isHigher = current === null || compareFences(fence, current) > 0;
      if (!isHigher || currentEpoch === null || compareFences(epoch, currentEpoch) !== 0) {
        return { kind: 'refused', fence: current, epoch: currentEpoch };
      }
      const { succeeded } = await this.write({
        compare: [modifiedAt(key, held?.mod_revision ?? null), valueIs(keys.epoch, fenceValue(epoch))],
        success: [{ request_put: { key, value: fenceValue(fence) } }],
      });
      if (!succeeded) continue;
      const marks = new WriterMarks(client, keys.chunkMarks(chunk, fence.attempt));
      return { kind: 'claimed', writer: new EtcdChunkWriter(this.context, { chunk, fence, epoch }, marks) };
    }
  }

  /** Marks are read first, then the range as it was right after: what was written meanwhile is not among them. */
  async *listCreated(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { client, keys, reserved } = this.context;
    const { revisions, readAt } = await readMarks(client, keys.marks);
    const options = { pageKeysMax, revision: String(readAt), keysOnly: true };
    for (const readable of rangeWithout(range, reserved)) {
      yield* readPages(client, readable, options, ({ kvs }) => {
        const created: CreatedRecord[] = [];
        for (const { key, version, mod_revision } of kvs) {
          // Version 1: the key was not there before. A record that was overwritten is not undone by removing it.
          const isOurs = version === '1' && revisions.has(mod_revision);
          if (isOurs) created.push({ key: keyFromBuffer(key), version: mod_revision as Version });
        }
        return created;
      });
    }
  }

  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const { limits } = this.context;
    const outcomes: RemoveOutcome[] = [];
    for (let at = 0; at < records.length; at += limits.records) {
      const part = records.slice(at, at + limits.records);
      const { responses } = await this.writeUnder(epoch, { success: part.map(removal) });
      for (const { response_txn } of responses) {
        const isThere = (response_txn.responses[0]?.response_range?.kvs.length ?? 0) > 0;
        outcomes.push(response_txn.succeeded ? 'removed' : isThere ? 'changed' : 'absent');
      }
    }
    if (records.length === 0) await this.writeUnder(epoch, {});
    return outcomes;
  }

  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    return this.origins.of(await lookUp(this.context, keys));
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    if (restorations.length === 0) await this.writeUnder(epoch, {});
    return this.restorer.restore(restorations, epoch);
  }

  /** In the order in which they protect: nobody can claim under this epoch, so fences go first and marks last. */
  async dropControl(epoch: Fence): Promise<void> {
    const { client, keys } = this.context;
    await this.writeUnder(epoch, {});
    for (const range of [keys.fences, keys.tails, keys.tombs, keys.origins, keys.gone, keys.backs, keys.marks]) {
      const options = { pageKeysMax: dropKeysMax, revision: null, keysOnly: true };
      for await (const ends of readPages(client, range, options, ({ kvs }) => cutEvery(batchKeysMax, kvs))) {
        for (const [first, last] of ends) {
          // A few at a time: all deletes of a request are one revision, and a mirror replays it as one transaction.
          const range_end = Buffer.concat([last.key, zero]);
          await this.writeUnder(epoch, { success: [{ request_delete_range: { key: first.key, range_end } }] });
        }
      }
    }
  }

  async readDone(): Promise<string | null> {
    const { kvs } = await this.context.client.range({ key: this.context.keys.done });
    return kvs[0]?.value.toString('utf8') ?? null;
  }

  async writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const key = this.context.keys.done;
    const put = { request_put: { key, value: Buffer.from(marker ?? '', 'utf8') } };
    await this.writeUnder(epoch, { success: [marker === null ? { request_delete_range: { key } } : put] });
  }

  private async readFenceAt(key: Buffer): Promise<{ readonly fence: Fence | null; readonly revision: string | null }> {
    const { kvs } = await this.context.client.range({ key });
    return { fence: fenceOf(this.context.store, kvs[0]), revision: kvs[0]?.mod_revision ?? null };
  }

  /**
   * Under further conditions, if the request has any: `succeeded` is false when one of those does not hold.
   * @throws {KeyferryError} `fence.lost` when the epoch is another one; nothing was done then.
   */
  private async writeUnder(epoch: Fence, { compare = [], success = [] }: ITxnRequest): Promise<ITxnResponse> {
    const { store, keys, migration } = this.context;
    const response = await this.write({
      compare: [valueIs(keys.epoch, fenceValue(epoch)), ...compare],
      success,
      failure: [{ request_range: { key: keys.epoch } }],
    });
    if (response.succeeded) return response;
    const held = fenceOf(store, response.responses[0]?.response_range.kvs[0]);
    if (compare.length > 0 && held !== null && compareFences(held, epoch) === 0) return response;
    throw new KeyferryError('fence.lost', { chunk: `all of ${migration}` });
  }

  private async write(request: ITxnRequest): Promise<ITxnResponse> {
    try {
      return await this.context.client.writeTxn(request);
    } catch (error) {
      throw toKeyferryError(this.context.store, error);
    }
  }
}

const zero = Buffer.from([0]);
const dropKeysMax = 1000;

function removal({ key, version }: CreatedRecord) {
  const wire = keyToBuffer(key);
  return {
    request_txn: {
      compare: [modifiedAt(wire, version)],
      success: [{ request_delete_range: { key: wire } }],
      failure: [{ request_range: { key: wire, keys_only: true } }],
    },
  };
}

/** First and last of each so many, in order. */
function cutEvery<T>(many: number, items: readonly T[]): readonly (readonly [T, T])[] {
  const ends: [T, T][] = [];
  for (let at = 0; at < items.length; at += many) {
    const part = items.slice(at, at + many);
    ends.push([part[0] as T, part.at(-1) as T]);
  }
  return ends;
}
