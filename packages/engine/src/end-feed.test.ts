/**
 * Goal: a store that does not give up what it kept to tell its changes keeps no migration from its end, and somebody is told.
 * Method: the real engine on memory stores; the feed of one cannot be ended.
 */
import { KeyferryError } from '@keyferry/core';
import type { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { following } from '../testing/following.ts';
import type { Stage } from '../testing/stage.ts';

/** The stage's source, but that ending its feed fails. */
function withoutEnd({ source }: Stage, error: Error): MemoryStore {
  const end = (): Promise<void> => Promise.reject(error);
  const feed = Object.assign(Object.create(source.feed) as typeof source.feed, { end });
  return Object.assign(Object.create(source) as MemoryStore, { feed });
}

const denied = new KeyferryError('store.permission-denied', { store: 'old', detail: 'planted' });

describe('finalize', () => {
  it('comes to its end where a feed cannot be ended, and says what is left', async () => {
    const { stage } = await following();
    await stage.cutOver();
    await stage.finalizeReplicate({ source: withoutEnd(stage, denied) });
    expect((await stage.status()).phase).toBe('finalized');
    expect(stage.messages.filter(({ code }) => code === 'feed.not-ended')).toEqual([
      {
        code: 'feed.not-ended',
        data: { store: 'old', code: 'store.permission-denied', why: expect.stringContaining('planted') as string },
      },
    ]);
  });

  it('fails with what is no word of a store', async () => {
    const { stage } = await following();
    await stage.cutOver();
    const broken = stage.finalizeReplicate({ source: withoutEnd(stage, new TypeError('planted')) });
    await expect(broken).rejects.toThrow('planted');
  });
});
