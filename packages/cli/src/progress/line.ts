/** One line of progress: done of total, rate, time left, what went wrong so far. The same words live and in logs. */
import { heldBackBy } from '../views/layout/limits.ts';
import { countText, counted, durationText, rateText } from '../views/layout/numbers.ts';
import type { Progress, Stage } from './tracker.ts';

const verbs: Readonly<Record<Stage, string>> = {
  sort: 'sorting',
  plan: 'reading',
  check: 'checking the plan',
  backfill: 'copying',
  retry: 'trying dead letters again',
  tail: 'carrying changes',
  verify: 'verifying',
  rollback: 'removing',
};

export function progressLine(progress: Progress): string {
  const { stage, done, total, unit, perSecond, etaMs, counts, chunks, retries, pace } = progress;
  const amount =
    total === null ? counted(done, unit) : `${countText(done)} of ${counted(total, unit)} (${percent(done, total)} %)`;
  const parts = [`${verbs[stage]}  ${amount}`];
  if (perSecond !== null && unit === 'key') parts.push(rateText(perSecond));
  if (pace !== null) parts.push(...heldBackBy(pace));
  if (etaMs !== null && done !== total) parts.push(`${etaText(etaMs)} left`);
  if (chunks !== null && chunks.total > 1) parts.push(`${countText(chunks.done)} of ${countText(chunks.total)} chunks`);
  if (counts.deadLetters > 0) parts.push(counted(counts.deadLetters, 'dead letter'));
  if (retries > 0) parts.push(counted(retries, 'retry', 'retries'));
  return parts.join(', ');
}

export function percent(done: number, total: number): number {
  // Never 100 before the end.
  return total === 0 ? 100 : Math.min(Math.floor((done / total) * 100), done < total ? 99 : 100);
}

function etaText([least, most]: readonly [number, number]): string {
  const [from, to] = [durationText(roundTime(least)), durationText(roundTime(most))];
  return from === to ? `about ${from}` : `${from} to ${to}`;
}

/** Whole seconds, from a minute on whole tens of seconds, from ten minutes on whole minutes. */
function roundTime(ms: number): number {
  const step = ms < 60_000 ? 1000 : ms < 600_000 ? 10_000 : 60_000;
  return Math.max(1000, Math.ceil(ms / step) * step);
}
