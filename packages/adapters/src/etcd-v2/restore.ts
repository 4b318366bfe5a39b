/**
 * Going back on etcd v2: whose a record is, and how a before-image gets into its place.
 *
 * Each record is read, judged (core's restoration.ts) and written at the index that was read; if that lost, it is read
 * again. A record that was the migration's own before gets a mark, so that it still is for the images of earlier attempts.
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
  type StoredRecord,
} from '@keyferry/core';
import { BatchMark } from './batch-mark.ts';
import { MarkSet, recordHash, type WriteKind } from './marks.ts';
import { readMarks } from './read-marks.ts';
import { indexOf, newValue, recordOf, type TargetContext } from './target-context.ts';
import type { WriteAnswer } from './write-api.ts';

/** What this migration wrote, in all attempts; read again when a record is newer than what is known. */
export class Origins {
  private readonly context: TargetContext;
  private loaded: Promise<{ readonly marks: MarkSet; readonly readAt: number }> | null = null;

  constructor(context: TargetContext) {
    this.context = context;
  }

  async of(records: readonly (StoredRecord | null)[]): Promise<readonly (BeforeImage | null)[]> {
    const newest = Math.max(0, ...records.map((record) => (record === null ? 0 : indexOf(record.version))));
    const marks = await this.marksAt(newest);
    return records.map((record) => record && { ...record, origin: originOf(marks, record) });
  }

  /** @param index that they must reach at least */
  async marksAt(index: number): Promise<MarkSet> {
    const { store, reads, keys } = this.context;
    const known = this.loaded === null ? null : await this.loaded.catch(() => null);
    if (known !== null && known.readAt >= index) return known.marks;
    this.loaded = readMarks(store, reads, keys.marks);
    return (await this.loaded).marks;
  }
}

function originOf(marks: MarkSet, record: StoredRecord): RecordOrigin {
  const kind = marks.kindOf(record, indexOf(record.version));
  return kind === null ? 'foreign' : kind === 'created' ? 'created' : 'overwritten';
}

export async function restore(
  context: TargetContext,
  origins: Origins,
  restorations: readonly Restoration[],
  epoch: Fence,
): Promise<readonly RestoreOutcome[]> {
  const own = restorations.filter(({ image }) => image.origin === 'overwritten');
  const hashes = new Map(own.map(({ image }): [string, WriteKind] => [recordHash(image), 'replaced']));
  const { writes, keys, lanes } = context;
  const mark = own.length === 0 ? null : await BatchMark.open(writes, keys.backMark(epoch, randomUUID()), hashes);
  const outcomes = await lanes.all(restorations, (each) => restoreOne(context, origins, each, mark));
  await mark?.close();
  return outcomes;
}

async function restoreOne(
  context: TargetContext,
  origins: Origins,
  restoration: Restoration,
  mark: BatchMark | null,
): Promise<RestoreOutcome> {
  const { writes, keys, nowMs } = context;
  const { image } = restoration;
  const gone = keys.gone(image.key);
  for (;;) {
    const found = recordOf(image.key, await writes.read(image.key), nowMs());
    const [present = null] = await origins.of([found]);
    const note = await writes.read(gone);
    // A tombstone says that an application deleted it too: then it stays deleted.
    const wasDeleted = note !== null && (await writes.read(keys.tomb(image.key))) === null;
    const step = restoreStep(restoration, present, wasDeleted, nowMs());
    if (step.kind === 'leave') return step.outcome;
    const answer =
      step.kind === 'put' ? await putBack(context, image, found) : await takeAway(context, image.key, found);
    if (answer !== null && answer.kind !== 'written') continue;
    if (step.kind === 'put' && step.own && answer !== null) mark?.note('replaced', answer.index);
    // Last: without the note, a repeat could not know that there is something to be put back.
    if (image.origin === 'foreign' && note !== null) await writes.compareAndDelete(gone, note.modifiedIndex);
    return step.outcome;
  }
}

function putBack(
  { writes, nowMs }: TargetContext,
  image: BeforeImage,
  found: StoredRecord | null,
): Promise<WriteAnswer> {
  const value = newValue(image, nowMs());
  return found === null
    ? writes.create(image.key, value)
    : writes.compareAndSwap(image.key, indexOf(found.version), value);
}

async function takeAway({ writes }: TargetContext, key: Key, found: StoredRecord | null): Promise<WriteAnswer | null> {
  return found === null ? null : await writes.compareAndDelete(key, indexOf(found.version));
}
