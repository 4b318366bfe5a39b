/** How far a tail is, in words: shared by messages, results and status. */
import type { FeedBacklog, TailCounts, TailLag } from '@keyferry/core';
import { bytesText, counted, countText, durationText } from '../layout/numbers.ts';

export function tailCountsText({ puts, deletes, leftOut, ranges, reconciled }: TailCounts): string {
  const more = [
    ...(leftOut > 0 ? [`${countText(leftOut)} left out`] : []),
    ...(ranges > 0 ? [counted(ranges, 'range')] : []),
    ...(reconciled > 0 ? [`${counted(reconciled, 'comparison')} in place of a lost position`] : []),
  ];
  return [`${counted(puts, 'put')}, ${counted(deletes, 'delete')} carried`, ...more].join(', ');
}

export function lagText({ ms, changes }: TailLag): string {
  const how = ms === 0 ? 'no lag' : `at most ${durationText(ms)} behind`;
  return changes === null || changes === 0 ? how : `${how}, ${counted(changes, 'change')} at the most`;
}

export function backlogText({ bytes, bytesLeft }: FeedBacklog): string {
  const left = bytesLeft === null ? '' : `, and drops it after ${bytesText(Math.max(0, bytesLeft))} more`;
  return `${bytesText(bytes)} of history that nobody confirmed${left}`;
}
