/**
 * Goal: where the target compares no fences, a worker that lost its chunk notices before its next batch.
 * Method: the chunk is taken away in the state while batches of one record are under way; the target is looked at in the
 * instant in which the worker says that it lost the chunk.
 */
import { chunkId, type TargetCapabilities } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { Stage } from '../testing/stage.ts';

const keys = 60;

/** How many records were there when the worker noticed; null when it never did. */
async function writtenWhenLost(capabilities: Partial<TargetCapabilities>): Promise<number | null> {
  const stage = new Stage({
    spec: { workers: 1, limits: { chunkKeysMax: 1000, chunkBytesMax: 1_000_000, createRowsMax: 1_000_000 } },
    target: { capabilities: { ...capabilities, batchKeysMax: 1 }, rules: { fence: false } },
  });
  stage.fillSourceWith(keys);
  const plan = await stage.plan();
  let stolen = false;
  let atLoss: number | null = null;
  const steal = async (): Promise<void> => {
    const scope = 'shop/0000000001';
    for (let isMine = false; !isMine;) {
      const entry = await stage.state.read('chunk', scope, chunkId(0));
      if (entry === null) return;
      const item = { ...entry.item, token: entry.item.token + 1, leaseEndsAtMs: 0 };
      // The worker may write in between: then once more.
      isMine = (await stage.state.write('chunk', scope, chunkId(0), item, entry.version)).kind === 'written';
    }
  };
  const applied = await stage.apply(plan, {
    during: ({ code }) => {
      if (code === 'backfill.progress' && !stolen) {
        stolen = true;
        void steal();
      }
      if (code === 'chunk.lost') atLoss ??= stage.target.snapshot().size;
    },
  });
  expect(applied).toMatchObject({ outcome: 'done', counts: { written: keys } });
  return atLoss;
}

describe('a worker whose chunk was taken over', () => {
  it('notices before its next batch where no fence would stop it', async () => {
    const written = await writtenWhenLost({ fencing: false });
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThanOrEqual(20); // at most what was under way when it happened, and right before
  });

  it('notices only at its next checkpoint where a fence is said to stop it', async () => {
    expect(await writtenWhenLost({ fencing: true })).toBe(keys);
  });
});
