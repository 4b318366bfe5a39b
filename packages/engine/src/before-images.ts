/**
 * Before-images: what a batch is about to overwrite or delete goes into the state first, and only then the batch goes to
 * the target. A kill between the two leaves an image of a record that was never changed, which going back finds untouched.
 *
 * Only a record at the planned version needs one: no other can be changed by the batch. So a batch that is done again
 * after a kill keeps no image of what its first try wrote. An image that was kept twice is the same twice.
 */
import {
  guardedCount,
  ImageReader,
  packImages,
  type BeforeImage,
  type ChunkId,
  type GuardedChange,
  type MigrationState,
  type Phase,
  type Restoration,
  type TargetControl,
} from '@keyferry/core';
import type { Environment } from './migration.ts';
import { summarizeChunks } from './backfill-summary.ts';
import { withRetry } from './retry.ts';
import { attemptScope, listItems, writeItemOrFail } from './state-items.ts';

/** A batch, as no other claim of its chunk will ever name one. */
export interface BatchName {
  readonly chunk: ChunkId;
  readonly token: number;
  readonly batch: number;
}

/** Items of one listing: each may be some hundred KiB. */
const listedAtOnce = 16;

export async function keepBeforeImages(
  env: Environment,
  control: TargetControl,
  scope: string,
  { chunk, token, batch }: BatchName,
  changes: readonly GuardedChange[],
): Promise<void> {
  const guarded = changes.filter(({ expect }) => expect !== 'absent');
  if (guarded.length === 0) return;
  const keys = guarded.map(({ key }) => key);
  const images = await withRetry(env, `read before ${chunk}`, () => control.readBefore(keys));
  const restorations: Restoration[] = [];
  for (const [i, change] of guarded.entries()) {
    const image = images[i] ?? null;
    if (image !== null && isPlanned(change, image)) restorations.push({ undo: undoOf(change), image });
  }
  const base = `${chunk}/${number(token)}/${number(batch)}`;
  for (const [part, pieces] of packImages(restorations).entries()) {
    await writeItemOrFail(env, 'before', scope, `${base}/${number(part)}`, { chunk, pieces }, 'absent');
  }
}

/**
 * What the attempt of a scope may have changed, in pages, of those after an item. `item` is where to go on from: an image
 * is never begun again in its middle, so it stays at the item before one whose last image goes on in the next.
 */
export async function* listBeforeImages(
  env: Environment,
  scope: string,
  after: string | null,
): AsyncGenerator<{ readonly restorations: readonly Restoration[]; readonly item: string | null }> {
  const reader = new ImageReader();
  let whole = after;
  for await (const entries of listItems(env, 'before', scope, { after, itemsMax: listedAtOnce })) {
    for (const { id, item } of entries) {
      const restorations = reader.take(item.pieces);
      if (reader.isBetweenImages) whole = id;
      if (restorations.length > 0) yield { restorations, item: whole };
    }
  }
}

export async function removeBeforeImages(env: Environment, scope: string): Promise<void> {
  for await (const entries of listItems(env, 'before', scope, { after: null, itemsMax: listedAtOnce })) {
    for (const { id, version } of entries) {
      // Somebody else's removal is as good as this one.
      await withRetry(env, `state before ${id}`, () => env.state.remove('before', scope, id, version));
    }
  }
}

/** How many records the attempts since the last rollback overwrote or deleted without an image: nothing brings them back. */
export async function unkeptChanges(env: Environment, state: MigrationState): Promise<number> {
  const { migration, attempt, wrote, phase } = state;
  if (nothingToUndo.includes(phase)) return 0;
  const plan = await withRetry(env, 'state plan', () => env.state.read('plan', migration, state.plan));
  if (plan === null || plan.item.keepBefore) return wrote.unkept;
  const { counts } = await summarizeChunks(env, attemptScope(migration, attempt));
  return wrote.unkept + guardedCount({ overwrite: counts.overwritten, delete: counts.deleted });
}

/** What was written before cannot be undone any more, or is. */
const nothingToUndo: readonly Phase[] = ['rolled-back', 'finalizing', 'finalized', 'reopened'];

const undoOf = ({ kind }: GuardedChange): Restoration['undo'] => (kind === 'delete' ? 'delete' : 'overwrite');

function isPlanned({ expect }: GuardedChange, image: BeforeImage): boolean {
  return expect !== 'absent' && expect.version === image.version;
}

const number = (value: number): string => String(value).padStart(8, '0');
