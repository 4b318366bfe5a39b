/**
 * What carries a feed's changes into etcd v3: changes, tombstones and position in one transaction.
 *
 *     if    the tail's record is at the revision at which this owner left it, and the epoch is mine
 *     then  put the record anew (fence, sequence, position); put or delete each key, and its tombstone
 *     else  read record and epoch
 *
 * The record is put by every write, so a request that comes late finds it moved, and does nothing. One whose answer was lost
 * is known by its sequence. Changes are not nested: they have no condition of their own, and a server checks rights and
 * its quota for those of the outer list in all releases (batch.ts says what it overlooks).
 *
 * Changes that are too large for one request are several; the position is put with the last one.
 */
import type { IKeyValue, IRequestOp, IResponseOp } from 'etcd3';
import {
  compareFences,
  invariant,
  keyForDisplay,
  KeyferryError,
  type Fence,
  type Position,
  type TailCapabilities,
  type TailChange,
  type TailClaim,
  type TailControl,
  type TailName,
  type TailOutcome,
  type TailRecord,
  type TailWriter,
  type Version,
} from '@keyferry/core';
import { tailFromText, tailToText, type HeldTail } from '../tail-record.ts';
import { modifiedAt, requestSize, refusalOf, valueIs } from './batch.ts';
import { requestBytesMax } from './capabilities.ts';
import type { WriterContext } from './chunk-writer.ts';
import { keyFromBuffer, keyToBuffer } from './codec.ts';
import { fenceOf, fenceValue } from './control.ts';
import { isLeaseNotFound, isTooLarge, isTooManyOperations, toKeyferryError } from './errors.ts';
import type { LeaseLookup } from './leases.ts';
import { noLease } from './view.ts';

/** Of 128 operations, one is the record's and two are each change's. */
const changesMax = 63;

export class EtcdTailControl implements TailControl {
  readonly capabilities: TailCapabilities = { atomic: true, fencing: true, changesMax };
  private readonly context: WriterContext;

  constructor(context: WriterContext) {
    this.context = context;
  }

  async readTail(tail: TailName): Promise<TailRecord | null> {
    const { store, client, keys } = this.context;
    const held = tailOf(store, (await client.range({ key: keys.tail(tail) })).kvs[0]);
    return held === null ? null : { fence: held.fence, position: held.position };
  }

  async claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { store, client, keys } = this.context;
    const key = keys.tail(tail);
    for (;;) {
      const { responses } = await client.readTxn({
        success: [{ request_range: { key } }, { request_range: { key: keys.epoch } }],
      });
      const [kv, epochHeld] = responses.map(({ response_range }) => response_range.kvs[0]);
      const held = tailOf(store, kv);
      const currentEpoch = fenceOf(store, epochHeld);
      const isHigher = held === null || compareFences(fence, held.fence) > 0;
      if (!isHigher || currentEpoch === null || compareFences(epoch, currentEpoch) !== 0) {
        return { kind: 'refused', fence: held?.fence ?? null, epoch: currentEpoch };
      }
      const claimed: HeldTail = { fence, sequence: 0, position: held?.position ?? null };
      const { succeeded, header } = await this.write({
        compare: [modifiedAt(key, kv?.mod_revision ?? null), valueIs(keys.epoch, fenceValue(epoch))],
        success: [{ request_put: { key, value: textOf(claimed) } }],
      });
      if (!succeeded) continue;
      const writer = new EtcdTailWriter(this.context, tail, epoch, claimed, header.revision);
      return { kind: 'claimed', writer, position: claimed.position };
    }
  }

  private async write(request: Parameters<WriterContext['client']['writeTxn']>[0]) {
    try {
      return await this.context.client.writeTxn(request);
    } catch (error) {
      throw toKeyferryError(this.context.store, error);
    }
  }
}

class EtcdTailWriter implements TailWriter {
  private readonly context: WriterContext;
  private readonly tail: TailName;
  private readonly key: Buffer;
  private readonly epoch: Fence;
  /** As this owner left it. */
  private held: HeldTail;
  private revision: string;
  /** What the server is known to take; lowered when it refuses. */
  private readonly limits = { changes: changesMax, bytes: requestBytesMax };

  constructor(context: WriterContext, tail: TailName, epoch: Fence, held: HeldTail, revision: string) {
    this.context = context;
    this.tail = tail;
    this.key = context.keys.tail(tail);
    this.epoch = epoch;
    this.held = held;
    this.revision = revision;
  }

  async apply(changes: readonly TailChange[], position: Position | null): Promise<readonly TailOutcome[]> {
    invariant(changes.length <= changesMax, `${changes.length} changes at once`);
    const outcomes = Array.from<TailOutcome>({ length: changes.length });
    const left: number[] = [];
    for (const [index, change] of changes.entries()) {
      const detail = refusalOf(change, this.context.keys);
      if (detail === null) left.push(index);
      else outcomes[index] = { kind: 'refused', detail };
    }
    for (;;) {
      const part = this.cut(changes, left);
      const isLast = part.length === left.length;
      try {
        const revision = await this.send(changes, part, isLast ? position : null);
        for (const index of part) {
          const isPut = changes[index]?.kind === 'put';
          outcomes[index] = isPut ? { kind: 'written', version: revision as Version } : { kind: 'deleted' };
        }
        left.splice(0, part.length);
        if (isLast) return outcomes;
      } catch (error) {
        const refused = this.lowerLimits(error, part);
        if (refused === null) continue;
        outcomes[refused] = { kind: 'refused', detail: 'the server says that the request is too large' };
        left.shift();
      }
    }
  }

  /** As many of the first as fit one request. */
  private cut(changes: readonly TailChange[], left: readonly number[]): readonly number[] {
    let bytes = 0;
    let count = 0;
    for (const index of left.slice(0, this.limits.changes)) {
      bytes += requestSize(changes[index] as TailChange, this.context.keys);
      if (count > 0 && bytes > this.limits.bytes) break;
      count += 1;
    }
    return left.slice(0, count);
  }

  /**
   * After the server refused a request as a whole, because its limits are below the defaults.
   * @returns the change that no request can carry; null: less at once may do
   * @throws the error, where it is another one
   */
  private lowerLimits(error: unknown, part: readonly number[]): number | null {
    const [only] = part;
    if (part.length === 1 && only !== undefined && isTooLarge(error)) return only;
    if (part.length > 1 && isTooManyOperations(error)) this.limits.changes = Math.ceil(part.length / 2);
    else if (part.length > 1 && isTooLarge(error)) this.limits.changes = Math.ceil(part.length / 2);
    else throw toKeyferryError(this.context.store, error);
    return null;
  }

  /** @returns the revision of the transaction */
  private async send(
    changes: readonly TailChange[],
    part: readonly number[],
    position: Position | null,
  ): Promise<string> {
    const { client, keys, leases } = this.context;
    for (let tries = 1; ; tries += 1) {
      const { fence, sequence, position: before } = this.held;
      const next: HeldTail = { fence, sequence: sequence + 1, position: position ?? before };
      const lookup = await leases.leasesFor(changes, part);
      const operations = part.flatMap((index) => this.operationsOf(changes[index] as TailChange, lookup));
      try {
        const { succeeded, header, responses } = await client.writeTxn({
          compare: [modifiedAt(this.key, this.revision), valueIs(keys.epoch, fenceValue(this.epoch))],
          success: [{ request_put: { key: this.key, value: textOf(next) } }, ...operations],
          failure: [{ request_range: { key: this.key } }, { request_range: { key: keys.epoch } }],
        });
        if (succeeded) {
          this.held = next;
          this.revision = header.revision;
          return header.revision;
        }
        this.adopt(responses, next);
      } catch (error) {
        if (lookup === null || tries > 1 || !isLeaseNotFound(error)) throw error;
        leases.forget(lookup);
      }
    }
  }

  /**
   * The record has moved. Its own write did it, if that is the one whose answer was lost; then the same is sent once more,
   * from there on.
   * @throws {KeyferryError} `fence.lost`
   */
  private adopt(responses: readonly IResponseOp[], sent: HeldTail): void {
    const { store } = this.context;
    const [kv, epochHeld] = responses.map(({ response_range }) => response_range.kvs[0]);
    const held = tailOf(store, kv);
    const epoch = fenceOf(store, epochHeld);
    const isOwn = held !== null && compareFences(held.fence, sent.fence) === 0 && held.sequence === sent.sequence;
    if (!isOwn || epoch === null || compareFences(epoch, this.epoch) !== 0) {
      throw new KeyferryError('fence.lost', { chunk: `${this.tail} tail` });
    }
    this.held = held;
    this.revision = (kv as IKeyValue).mod_revision;
  }

  private operationsOf(change: TailChange, lookup: LeaseLookup | null): IRequestOp[] {
    const { keys } = this.context;
    const key = keyToBuffer(change.key);
    const tomb = keys.tomb(change.key);
    if (change.kind === 'delete') {
      const remove = { request_delete_range: { key } };
      return this.tail === 'forward' ? [remove, { request_put: { key: tomb } }] : [remove];
    }
    const value = change.value as Buffer; // the encoder takes any Uint8Array
    const lease = change.expiresAtMs === null || lookup === null ? noLease : lookup.leaseFor(change.expiresAtMs);
    const put = { request_put: lease === noLease ? { key, value } : { key, value, lease } };
    return [put, { request_delete_range: { key: tomb } }];
  }
}

const textOf = (held: HeldTail): Buffer => Buffer.from(tailToText(held), 'utf8');

function tailOf(store: string, kv: IKeyValue | undefined): HeldTail | null {
  if (kv === undefined) return null;
  const held = tailFromText(kv.value.toString('utf8'));
  if (held !== null) return held;
  throw new KeyferryError('fence.unreadable', { store, where: keyForDisplay(keyFromBuffer(kv.key)) });
}
