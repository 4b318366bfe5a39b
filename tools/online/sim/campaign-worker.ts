/** One process of a campaign: runs the slices of seeds that it is sent, one after the other. */
import type { OnlineWorldOptions } from './online-world.ts';
import { describeOnlineFailure, runOnlineSeed } from './run-online-seed.ts';

export interface SliceAsked extends Required<Pick<OnlineWorldOptions, 'by' | 'work'>> {
  readonly from: number;
  readonly seeds: number;
}

export interface SliceDone {
  readonly histories: number;
  readonly events: number;
  readonly elapsedMs: number;
  readonly failures: readonly { readonly seed: number; readonly text: string }[];
}

async function run({ from, seeds, ...variant }: SliceAsked): Promise<SliceDone> {
  const startedAtMs = performance.now();
  const failures: SliceDone['failures'][number][] = [];
  let histories = 0;
  let events = 0;
  for (let seed = from; seed < from + seeds; seed += 1) {
    const result = await runOnlineSeed({ seed, ...variant });
    histories += result.histories;
    events += result.events;
    if (result.violations.length > 0) failures.push({ seed, text: describeOnlineFailure(result, variant) });
  }
  return { histories, events, elapsedMs: Math.round(performance.now() - startedAtMs), failures };
}

process.on('message', (asked: SliceAsked) => void answer(asked));

async function answer(asked: SliceAsked): Promise<void> {
  process.send?.(await run(asked));
}
