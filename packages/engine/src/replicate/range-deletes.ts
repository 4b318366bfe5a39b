/**
 * A range that went at once: which keys of the store that is written go with it, and who may no longer bring them back.
 *
 * The feed does not say which keys there were. Those that are in the written store are found there; but a backfill worker may
 * hold a page that was read before, with keys that nobody copied yet and that nothing could tombstone. So each unfinished
 * chunk that meets the range is taken away from its worker first, in the state and by its fence, and read again in a view
 * that is opened after it (SPEC R46). Chunks that are done have put all their keys.
 */
import {
  imageRule,
  intersectRanges,
  KeyferryError,
  newChunk,
  nextToken,
  toTargetRange,
  type ChunkId,
  type Key,
  type KeyRange,
  type TargetStore,
} from '@keyferry/core';
import type { Backfill } from '../backfill-context.ts';
import { assertSameEpoch } from '../epoch.ts';
import type { Engine } from '../migration.ts';
import { scanPages } from '../pages.ts';
import { withRetry } from '../retry.ts';
import { listItems, writeItem } from '../state-items.ts';
import { chunkRange } from '../staleness.ts';

/** Keys of a range of a store, as they are now. */
export async function keysIn(
  engine: Engine,
  store: TargetStore,
  range: KeyRange,
  signal?: AbortSignal,
): Promise<readonly Key[]> {
  const view = await withRetry(engine, 'open range', () => store.openView(range), signal);
  try {
    const keys: Key[] = [];
    for await (const { records } of scanPages(engine, view, range, signal)) keys.push(...records.map(({ key }) => key));
    return keys;
  } finally {
    await view.close();
  }
}

/** What of a backfill is needed to take chunks away from their workers. */
export type BackfillUnderWay = Pick<Backfill, 'engine' | 'spec' | 'attempt' | 'epoch' | 'control' | 'scope' | 'view'>;

/**
 * Takes every unfinished chunk that meets a range of the target away from whoever works on it.
 * @throws {KeyferryError} `epoch.lost`
 */
export async function fenceOffChunks(backfill: BackfillUnderWay, range: KeyRange): Promise<void> {
  const { engine, spec, scope, view } = backfill;
  const { rule } = imageRule(spec);
  // Before any chunk is free again: whoever claims one reads a view that was opened after the range went.
  await view.renewAll();
  for await (const planned of listItems(engine, 'chunk-plan', scope)) {
    for (const { item: chunk } of planned) {
      const meets = intersectRanges(toTargetRange(rule, chunkRange(chunk, spec)), range) !== null;
      if (meets) await takeAway(backfill, chunk.chunk);
    }
  }
}

async function takeAway(
  { engine, spec, scope, attempt, epoch, control }: BackfillUnderWay,
  chunk: ChunkId,
): Promise<void> {
  for (;;) {
    const entry = await withRetry(engine, `state ${chunk}`, () => engine.state.read('chunk', scope, chunk));
    if (entry === null) throw new KeyferryError('state.conflict', { what: `chunk ${chunk}` });
    if (entry.item.phase === 'done') return;
    const held = await withRetry(engine, `fence ${chunk}`, () => control.readFence(chunk));
    const token = nextToken(attempt, entry.item.token, held);
    // From its start: what is there already is met as written, and counted once.
    const change = await writeItem(engine, 'chunk', scope, chunk, { ...newChunk(chunk), token }, entry.version);
    if (change.kind === 'lost') continue; // its worker checkpointed in between: look again how far it is
    const fence = { attempt, token };
    const outcome = await withRetry(engine, `claim ${chunk}`, () => control.claimChunk(chunk, fence, epoch));
    if (outcome.kind === 'claimed') return;
    assertSameEpoch(spec.migration, epoch, outcome.epoch);
  }
}
