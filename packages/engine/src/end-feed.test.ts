/**
 * Goal: a store that does not give up what it kept to tell its changes keeps no migration from its end, and somebody is told.
 * Method: the real engine on memory stores; the feed of one cannot be ended.
 */
import { keyFromText, KeyferryError } from '@keyferry/core';
import type { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { following } from '../testing/following.ts';
import { bytes, type RunHooks, type Stage } from '../testing/stage.ts';

/** The store, with another end of its feed. */
function withEnd(store: MemoryStore, end: () => Promise<void>): MemoryStore {
  const feed = Object.assign(Object.create(store.feed) as typeof store.feed, { end });
  return Object.assign(Object.create(store) as MemoryStore, { feed });
}

/** The stage's source, but that ending its feed fails. */
const withoutEnd = ({ source }: Stage, error: Error): MemoryStore => withEnd(source, () => Promise.reject(error));

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

describe('a cutover', () => {
  /** How often it ended the feed that the store to become primary had been asked for. */
  const endsOf = async (prepare: (stage: Stage) => void, hooks: (stage: Stage) => RunHooks = () => ({})) => {
    const { stage } = await following();
    prepare(stage);
    let ends = 0;
    const target = withEnd(stage.target, async () => void (ends += 1));
    const outcome = await stage.cutOver({ target, ...hooks(stage) }).then(
      () => 'done',
      (error: unknown) => (error instanceof KeyferryError ? error.code : error),
    );
    return { outcome, ends };
  };

  it('that is refused or undone leaves nothing in the store that did not become primary', async () => {
    const refused = await endsOf((stage) => stage.putTarget('a', 'somebody else'));
    expect(refused).toEqual({ outcome: 'cutover.not-ready', ends: 1 });
    const undone = await endsOf(
      () => undefined,
      (stage) => ({
        during: (message) => {
          if (message.code === 'tail.generation') stage.source.put(keyFromText('src/a'), bytes('newer'), null);
          if (message.code === 'cutover.step' && message.data.step === 'compare') stage.putTarget('a', 'another');
        },
      }),
    );
    expect(undone).toEqual({ outcome: 'cutover.undone', ends: 1 });
    for (const call of ['claimTail', 'raiseEpoch'] as const) {
      const failed = await endsOf((stage) => stage.target.failNext(call, 'before', denied));
      expect(failed).toEqual({ outcome: 'store.permission-denied', ends: 1 });
    }
    const failedInHold = await endsOf(
      () => undefined,
      (stage) => ({
        during: (message) => {
          if (message.code !== 'cutover.step' || message.data.step !== 'fence') return;
          stage.target.failNext('raiseEpoch', 'before', denied);
        },
      }),
    );
    expect(failedInHold).toEqual({ outcome: 'store.permission-denied', ends: 1 });
  });

  it('that came to its end, or may have, leaves the feed by which the new primary is followed', async () => {
    expect(await endsOf(() => undefined)).toEqual({ outcome: 'done', ends: 0 });
    const unanswered = await endsOf(({ primary }) => {
      const write = primary.write.bind(primary);
      primary.write = async (record, expected) => {
        const outcome = await write(record, expected);
        if (record.primary === 'source') return outcome;
        throw denied;
      };
    });
    expect(unanswered).toEqual({ outcome: 'store.permission-denied', ends: 0 });
  });
});
