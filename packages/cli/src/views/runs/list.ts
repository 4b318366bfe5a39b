/** Runs: one line for the latest run of each migration. */
import { instantText, scannedOf, standingOf } from '@keyferry/core';
import type { RunSummary } from '@keyferry/engine';
import { holderForPeople } from '../../lock-holder.ts';
import { percent } from '../../progress/line.ts';
import { columns } from '../layout/columns.ts';
import { counted, countText, instantForPeople, rateText } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';
import { controlJson } from './control.ts';

export const runsView: View<readonly RunSummary[]> = {
  human: (runs, { palette }) =>
    runs.length === 0
      ? 'no runs\n'
      : `${columns(
          runs.map((run) => [
            palette.strong(run.status.migration),
            `${run.status.phase}${standingSuffix(run)}`,
            run.status.state?.run ?? '',
            progressText(run),
            chunksText(run),
            counted(run.status.counts?.deadLetters ?? 0, 'dead letter'),
            run.pace === null ? '' : rateText(run.pace.perSecond),
            startedText(run),
            run.running && run.status.lock !== null ? holderForPeople(run.status.lock.holder) : '',
          ]),
          [
            { align: 'left' },
            { align: 'left' },
            { align: 'left' },
            { align: 'right' },
            { align: 'right' },
            { align: 'right' },
            { align: 'right' },
            { align: 'left' },
            { align: 'left' },
          ],
        ).join('\n')}\n`,
  json: (runs, warnings) => envelope('keyferry.runs', warnings, { runs: runs.map(runJson) }),
};

/** What the phase alone does not say: whether anybody is at it, and whether they may be. */
export function standingSuffix({ status: { phase, control }, running }: RunSummary): string {
  switch (standingOf(control)) {
    case 'cancelled':
      return ', cancelled';
    case 'paused':
      return running ? ', stopping for a pause' : ', paused';
    case 'going':
      if (running) return ', running';
      return phase === 'applying' || phase === 'rolling-back' ? ', nobody at it' : '';
  }
}

export function progressText({ status: { counts, plan } }: RunSummary): string {
  if (counts === null || plan === null) return '';
  const [done, total] = [scannedOf(counts), plan.totals.scanned];
  return `${countText(done)} of ${counted(total, 'entry', 'entries')} (${percent(done, total)} %)`;
}

export const chunksText = ({ status: { chunksDone, chunksTotal } }: RunSummary): string =>
  `${countText(chunksDone)} of ${counted(chunksTotal, 'chunk')}`;

export const startedText = ({ status: { state } }: RunSummary): string =>
  state === null ? '' : `since ${instantForPeople(instantText(state.startedAtMs))}`;

export function runJson({ status, running, pace }: RunSummary) {
  const { migration, phase, state, plan, counts, chunksDone, chunksTotal, lock, control, step } = status;
  return {
    migration,
    run: state?.run ?? null,
    attempt: state?.attempt ?? 0,
    plan: state?.plan ?? null,
    phase,
    running,
    startedAt: state === null ? null : instantText(state.startedAtMs),
    holder: running && lock !== null ? holderForPeople(lock.holder) : null,
    heartbeatAgoMs: running && lock !== null ? lock.heartbeatAgoMs : null,
    chunks: { done: chunksDone, total: chunksTotal },
    counts: counts === null ? null : { ...counts, scanned: scannedOf(counts) },
    planned: plan === null ? null : plan.totals.scanned,
    pace:
      pace === null
        ? null
        : {
            at: instantText(pace.atMs),
            perSecond: pace.perSecond,
            perSecondMax: pace.perSecondMax,
            limitedBy: pace.limitedBy,
          },
    control: controlJson(control),
    next: step.next,
    wayBack: step.wayBack,
  };
}
