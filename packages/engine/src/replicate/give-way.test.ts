/**
 * Goal: whoever comes to cut over gets the lock from a follower, also from one that does not follow yet. Method: both commands
 * side by side in virtual time, the second begun at a chosen moment of the first.
 */
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../../testing/stage.ts';
import { cutOver } from '../strategies/replicate-ends.ts';

const replicate = { pauseMaxMs: 10_000, requestLifeMs: 2000 };

describe('a cutover that finds a follower at work', () => {
  it.each(['chunk.done', 'tail.generation'] as const)(
    'waits until it follows, and asks it to give way (begun at %s)',
    async (moment) => {
      const stage = new Stage({ spec: { strategy: 'replicate', replicate, workers: 1 } });
      stage.fillSourceWith(60);
      const plan = await stage.plan();
      let cutover: Promise<unknown> | null = null;
      const following = stage.kernel.run(async () => {
        const followed = failureOf(
          stage.startReplicate(plan, {
            follow: true,
            during: ({ code }) => {
              if (code !== moment) return;
              cutover ??= stage.startAs((engine, options) => cutOver(engine, stage.spec, options), {
                lockTimeoutMs: 300_000,
              });
            },
          }),
        );
        return { followed: await followed, cutOver: await cutover };
      });
      expect(await following).toMatchObject({
        followed: { code: 'run.stopped' },
        cutOver: { heldMs: expect.any(Number) },
      });
      expect((await stage.status()).phase).toBe('cut-over');
      expect((await stage.status()).control?.paused ?? null).toBeNull();
    },
  );
});
