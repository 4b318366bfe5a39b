/**
 * Goal: what the state says of the chunks is the same, however the state store cuts its lists into pages.
 * Method: a memory store whose pages end early, each kind's in other places, as they may where a list takes several
 * requests or its items are large.
 */
import {
  addDigests,
  chunkId,
  emptyDigest,
  finish,
  newChunk,
  type Digest,
  type PlannedChunk,
  type StateKind,
} from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { expect, it } from 'vitest';
import { Stage } from '../testing/stage.ts';
import { summarizeChunks } from './backfill-summary.ts';

class ShortPages extends MemoryStateStore {
  override list<K extends StateKind>(
    kind: K,
    scope: string,
    page: { readonly after: string | null; readonly itemsMax: number },
  ) {
    return super.list(kind, scope, { ...page, itemsMax: kind === 'chunk' ? 3 : 2 });
  }
}

it('the summary of chunks rests on their ids, and not on where pages end', async () => {
  const stage = new Stage();
  const state = new ShortPages();
  let sum: Digest = emptyDigest;
  for (let i = 0; i < 11; i += 1) {
    const chunk = chunkId(i);
    const permanent = { count: i, sum: String(i).padStart(32, '0') };
    sum = addDigests(sum, permanent);
    await state.write('chunk-plan', 'm/1', chunk, { chunk, permanent } as PlannedChunk, 'absent');
    // The seventh copied other records than were planned.
    const digest = i === 7 ? emptyDigest : permanent;
    const done = finish(newChunk(chunk), { ...newChunk(chunk).progress, digest });
    await state.write('chunk', 'm/1', chunk, done, 'absent');
  }
  // A run that was killed between the two items of a chunk.
  const last = chunkId(11);
  await state.write('chunk-plan', 'm/1', last, { chunk: last, permanent: emptyDigest } as PlannedChunk, 'absent');

  const summary = await stage.run((engine) => summarizeChunks({ ...engine, state }, 'm/1'));
  expect(summary).toMatchObject({ chunksDone: 11, chunksTotal: 11, plannedPermanent: sum, moved: [chunkId(7)] });
});
