/**
 * The backfill write on DynamoDB: guarded puts and deletes under the fence and epoch of a claim, one outcome a record.
 *
 *     creates are sent unseen (the key must be absent)        changes are read first: their condition is what was read
 *                        └──────────────► guarded writes ◄──────────────┘
 *                                 refused? judged by what is there, and sent again if the guard still holds for it
 *
 * Batches of one chunk go one after another: two transactions that meet on its fence would cancel each other.
 */
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import {
  invariant,
  KeyferryError,
  recordBytes,
  recordsEqual,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type Fence,
  type GuardedChange,
  type GuardedDelete,
  type GuardedPut,
  type Key,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import { isAbsent } from './conditions.ts';
import { countAttribute, sameFence, shardOf } from './control-items.ts';
import type { Guard, Step } from './guarded-writes.ts';
import type { Attributes } from './item-text.ts';
import { versionOf } from './items.ts';
import { writesMax } from './limits.ts';
import { recordBytesMaxOf, unfitFor } from './mapping.ts';
import { encodeMark, type MarkEntry, type MarkKind } from './marks.ts';
import { chunkMarks, readMarks } from './read-marks.ts';
import { deleteExactly, putOver, readItems, type TargetContext } from './target-context.ts';

export interface Claim {
  readonly chunk: ChunkId;
  readonly fence: Fence;
  readonly epoch: Fence;
}

/** What is to be done for a change by what is there, or what became of it. */
type Decision = ChangeOutcome | { readonly kind: 'send'; readonly step: Step; readonly outcome: ChangeOutcome };

/** A record that others write again and again; each round one of them was quicker. */
const roundsMax = 20;

export class DynamoDbChunkWriter implements ChunkWriter {
  private readonly context: TargetContext;
  private readonly claim: Claim;
  private readonly unfit;
  private readonly readsFirst: boolean;
  private readonly guard: ChunkGuard;
  private queue: Promise<unknown> = Promise.resolve();
  /** A batch failed, and may have been done with its mark. */
  private isInDoubt = false;

  /**
   * @param marks of this chunk in this attempt so far
   * @param readsFirst creates are looked at before they are sent, so that no mark speaks of what is there already
   */
  constructor(context: TargetContext, claim: Claim, marks: number, readsFirst: boolean) {
    this.context = context;
    this.claim = claim;
    this.unfit = unfitFor(context.items.mapping);
    this.readsFirst = readsFirst;
    this.guard = new ChunkGuard(context, claim, marks);
  }

  write(changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]> {
    const result = this.queue.then(() => this.writeBatch(changes));
    // Whoever asked gets the failure; the next batch has to look what became of it.
    this.queue = result.catch(() => (this.isInDoubt = true));
    return result;
  }

  private async writeBatch(changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]> {
    invariant(changes.length <= writesMax, `a batch of ${changes.length} changes`);
    const outcomes = Array.from<ChangeOutcome>({ length: changes.length });
    let open: number[] = [];
    for (const [i, change] of changes.entries()) {
      const detail = this.refusalOf(change);
      if (detail === null) open.push(i);
      else outcomes[i] = { kind: 'refused', detail };
    }
    if (this.isInDoubt) await this.guard.refused();
    this.isInDoubt = false;
    const known = await this.readFirst(open.map((i) => changes[i] as GuardedChange));
    let isProven = false;
    for (let round = 1; open.length > 0; round += 1) {
      if (round > roundsMax) throw this.tooBusy();
      const sent: { readonly at: number; readonly step: Step; readonly outcome: ChangeOutcome }[] = [];
      for (const at of open) {
        const decision = await this.decide(changes[at] as GuardedChange, known);
        if (decision.kind === 'send') sent.push({ at, step: decision.step, outcome: decision.outcome });
        else outcomes[at] = decision;
      }
      if (sent.length === 0) break;
      const results = await this.context.writes.run(
        sent.map(({ step }) => step),
        this.guard,
      );
      isProven = true;
      const refused = sent.filter((_, i) => results[i] !== 'done');
      for (const [i, { at, outcome }] of sent.entries()) if (results[i] === 'done') outcomes[at] = outcome;
      await this.learn(known, sent, results, changes);
      open = refused.map(({ at }) => at);
    }
    if (!isProven) await this.guard.refused();
    return outcomes;
  }

  private async readFirst(changes: readonly GuardedChange[]): Promise<Map<Key, Attributes | null>> {
    const seen = this.readsFirst ? changes : changes.filter(({ expect }) => expect !== 'absent');
    return await readItems(
      this.context,
      seen.map(({ key }) => key),
    );
  }

  /** What stood in the way of those that were refused; the service tells it of most. */
  private async learn(
    known: Map<Key, Attributes | null>,
    sent: readonly { readonly at: number }[],
    results: readonly ('done' | { readonly found: Attributes | null | undefined })[],
    changes: readonly GuardedChange[],
  ): Promise<void> {
    const unsaid: Key[] = [];
    for (const [i, { at }] of sent.entries()) {
      const result = results[i];
      if (result === undefined || result === 'done') continue;
      const { key } = changes[at] as GuardedChange;
      if (result.found === undefined) unsaid.push(key);
      else known.set(key, result.found);
    }
    for (const [key, item] of await readItems(this.context, unsaid)) known.set(key, item);
  }

  private async decide(change: GuardedChange, known: ReadonlyMap<Key, Attributes | null>): Promise<Decision> {
    const there = known.get(change.key);
    return change.kind === 'put' ? await this.decidePut(change, there) : await this.decideDelete(change, there);
  }

  /** @param there undefined: nobody has looked */
  private async decidePut(put: GuardedPut, there: Attributes | null | undefined): Promise<Decision> {
    const { items, nowMs } = this.context;
    const { key, expect } = put;
    if (there === undefined || there === null) {
      return expect === 'absent' ? this.send(put, 'created', null) : { kind: 'missing' };
    }
    const found = items.find(there, nowMs());
    switch (found.kind) {
      case 'own':
        return { kind: 'refused', detail: `the key lies under ${items.reservedPrefix}, where keyferry keeps its own` };
      case 'tombstone':
        return { kind: 'tombstoned' };
      case 'expired':
        return expect === 'absent' ? this.send(put, 'created', there) : { kind: 'missing' };
      case 'unmapped':
        return { kind: 'present', version: found.version, equal: false };
      case 'record': {
        const { version } = found.record;
        if (expect !== 'absent' && expect.version === version) return this.send(put, 'replaced', there);
        const equal = recordsEqual(put, found.record);
        const isRepeat = equal && (await this.guard.own()).written.get(key) === version;
        return isRepeat ? { kind: 'already-written', version } : { kind: 'present', version, equal };
      }
    }
  }

  private async decideDelete(change: GuardedDelete, there: Attributes | null | undefined): Promise<Decision> {
    const { items, nowMs } = this.context;
    const { key, expect } = change;
    const found = there === null || there === undefined ? null : items.find(there, nowMs());
    if (found?.kind === 'unmapped') return { kind: 'present', version: found.version, equal: false };
    if (found?.kind !== 'record') return { kind: (await this.guard.own()).gone.has(key) ? 'deleted' : 'missing' };
    const { version } = found.record;
    if (version !== expect.version) return { kind: 'present', version, equal: false };
    const action = deleteExactly(items, key, there as Attributes);
    if (typeof action === 'string') return { kind: 'refused', detail: action };
    return {
      kind: 'send',
      step: { action, entry: { key, kind: 'gone', version: null } },
      outcome: { kind: 'deleted' },
    };
  }

  private send(
    put: Pick<StoredRecord, 'key' | 'value' | 'expiresAtMs'>,
    kind: MarkKind,
    over: Attributes | null,
  ): Decision {
    const { items } = this.context;
    const rest = over === null || kind === 'created' ? {} : items.restOf(over);
    const item = items.build(put, rest);
    const action = over === null ? { put: item, when: isAbsent(items.mapping) } : putOver(items, item, over);
    if (typeof action === 'string') return { kind: 'refused', detail: action };
    const version = versionOf(item);
    return {
      kind: 'send',
      step: { action, entry: { key: put.key, kind, version } },
      outcome: { kind: 'written', version },
    };
  }

  private refusalOf(change: GuardedChange): string | null {
    const { items } = this.context;
    if (change.key.startsWith(items.reservedPrefix)) {
      return `the key lies under ${items.reservedPrefix}, where keyferry keeps its own`;
    }
    if (change.kind === 'delete') return items.keyOf(change.key) === null ? 'no item can have this key' : null;
    const bytesMax = recordBytesMaxOf(items.mapping);
    const bytes = recordBytes(change);
    if (bytesMax !== null && bytes > bytesMax) return `${bytes} bytes, at most ${bytesMax}`;
    return this.unfit(change);
  }

  private tooBusy(): KeyferryError {
    const detail = `records of chunk ${this.claim.chunk} change faster than they can be looked at`;
    return new KeyferryError('store.throttled', { store: this.context.control.store, detail });
  }
}

/** What this attempt wrote in a chunk. */
interface OwnWrites {
  readonly written: Map<Key, Version>;
  readonly gone: Set<Key>;
}

/** Fence and epoch of a claim; the marks of its chunk in its attempt. */
class ChunkGuard implements Guard {
  private readonly context: TargetContext;
  private readonly claim: Claim;
  private marks: number;
  private ownWrites: OwnWrites | null = null;

  constructor(context: TargetContext, claim: Claim, marks: number) {
    this.context = context;
    this.claim = claim;
    this.marks = marks;
  }

  items(entries: readonly MarkEntry[]): readonly TransactWriteItem[] {
    const { control } = this.context;
    const { chunk, fence, epoch } = this.claim;
    return [
      control.countMark(control.fence(chunk), fence, countAttribute(fence.attempt), this.marks),
      control.checkFence(control.epoch(shardOf(chunk)), epoch),
      control.putBody(control.mark(chunk, fence.attempt, this.marks + 1), encodeMark(entries)),
    ];
  }

  /** Looks who holds the chunk. It is still this claim if only an answer was lost, and a mark with it. */
  async refused(): Promise<void> {
    const { connection, control } = this.context;
    const { chunk, fence, epoch } = this.claim;
    const keys = [control.fence(chunk), control.epoch(shardOf(chunk))] as const;
    const read = await connection.getMany(keys);
    const [fenceItem, epochItem] = keys.map((key) => read.find((item) => control.nameOf(item) === control.nameOf(key)));
    const isMine = sameFence(control.fenceOf(fenceItem), fence) && sameFence(control.fenceOf(epochItem), epoch);
    if (!isMine) throw new KeyferryError('fence.lost', { chunk });
    const marks = Number(fenceItem?.[countAttribute(fence.attempt)]?.N ?? 0);
    if (marks !== this.marks) this.ownWrites = null;
    this.marks = marks;
  }

  done(entries: readonly MarkEntry[]): void {
    this.marks += 1;
    if (this.ownWrites !== null) note(this.ownWrites, entries);
    this.context.noteMarks(entries);
  }

  async amend(entries: readonly MarkEntry[]): Promise<void> {
    const { connection, control } = this.context;
    const { chunk, fence } = this.claim;
    this.ownWrites = null;
    await connection.transact([control.putBody(control.mark(chunk, fence.attempt, this.marks), encodeMark(entries))]);
  }

  /** Also what others wrote who held this chunk before, in the same attempt. Read when a record is met that was not expected. */
  async own(): Promise<OwnWrites> {
    if (this.ownWrites !== null) return this.ownWrites;
    const { connection, control } = this.context;
    const { chunk, fence } = this.claim;
    const read: OwnWrites = { written: new Map(), gone: new Set() };
    for await (const entries of readMarks(connection, control, chunkMarks(control, chunk, fence.attempt, this.marks))) {
      note(read, entries);
    }
    this.ownWrites = read;
    return read;
  }
}

function note(own: OwnWrites, entries: readonly MarkEntry[]): void {
  for (const { key, version } of entries) {
    if (version === null) own.gone.add(key);
    else own.written.set(key, version);
  }
}
