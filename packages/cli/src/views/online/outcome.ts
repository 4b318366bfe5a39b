/** Where a command left the application that takes part in its migration: the mode, and how long writes were held. */
import type { OnlineOutcome } from '@keyferry/engine';
import { durationText } from '../layout/numbers.ts';

export const modeMeanings: Readonly<Record<OnlineOutcome['mode'], string>> = {
  legacy: 'instances read and write the source',
  draining: 'instances hold their writes back',
  migrating: 'instances write the target, and read it before the source',
  settled: 'instances read and write the target; deletes still leave tombstones',
  normal: 'instances read and write the target',
  returning: 'instances read the source and hold their writes back',
};

export function outcomeLines({ mode, epoch, writesHeldMs }: OnlineOutcome): string[] {
  return [
    `  mode     ${mode} (epoch ${epoch}): ${modeMeanings[mode]}`,
    `  writes   ${writesHeldMs === null ? 'were not held back' : `were held back for ${durationText(writesHeldMs)}`}`,
  ];
}

export const outcomeJson = ({ mode, epoch, writesHeldMs }: OnlineOutcome) => ({
  mode,
  epoch,
  writesHeldMs: writesHeldMs === null ? null : Math.round(writesHeldMs),
});
