/**
 * The backfill write on etcd v2: one conditional request a record, several at once, and one outcome each.
 *
 *     fence, epoch ─► mark is opened ─► fence, epoch once more ─► writes ─► mark is closed
 *
 * The server compares neither fence nor epoch with a write. They are looked at before and after the mark is there: a
 * rollback that raised the epoch in between is seen, and one that raises it later finds the mark, and with it what this
 * batch may still write. What is under way at that moment arrives all the same, and nothing here can prevent it
 * (capabilities: no fencing). Each write by itself stays conditional, so it never takes the place of anything newer.
 */
import {
  compareFences,
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
  type TailChange,
  type Version,
} from '@keyferry/core';
import { BatchMark, permanent } from './batch-mark.ts';
import { recordBytesMax } from './capabilities.ts';
import { fenceOf, nameOf } from './control-keys.ts';
import { unfitForServer } from './key-form.ts';
import { MarkSet, recordHash, type WriteKind } from './marks.ts';
import { readMarks } from './read-marks.ts';
import { indexOf, newValue, type TargetContext } from './target-context.ts';

export interface Claim {
  readonly chunk: ChunkId;
  readonly fence: Fence;
  readonly epoch: Fence;
}

export class EtcdV2ChunkWriter implements ChunkWriter {
  private readonly context: TargetContext;
  private readonly claim: Claim;
  /** What this attempt wrote in this chunk, as far as it is known here. */
  private known: Promise<MarkSet> | null = null;
  private readonly own = new MarkSet();
  /** Marks of batches that have not come to their end, by what they are about: a repeat takes the same key. */
  private readonly unfinished = new Map<string, { readonly key: Key; mark: BatchMark | null }>();
  private sequence = 0;

  constructor(context: TargetContext, claim: Claim) {
    this.context = context;
    this.claim = claim;
  }

  async write(changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]> {
    const outcomes = Array.from<ChangeOutcome>({ length: changes.length });
    const fit: number[] = [];
    for (const [i, change] of changes.entries()) {
      const detail = refusalOf(change, this.context.reservedPrefix);
      if (detail === null) fit.push(i);
      else outcomes[i] = { kind: 'refused', detail };
    }
    await this.assertMine();
    const puts = fit.map((i) => changes[i] as GuardedChange).filter((change) => change.kind === 'put');
    const mark = puts.length === 0 ? null : await this.openMark(puts);
    const tombs = puts.length === 0 ? new Set<string>() : await this.readTombs();
    await this.assertMine(mark);
    await this.context.lanes.all(fit, async (i) => {
      const change = changes[i] as GuardedChange;
      outcomes[i] =
        change.kind === 'put' ? await this.put(change, mark as BatchMark, tombs) : await this.delete(change);
    });
    if (mark !== null) await this.closeMark(mark);
    return outcomes;
  }

  private async put(put: GuardedPut, mark: BatchMark, tombs: ReadonlySet<string>): Promise<ChangeOutcome> {
    const { writes, nowMs } = this.context;
    const { key, expect } = put;
    const kind: WriteKind = expect === 'absent' ? 'created' : 'replaced';
    const isTombstoned = tombs.has(nameOf(key));
    for (;;) {
      if (!isTombstoned) {
        const value = newValue(put, nowMs());
        const answer =
          expect === 'absent'
            ? await writes.create(key, value)
            : await writes.compareAndSwap(key, indexOf(expect.version), value);
        if (answer.kind === 'written') {
          this.noteWritten(mark, kind, answer.index);
          return { kind: 'written', version: String(answer.index) as Version };
        }
        if (answer.kind === 'no-place') return { kind: 'refused', detail: answer.detail };
        if (answer.kind === 'missing') return { kind: 'missing' };
      }
      const node = await writes.read(key);
      if (node?.value === null) return { kind: 'refused', detail: 'there is a directory of that name' };
      if (node === null) {
        if (isTombstoned) return { kind: 'tombstoned' };
        if (expect !== 'absent') return { kind: 'missing' };
        continue; // it went between the two requests
      }
      const { modifiedIndex: index, value, expiresAtMs } = node;
      const version = String(index) as Version;
      const equal = recordsEqual(put, { value, expiresAtMs });
      const written = equal ? await this.kindOf({ key, value, expiresAtMs }, index) : null;
      if (written !== null) {
        mark.note(written, index);
        return { kind: 'already-written', version };
      }
      const guardHolds = expect !== 'absent' && expect.version === version;
      return guardHolds ? { kind: 'tombstoned' } : { kind: 'present', version, equal };
    }
  }

  /**
   * The note comes first, and goes again if nothing was deleted. One that a lost answer or a kill leaves says that this
   * attempt deleted the record: if somebody else did, between the note and the request, that is taken for it.
   */
  private async delete({ key, expect }: GuardedDelete): Promise<ChangeOutcome> {
    const { writes, keys } = this.context;
    const gone = keys.gone(key);
    const text = String(this.claim.fence.attempt);
    const created = await writes.create(gone, permanent(text));
    const before = created.kind === 'written' ? null : await writes.read(gone);
    const isRepeat = before !== null && Buffer.from(before.value ?? []).toString() === text;
    let noteAt = created.kind === 'written' ? created.index : (before?.modifiedIndex ?? 0);
    if (before !== null && !isRepeat) {
      const taken = await writes.compareAndSwap(gone, before.modifiedIndex, permanent(text));
      if (taken.kind === 'written') noteAt = taken.index;
    }
    const answer = await writes.compareAndDelete(key, indexOf(expect.version));
    if (answer.kind === 'written' || (answer.kind === 'missing' && isRepeat)) return { kind: 'deleted' };
    if (!isRepeat) {
      const value = before?.value ?? null;
      await (value === null
        ? writes.compareAndDelete(gone, noteAt)
        : writes.compareAndSwap(gone, noteAt, { value, ttlSeconds: null }));
    }
    const node = await writes.read(key);
    if (node === null || node.value === null) return { kind: 'missing' };
    return { kind: 'present', version: String(node.modifiedIndex) as Version, equal: false };
  }

  private noteWritten(mark: BatchMark, kind: WriteKind, index: number): void {
    mark.note(kind, index);
    this.own[kind].add(index);
  }

  /** What others who held this chunk in this attempt wrote is read when a record is met that was not expected. */
  private async kindOf(record: Parameters<MarkSet['kindOf']>[0], index: number): Promise<WriteKind | null> {
    const own = this.own.kindOf(record, index);
    if (own !== null) return own;
    const { store, reads, keys } = this.context;
    const { chunk, fence } = this.claim;
    this.known ??= readMarks(store, reads, keys.chunkMarks(chunk, fence.attempt)).then(({ marks }) => marks);
    try {
      return (await this.known).kindOf(record, index);
    } catch (error) {
      this.known = null;
      throw error;
    }
  }

  private async openMark(puts: readonly GuardedPut[]): Promise<BatchMark> {
    const { writes, keys } = this.context;
    const { chunk, fence } = this.claim;
    const hashes = new Map(
      puts.map((put): [string, WriteKind] => [recordHash(put), put.expect === 'absent' ? 'created' : 'replaced']),
    );
    const about = aboutOf(hashes);
    let batch = this.unfinished.get(about);
    if (batch === undefined) {
      this.sequence += 1;
      batch = { key: keys.mark(chunk, fence, this.sequence), mark: null };
      this.unfinished.set(about, batch);
    }
    const mark = await BatchMark.open(writes, batch.key, hashes);
    if (batch.mark !== null) this.own.dropOpen(batch.mark);
    batch.mark = mark;
    this.own.addOpen(mark);
    return mark;
  }

  private async closeMark(mark: BatchMark): Promise<void> {
    await mark.close();
    this.own.dropOpen(mark);
    this.unfinished.delete(aboutOf(mark.hashes));
  }

  /** @param mark of a batch that must not begin, if this fails: it goes again */
  private async assertMine(mark: BatchMark | null = null): Promise<void> {
    const { store, writes, keys } = this.context;
    const { chunk, fence, epoch } = this.claim;
    const fenceKey = keys.fence(chunk);
    const [fenceNode, epochNode] = await Promise.all([writes.read(fenceKey), writes.read(keys.epoch)]);
    const isMine = (held: Fence | null, mine: Fence): boolean => held !== null && compareFences(held, mine) === 0;
    const hasChunk = isMine(fenceOf(store, fenceKey, fenceNode), fence);
    if (hasChunk && isMine(fenceOf(store, keys.epoch, epochNode), epoch)) return;
    await mark?.close(); // nothing was written under it yet
    throw new KeyferryError('fence.lost', { chunk });
  }

  /** Names of the tombstones of this migration: none, as long as no application takes part. */
  private async readTombs(): Promise<ReadonlySet<string>> {
    const { reads, keys } = this.context;
    return await reads.readNames(keys.tombs);
  }
}

function aboutOf(hashes: ReadonlyMap<string, WriteKind>): string {
  return [...hashes.keys()].join();
}

/** Why the store can never make it, by its form alone; null: it may. */
export function refusalOf(change: GuardedChange | TailChange, reservedPrefix: Key): string | null {
  const { key } = change;
  if (key.startsWith(reservedPrefix)) return `the key lies under ${reservedPrefix}, where keyferry keeps its own`;
  if (change.kind === 'delete') return unfitForServer({ key, value: noBytes });
  const bytes = recordBytes(change);
  if (bytes > recordBytesMax) return `${bytes} bytes, at most ${recordBytesMax}`;
  return unfitForServer(change);
}

const noBytes = new Uint8Array();
