/**
 * The one backfill write on Consul: guarded puts and deletes under the fence and epoch of a claim, one outcome a record.
 *
 *     transaction ──done──► written                                 ┌─► its outcome
 *          └──refused: these conditions──► read these records ──────┤
 *                                                                   └─► the condition holds by now ─┐
 *          ▲── the others, under a fresh mark ◄─────────────────────────────────────────────────────┘
 *
 * A failed write leaves nothing to clean up: either nothing of a transaction happened, or all of it with its mark, and
 * the repeat finds its own records by that mark.
 */
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
import type { ConsulApi, Transaction } from './api.ts';
import { cutBatch, type BatchContext, type PreparedChange } from './batch.ts';
import { attemptValue } from './control-keys.ts';
import { noBytes, recordOf, versionOf, type ConsulEntry } from './entry.ts';
import { lookUp } from './look-up.ts';
import type { WriterMarks } from './marks.ts';
import { plain } from './operations.ts';

export interface WriterContext extends BatchContext {
  readonly store: string;
  readonly api: ConsulApi;
}

export interface Claim {
  readonly chunk: ChunkId;
  readonly fence: Fence;
  /** At which the target holds fence and epoch of this claim. */
  readonly fenceIndex: number;
  readonly epochIndex: number;
}

/** What goes into one transaction. */
interface Cut {
  readonly part: readonly PreparedChange[];
  readonly checksTombs: boolean;
}

/** Places in a transaction: of fence and epoch, and behind the mark that of the sign of tombstones, where it is checked. */
const guards = [0, 1] as const;
const signPlace = 3;

export class ConsulChunkWriter implements ChunkWriter {
  private readonly context: WriterContext;
  private readonly claim: Claim;
  private readonly marks: WriterMarks;
  private sequence = 0;
  /** A tombstone was written once: from then on each record's is looked for. */
  private checksTombs = false;

  constructor(context: WriterContext, claim: Claim, marks: WriterMarks) {
    this.context = context;
    this.claim = claim;
    this.marks = marks;
  }

  async write(changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]> {
    const outcomes = Array.from<ChangeOutcome>({ length: changes.length });
    const { attempt } = this.claim.fence;
    const refuse = (i: number, detail: string): void => {
      outcomes[i] = { kind: 'refused', detail };
    };
    for (;;) {
      const open = [...changes.keys()].filter((i) => outcomes[i] === undefined);
      if (open.length === 0) return outcomes;
      const { checksTombs } = this;
      for (const part of cutBatch(this.context, changes, { attempt, open, checksTombs }, refuse)) {
        // The sign of tombstones has come: what is left is cut anew.
        if (!(await this.send(changes, { part, checksTombs }, outcomes))) break;
      }
    }
  }

  /** @returns false where there are tombstones and they were not looked for: what has no outcome was not done */
  private async send(
    changes: readonly GuardedChange[],
    { part, checksTombs }: Cut,
    outcomes: ChangeOutcome[],
  ): Promise<boolean> {
    let left = part;
    while (left.length > 0) {
      const answer = await this.transact({ part: left, checksTombs });
      if (answer.kind === 'done') {
        this.noteDone(answer.entries, changes, left, outcomes);
        return true;
      }
      if (guards.some((at) => answer.failed.has(at)))
        throw new KeyferryError('fence.lost', { chunk: this.claim.chunk });
      if (!checksTombs && answer.failed.has(signPlace)) {
        this.checksTombs = true;
        return false;
      }
      const failed = failedOf({ part: left, checksTombs }, answer.failed);
      const settled = await this.settle(changes, failed, outcomes);
      left = left.filter((each) => !settled.has(each));
    }
    return true;
  }

  private async transact({ part, checksTombs }: Cut): Promise<Transaction> {
    const { api, keys, operations } = this.context;
    const { chunk, fence, fenceIndex, epochIndex } = this.claim;
    // A fresh mark for each sending: one that was lost may still be applied, and then has its own.
    this.sequence += 1;
    try {
      return await api.writeTransaction([
        operations.checkIndex(keys.fence(chunk), fenceIndex),
        operations.checkIndex(keys.epoch, epochIndex),
        operations.set(keys.mark(chunk, fence, this.sequence), plain(noBytes)),
        ...(checksTombs ? [] : [operations.checkAbsent(keys.entombed)]),
        ...part.flatMap((each) => each.operations),
      ]);
    } catch (error) {
      this.marks.noteFailure();
      throw error;
    }
  }

  private noteDone(
    entries: readonly ConsulEntry[],
    changes: readonly GuardedChange[],
    part: readonly PreparedChange[],
    outcomes: ChangeOutcome[],
  ): void {
    const [mark] = entries;
    if (mark !== undefined) this.marks.add(mark.modifyIndex);
    const versions = new Map(entries.map((entry) => [entry.key, versionOf(entry)]));
    const deleted: ChangeOutcome = { kind: 'deleted' };
    for (const { index } of part) {
      const { kind, key } = changes[index] as GuardedChange;
      outcomes[index] = kind === 'delete' ? deleted : { kind: 'written', version: versions.get(key) as Version };
    }
  }

  /** @returns those that have their outcome; for the others the condition holds by now */
  private async settle(
    changes: readonly GuardedChange[],
    failed: readonly PreparedChange[],
    outcomes: ChangeOutcome[],
  ): Promise<ReadonlySet<PreparedChange>> {
    const { api, keys } = this.context;
    const changeOf = ({ index }: PreparedChange) => changes[index] as GuardedChange;
    const notes = failed.map(changeOf).map(({ kind, key }) => (kind === 'delete' ? keys.gone(key) : keys.tomb(key)));
    const found = await lookUp(api, [...failed.map((each) => changeOf(each).key), ...notes]);
    if (found.some((entry) => entry !== null && this.marks.mayLack(entry.modifyIndex))) await this.marks.load();
    const settled = new Set<PreparedChange>();
    for (const [i, each] of failed.entries()) {
      const change = changeOf(each);
      const [record = null, note = null] = [found[i], found[failed.length + i]];
      const outcome =
        change.kind === 'put' ? this.putOutcome(change, record, note) : this.deleteOutcome(change.expect, record, note);
      if (outcome === null) continue;
      outcomes[each.index] = outcome;
      settled.add(each);
    }
    return settled;
  }

  private putOutcome(put: GuardedPut, entry: ConsulEntry | null, tomb: ConsulEntry | null): ChangeOutcome | null {
    const expected = put.expect === 'absent' ? null : put.expect.version;
    if (entry === null) {
      if (tomb !== null) return { kind: 'tombstoned' };
      return expected === null ? null : { kind: 'missing' };
    }
    const { version, value } = recordOf(entry, this.context.form);
    const equal = bytesEqual(value, put.value);
    if (equal && this.marks.has(entry.modifyIndex)) return { kind: 'already-written', version };
    if (expected !== version) return { kind: 'present', version, equal };
    return tomb === null ? null : { kind: 'tombstoned' };
  }

  /** The record was not there at its version; the note tells whether it is gone by this attempt. */
  private deleteOutcome(
    { version: expected }: { readonly version: Version },
    entry: ConsulEntry | null,
    note: ConsulEntry | null,
  ): ChangeOutcome | null {
    if (entry === null) {
      const isOwn = note !== null && bytesEqual(note.value, attemptValue(this.claim.fence.attempt));
      return { kind: isOwn ? 'deleted' : 'missing' };
    }
    const version = versionOf(entry);
    return version === expected ? null : { kind: 'present', version, equal: false };
  }
}

/** The changes that the failed operations belong to. */
function failedOf({ part, checksTombs }: Cut, failed: ReadonlySet<number>): readonly PreparedChange[] {
  let at = checksTombs ? signPlace : signPlace + 1;
  return part.filter(({ operations }) => {
    const first = at;
    at += operations.length;
    return operations.some((_, i) => failed.has(first + i));
  });
}
