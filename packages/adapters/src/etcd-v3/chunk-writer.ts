/**
 * The one backfill write on etcd v3: guarded puts and deletes under the fence and epoch of a claim, one outcome a record.
 *
 * A failed write leaves nothing to clean up: either nothing of a transaction happened, or all of it with its mark, and
 * the repeat finds its own records by that mark. Nothing is repeated here except what the server refused as a whole
 * before it did anything: a lease that is gone, a request above a lower limit than the default.
 */
import type { IKeyValue, ITxnResponse } from 'etcd3';
import {
  bytesEqual,
  KeyferryError,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type Fence,
  type GuardedChange,
  type GuardedPut,
  type Version,
} from '@keyferry/core';
import { cutBatch, deleteOperation, putOperation, rightsProbe, valueIs, type BatchLimits } from './batch.ts';
import type { EtcdClient } from './client.ts';
import { attemptValue, fenceOf, fenceValue, type ControlKeys } from './control.ts';
import { isLeaseNotFound, isTooLarge, isTooManyOperations, toKeyferryError } from './errors.ts';
import type { LeaseLookup, LeasePool } from './leases.ts';
import type { WriterMarks } from './marks.ts';
import { noLease } from './view.ts';

export interface WriterContext {
  readonly store: string;
  readonly client: EtcdClient;
  readonly keys: ControlKeys;
  readonly leases: LeasePool;
  readonly limits: BatchLimits;
  /** The server may have users with rights to some keys only. */
  readonly hasUsers: boolean;
}

/** Below this, parts of one record each would not be smaller either. */
const limitBytesMin = 16 * 1024;

export interface Claim {
  readonly chunk: ChunkId;
  readonly fence: Fence;
  readonly epoch: Fence;
}

export class EtcdChunkWriter implements ChunkWriter {
  private readonly context: WriterContext;
  private readonly claim: Claim;
  private readonly marks: WriterMarks;
  private readonly guard;
  private sequence = 0;
  private rightsProven: Promise<void> | null = null;

  constructor(context: WriterContext, claim: Claim, marks: WriterMarks) {
    this.context = context;
    this.claim = claim;
    this.marks = marks;
    const { keys } = context;
    const fenceKey = keys.fence(claim.chunk);
    this.guard = {
      compare: [valueIs(fenceKey, fenceValue(claim.fence)), valueIs(keys.epoch, fenceValue(claim.epoch))],
      failure: [{ request_range: { key: fenceKey } }, { request_range: { key: keys.epoch } }],
    };
  }

  async write(changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]> {
    const outcomes = Array.from<ChangeOutcome>({ length: changes.length });
    const { keys, limits } = this.context;
    const parts = cutBatch(changes, keys, limits, (i, detail) => (outcomes[i] = { kind: 'refused', detail }));
    if (this.context.hasUsers) await this.proveRights(changes, parts[0] ?? []);
    for (const part of parts) await this.send(changes, part, outcomes);
    return outcomes;
  }

  private async send(
    changes: readonly GuardedChange[],
    part: readonly number[],
    outcomes: ChangeOutcome[],
  ): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const leases = await this.context.leases.leasesFor(changes, part);
      try {
        const response = await this.context.client.writeTxn(this.request(changes, part, leases));
        return await this.judge(response, changes, part, outcomes);
      } catch (error) {
        if (leases !== null && tries === 1 && isLeaseNotFound(error)) {
          this.context.leases.forget(leases);
          continue;
        }
        if (isTooLarge(error) || isTooManyOperations(error)) return this.sendLess(error, changes, part, outcomes);
        this.marks.noteFailure();
        throw toKeyferryError(this.context.store, error);
      }
    }
  }

  /** The server's limits are lower than the defaults: it refused the whole request. All later batches are cut lower. */
  private async sendLess(
    error: unknown,
    changes: readonly GuardedChange[],
    part: readonly number[],
    outcomes: ChangeOutcome[],
  ): Promise<void> {
    const [only] = part;
    if (part.length === 1 && only !== undefined && isTooLarge(error)) {
      outcomes[only] = { kind: 'refused', detail: 'the server says that the request is too large' };
      return;
    }
    if (part.length === 1) throw toKeyferryError(this.context.store, error);
    const { limits } = this.context;
    const half = Math.ceil(part.length / 2);
    if (isTooManyOperations(error)) limits.records = Math.min(limits.records, half);
    else limits.bytes = Math.min(limits.bytes, Math.max(limitBytesMin, limits.bytes / 2));
    await this.send(changes, part.slice(0, half), outcomes);
    await this.send(changes, part.slice(half), outcomes);
  }

  private request(changes: readonly GuardedChange[], part: readonly number[], leases: LeaseLookup | null) {
    const { keys } = this.context;
    const { chunk, fence } = this.claim;
    // A fresh mark for each sending: one that was lost may still be applied, and then has its own.
    this.sequence += 1;
    const mark = { request_put: { key: keys.mark(chunk, fence, this.sequence) } };
    const records = part.map((i) => {
      const change = changes[i] as GuardedChange;
      if (change.kind === 'delete') return deleteOperation(change, keys, fence.attempt);
      const { expiresAtMs } = change;
      const lease = expiresAtMs === null || leases === null ? noLease : leases.leaseFor(expiresAtMs);
      return putOperation(change, keys, lease);
    });
    return { compare: this.guard.compare, success: [mark, ...records], failure: this.guard.failure };
  }

  private async judge(
    response: ITxnResponse,
    changes: readonly GuardedChange[],
    part: readonly number[],
    outcomes: ChangeOutcome[],
  ): Promise<void> {
    if (!response.succeeded) throw this.fenceLost(response);
    const { revision } = response.header;
    this.marks.add(revision);
    // One object for the whole batch: all its records share the transaction's revision.
    const written: ChangeOutcome = { kind: 'written', version: revision as Version };
    const deleted: ChangeOutcome = { kind: 'deleted' };
    const failed: { readonly index: number; readonly answer: ITxnResponse }[] = [];
    for (let i = 0; i < part.length; i += 1) {
      const index = part[i] as number;
      const answer = this.answerOf(response, i + 1);
      if (answer.succeeded) outcomes[index] = changes[index]?.kind === 'delete' ? deleted : written;
      else failed.push({ index, answer });
    }
    const records = failed.flatMap(({ answer }) => recordIn(answer) ?? []);
    if (records.some(({ mod_revision }) => this.marks.mayLack(mod_revision))) await this.marks.load();
    for (const { index, answer } of failed) {
      const change = changes[index] as GuardedChange;
      outcomes[index] = change.kind === 'put' ? this.outcomeOf(change, answer) : this.deleteOutcomeOf(answer);
    }
  }

  /** The guard of one record did not hold; its failure branch read the record and its tombstone. */
  private outcomeOf(put: GuardedPut, answer: ITxnResponse): ChangeOutcome {
    const record = recordIn(answer);
    const isTombstoned = (answer.responses[1]?.response_range.kvs.length ?? 0) > 0;
    if (record === undefined) return { kind: isTombstoned ? 'tombstoned' : 'missing' };
    const version = record.mod_revision as Version;
    const equal = bytesEqual(record.value, put.value) && (record.lease === noLease) === (put.expiresAtMs === null);
    if (equal && this.marks.has(version)) return { kind: 'already-written', version };
    const guardHeld = put.expect !== 'absent' && put.expect.version === version;
    return guardHeld ? { kind: 'tombstoned' } : { kind: 'present', version, equal };
  }

  /** The record of a delete was not there at its version; its failure branch read it and the note that it is gone. */
  private deleteOutcomeOf(answer: ITxnResponse): ChangeOutcome {
    const record = recordIn(answer);
    if (record !== undefined) return { kind: 'present', version: record.mod_revision as Version, equal: false };
    const note = answer.responses[1]?.response_range.kvs[0];
    const isOwn = note !== undefined && note.value.equals(attemptValue(this.claim.fence.attempt));
    return { kind: isOwn ? 'deleted' : 'missing' };
  }

  private answerOf({ responses }: ITxnResponse, at: number): ITxnResponse {
    const answer = responses[at]?.response_txn;
    if (answer !== undefined) return answer;
    const detail = `a transaction was answered with ${responses.length} results, and one more was expected`;
    throw new KeyferryError('store.answer-unexpected', { store: this.context.store, detail });
  }

  private fenceLost(response: ITxnResponse): KeyferryError {
    // Read for their form alone: whoever wrote there, this writer stops.
    for (const { response_range } of response.responses) fenceOf(this.context.store, response_range.kvs[0]);
    return new KeyferryError('fence.lost', { chunk: this.claim.chunk });
  }

  /** Once a writer, with its first records: a right that ends within a chunk is not found. */
  private proveRights(changes: readonly GuardedChange[], part: readonly number[]): Promise<void> {
    if (part.length === 0) return Promise.resolve();
    this.rightsProven ??= this.probe(part.map((i) => changes[i] as GuardedChange)).catch((error: unknown) => {
      this.rightsProven = null;
      throw toKeyferryError(this.context.store, error);
    });
    return this.rightsProven;
  }

  private async probe(changes: readonly GuardedChange[]): Promise<void> {
    await this.context.client.writeTxn(rightsProbe(changes));
  }
}

function recordIn(answer: ITxnResponse): IKeyValue | undefined {
  return answer.responses[0]?.response_range.kvs[0];
}
