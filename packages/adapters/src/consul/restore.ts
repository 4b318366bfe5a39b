/**
 * Going back on Consul: before-images are put where what the migration wrote, or its deletion, still stands.
 *
 *     read the records, the notes of what is gone and the tombstones ─► core decides (machines/restoration.ts) ─►
 *     one transaction under the epoch: key, note and tombstone are as they were read, then put or delete
 *
 * Where one changed in between nothing is done, and all of the part are read again. A record that is put back is marked only if it was the migration's own before, so that the
 * image of an earlier attempt may go over it; a foreign one must not look like one of ours. Hence two transactions for a
 * part that has both.
 */
import { randomUUID } from 'node:crypto';
import {
  restoreStep,
  type BeforeImage,
  type Fence,
  type Key,
  type RecordOrigin,
  type Restoration,
  type RestoreOutcome,
  type RestoreStep,
} from '@keyferry/core';
import type { Transaction } from './api.ts';
import { operationsMax } from './capabilities.ts';
import type { WriterContext } from './chunk-writer.ts';
import { noBytes, recordOf, type ConsulEntry } from './entry.ts';
import { lookUp } from './look-up.ts';
import { readMarks } from './marks.ts';
import { bytesOf, plain, type Operation } from './operations.ts';

export interface RestoreContext extends WriterContext {
  readonly nowMs: () => number;
  /** @throws {KeyferryError} `fence.lost`. Places in the answer are those of `operations`. */
  readonly writeUnder: (epoch: Fence, operations: readonly Operation[]) => Promise<Transaction>;
}

interface Judged {
  readonly index: number;
  readonly own: boolean;
  readonly outcome: RestoreOutcome;
  readonly operations: readonly Operation[];
}

/** A record takes 5 operations at most; beside them are the check of the epoch and the mark. */
const restoredAtOnce = Math.floor((operationsMax - 2) / 5);
const guardBytes = 4096;

/** Whose a record is, by what the migration's marks say. */
export class Origins {
  private readonly context: WriterContext;
  private written: ReadonlySet<number> = new Set();
  private putBack: ReadonlySet<number> = new Set();
  private readAt = 0;

  constructor(context: WriterContext) {
    this.context = context;
  }

  /** Marks are read again when there is a record that is newer than what is known. */
  async of(found: readonly (ConsulEntry | null)[]): Promise<readonly (BeforeImage | null)[]> {
    if (found.some((each) => each !== null && each.modifyIndex > this.readAt)) await this.load();
    const { form } = this.context;
    return found.map((each) => (each === null ? null : { ...recordOf(each, form), origin: this.originOf(each) }));
  }

  private async load(): Promise<void> {
    const { api, keys } = this.context;
    const written = await readMarks(api, keys.marks);
    const putBack = await readMarks(api, keys.backs);
    [this.written, this.putBack, this.readAt] = [written.indexes, putBack.indexes, written.readAt];
  }

  private originOf({ createIndex, modifyIndex, session }: ConsulEntry): RecordOrigin {
    if (session !== undefined) return 'foreign';
    if (this.putBack.has(modifyIndex)) return 'overwritten';
    if (!this.written.has(modifyIndex)) return 'foreign';
    // A record that was overwritten is not undone by removing it.
    return createIndex === modifyIndex ? 'created' : 'overwritten';
  }
}

export class Restorer {
  private readonly context: RestoreContext;
  private readonly origins: Origins;

  constructor(context: RestoreContext, origins: Origins) {
    this.context = context;
    this.origins = origins;
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    const outcomes = Array.from<RestoreOutcome>({ length: restorations.length });
    let open = restorations.map((_, index) => index);
    while (open.length > 0) {
      const part = open.slice(0, restoredAtOnce);
      const again = await this.restorePart(restorations, part, epoch, outcomes);
      open = [...again, ...open.slice(part.length)];
    }
    return outcomes;
  }

  /** @returns those that have no outcome yet */
  private async restorePart(
    restorations: readonly Restoration[],
    part: readonly number[],
    epoch: Fence,
    outcomes: RestoreOutcome[],
  ): Promise<readonly number[]> {
    const judged = await this.judge(restorations, part, outcomes);
    const again: number[] = [];
    for (const own of [false, true]) {
      const group = judged.filter((each) => each.own === own);
      const fitting = this.cutToSize(group);
      again.push(...group.slice(fitting.length).map(({ index }) => index));
      const done = fitting.length === 0 || (await this.write(fitting, own, epoch));
      for (const each of fitting) {
        if (done) outcomes[each.index] = each.outcome;
        else again.push(each.index);
      }
    }
    return again;
  }

  private async judge(
    restorations: readonly Restoration[],
    part: readonly number[],
    outcomes: RestoreOutcome[],
  ): Promise<readonly Judged[]> {
    const { api, keys, nowMs } = this.context;
    const wanted = part.map((index) => (restorations[index] as Restoration).image.key);
    const all = [...wanted, ...wanted.map((key) => keys.gone(key)), ...wanted.map((key) => keys.tomb(key))];
    const found = await lookUp(api, all);
    const present = await this.origins.of(found.slice(0, part.length));
    const judged: Judged[] = [];
    for (const [i, index] of part.entries()) {
      const restoration = restorations[index] as Restoration;
      const [record = null, note = null, tomb = null] = [found[i], found[part.length + i], found[2 * part.length + i]];
      const step = restoreStep(restoration, present[i] ?? null, note !== null && tomb === null, nowMs());
      if (step.kind === 'leave') outcomes[index] = step.outcome;
      else {
        const operations = this.operationsOf(restoration.image, step, record, note, tomb);
        judged.push({ index, own: step.kind === 'put' && step.own, outcome: step.outcome, operations });
      }
    }
    return judged;
  }

  private operationsOf(
    { key, value, origin }: BeforeImage,
    step: Exclude<RestoreStep, { kind: 'leave' }>,
    record: ConsulEntry | null,
    note: ConsulEntry | null,
    tomb: ConsulEntry | null,
  ): readonly Operation[] {
    const { operations, keys, form } = this.context;
    const as = (at: Key, entry: ConsulEntry | null): Operation =>
      entry === null ? operations.checkAbsent(at) : operations.checkIndex(at, entry.modifyIndex);
    const gone = keys.gone(key);
    return [
      as(key, record),
      as(gone, note),
      as(keys.tomb(key), tomb),
      step.kind === 'remove' ? operations.delete(key) : operations.set(key, form.toStored(value)),
      ...(origin === 'foreign' ? [operations.delete(gone)] : []),
    ];
  }

  /** As many of the first as fit a transaction; one at least. */
  private cutToSize(group: readonly Judged[]): readonly Judged[] {
    let bytes = guardBytes;
    const over = group.findIndex(({ operations }, i) => {
      bytes += operations.reduce((sum, each) => sum + bytesOf(each), 0);
      return i > 0 && bytes > this.context.transactionBytes;
    });
    return over < 0 ? group : group.slice(0, over);
  }

  /** @returns whether they were done: all of them, or none because one is no longer as it was read */
  private async write(group: readonly Judged[], own: boolean, epoch: Fence): Promise<boolean> {
    const { keys, operations } = this.context;
    const mark = own ? [operations.set(keys.back(randomUUID()), plain(noBytes))] : [];
    const wanted = [...mark, ...group.flatMap((each) => each.operations)];
    return (await this.context.writeUnder(epoch, wanted)).kind === 'done';
  }
}
