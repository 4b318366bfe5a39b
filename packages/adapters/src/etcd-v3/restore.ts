/**
 * Going back on etcd v3: before-images are put where what the migration wrote, or its deletion, still stands.
 *
 *     read the records, the notes of what is gone and the tombstones ─► core decides (machines/restoration.ts) ─►
 *     if epoch = mine and the mark is absent
 *     then  put mark, for records that were the migration's own before
 *           record 1:  if key, note and tombstone are as they were read  then put or delete
 *           record 2:  …
 *
 * A record that changed in between is read again: its guard failed and nothing was done to it. A record that is put back
 * is marked only if it was the migration's own before, so that the image of an earlier attempt may go over it; a foreign
 * one must not look like one of ours. Hence two transactions for a page that has both.
 */
import type { IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3';
import {
  restoreStep,
  type BeforeImage,
  type Fence,
  type RecordOrigin,
  type Restoration,
  type RestoreOutcome,
  type RestoreStep,
} from '@keyferry/core';
import { modifiedAt } from './batch.ts';
import { keyToBuffer } from './codec.ts';
import { lookUp, type FoundRecord, type LookUpContext } from './look-up.ts';
import type { WriterContext } from './chunk-writer.ts';
import { readMarks } from './marks.ts';
import { noLease } from './view.ts';

export interface RestoreContext extends WriterContext, LookUpContext {
  /** @throws {KeyferryError} `fence.lost`. False: another of the conditions does not hold. */
  readonly writeUnder: (epoch: Fence, request: ITxnRequest) => Promise<ITxnResponse>;
}

interface Judged {
  readonly index: number;
  readonly image: BeforeImage;
  readonly step: Exclude<RestoreStep, { kind: 'leave' }>;
  readonly recordAt: string | null;
  readonly noteAt: string | null;
  readonly tombAt: string | null;
}

/** Well under a transaction's 128 operations. */
const restoredAtOnce = 50;
const restoredBytesMax = 1_000_000;

export class Origins {
  private readonly context: WriterContext;
  private written: ReadonlySet<string> = new Set();
  private putBack: ReadonlySet<string> = new Set();
  private readAt = 0n;

  constructor(context: WriterContext) {
    this.context = context;
  }

  /** Whose each record is. Marks are read again when there is a record that is newer than what is known. */
  async of(found: readonly (FoundRecord | null)[]): Promise<readonly (BeforeImage | null)[]> {
    const isNewer = (each: FoundRecord | null) => each !== null && BigInt(each.record.version) > this.readAt;
    if (found.some(isNewer)) await this.load();
    return found.map((each) => (each === null ? null : { ...each.record, origin: this.originOf(each) }));
  }

  private async load(): Promise<void> {
    const { client, keys } = this.context;
    const written = await readMarks(client, keys.marks);
    const putBack = await readMarks(client, keys.backs);
    this.written = written.revisions;
    this.putBack = putBack.revisions;
    this.readAt = written.readAt;
  }

  private originOf({ record, writings }: FoundRecord): RecordOrigin {
    if (this.putBack.has(record.version)) return 'overwritten';
    if (!this.written.has(record.version)) return 'foreign';
    // A record that was overwritten is not undone by removing it.
    return writings === '1' ? 'created' : 'overwritten';
  }
}

export class Restorer {
  private readonly context: RestoreContext;
  private readonly origins: Origins;
  private sequence = 0;

  constructor(context: RestoreContext, origins: Origins) {
    this.context = context;
    this.origins = origins;
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    const outcomes = Array.from<RestoreOutcome>({ length: restorations.length });
    let open = restorations.map((_, index) => index);
    while (open.length > 0) open = await this.restorePart(restorations, open, epoch, outcomes);
    return outcomes;
  }

  /** Does the first so many, and says which are left to do. */
  private async restorePart(
    restorations: readonly Restoration[],
    open: readonly number[],
    epoch: Fence,
    outcomes: RestoreOutcome[],
  ): Promise<number[]> {
    const part = cutPart(restorations, open, Math.min(restoredAtOnce, this.context.limits.records >> 1));
    const rest = open.slice(part.length);
    const { revision, judged } = await this.judge(restorations, part, outcomes);
    const own = judged.filter(({ step }) => step.kind === 'put' && step.own);
    const others = judged.filter((each) => !own.includes(each));
    const again: number[] = [];
    for (const [group, marked] of [
      [others, false],
      [own, true],
    ] as const) {
      if (group.length === 0) continue;
      for (const [i, done] of (await this.write(group, epoch, revision, marked)).entries()) {
        const { index, step } = group[i] as Judged;
        if (done) outcomes[index] = step.outcome;
        else again.push(index);
      }
    }
    return [...again, ...rest];
  }

  private async judge(
    restorations: readonly Restoration[],
    part: readonly number[],
    outcomes: RestoreOutcome[],
  ): Promise<{ readonly revision: string; readonly judged: readonly Judged[] }> {
    const { client, keys, nowMs } = this.context;
    const wanted = part.map((index) => restorations[index] as Restoration);
    const wantedKeys = wanted.map(({ image }) => image.key);
    const own = wantedKeys.flatMap((key) => [keys.goneKey(key), keys.tomb(key)]);
    const notes = await client.readTxn({ success: own.map((key) => ({ request_range: { key, keys_only: true } })) });
    const revisionOf = (at: number) => notes.responses[at]?.response_range?.kvs[0]?.mod_revision ?? null;
    const present = await this.origins.of(await lookUp(this.context, wantedKeys));
    const judged: Judged[] = [];
    for (const [i, restoration] of wanted.entries()) {
      const index = part[i] as number;
      const found = present[i] ?? null;
      const [noteAt, tombAt] = [revisionOf(2 * i), revisionOf(2 * i + 1)];
      const step = restoreStep(restoration, found, noteAt !== null && tombAt === null, nowMs());
      if (step.kind === 'leave') outcomes[index] = step.outcome;
      else judged.push({ index, image: restoration.image, step, recordAt: found?.version ?? null, noteAt, tombAt });
    }
    return { revision: notes.header.revision, judged };
  }

  /** @returns for each, whether it was done; if not, what was read no longer holds */
  private async write(
    group: readonly Judged[],
    epoch: Fence,
    revision: string,
    marked: boolean,
  ): Promise<readonly boolean[]> {
    const { keys, leases } = this.context;
    const putBack = group.map(({ step, image }) => (step.kind === 'put' ? image : { expiresAtMs: null }));
    const lookup = await leases.leasesFor(putBack, [...putBack.keys()]);
    this.sequence += 1;
    const mark = keys.back(revision, this.sequence);
    const records = group.map(({ step, image, recordAt, noteAt, tombAt }, i): IRequestOp => {
      const key = keyToBuffer(image.key);
      const expiresAtMs = putBack[i]?.expiresAtMs ?? null;
      const lease = expiresAtMs === null || lookup === null ? noLease : lookup.leaseFor(expiresAtMs);
      const value = image.value as Buffer; // the encoder takes any Uint8Array
      const gone = keys.goneKey(image.key);
      const compare = [modifiedAt(key, recordAt), modifiedAt(gone, noteAt), modifiedAt(keys.tomb(image.key), tombAt)];
      const success: IRequestOp[] =
        step.kind === 'remove'
          ? [{ request_delete_range: { key } }]
          : [{ request_put: lease === noLease ? { key, value } : { key, value, lease } }];
      if (image.origin === 'foreign') success.push({ request_delete_range: { key: gone } });
      return { request_txn: { compare, success, failure: [] } };
    });
    const request = {
      compare: marked ? [modifiedAt(mark, null)] : [],
      success: marked ? [{ request_put: { key: mark } }, ...records] : records,
    };
    const { succeeded, responses } = await this.context.writeUnder(epoch, request).catch((error: unknown) => {
      if (lookup !== null) leases.forget(lookup); // one of them may have been what it refused: the next try asks anew
      throw error;
    });
    if (!succeeded) return group.map(() => false);
    return group.map((_, i) => responses[i + (marked ? 1 : 0)]?.response_txn.succeeded === true);
  }
}

/** As many of the first as fit a request; one at least. */
function cutPart(restorations: readonly Restoration[], open: readonly number[], max: number): readonly number[] {
  const part: number[] = [];
  let bytes = 0;
  for (const index of open) {
    const { key, value } = (restorations[index] as Restoration).image;
    bytes += value.length + requestKeys * key.length;
    if (part.length > 0 && (part.length === max || bytes > restoredBytesMax)) break;
    part.push(index);
  }
  return part;
}

/** How often a key stands in the request that restores it, its note's included. */
const requestKeys = 6;
