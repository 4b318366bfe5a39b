/** What a report says, before it is text, Markdown or HTML: rows and sentences, each once. Pure. */
import {
  instantText,
  nextStep,
  scannedOf,
  type ChunkCounts,
  type DeadLetter,
  type MigrationState,
  type PlanDocument,
} from '@keyferry/core';
import type { ReportData } from '@keyferry/engine';
import { countLabels, plannedCounts, shownCounts } from '../counts.ts';
import { counted, countText, durationText, instantForPeople, rateText } from '../layout/numbers.ts';
import { courseOf, meanRate, type Course } from './course.ts';

export interface Report {
  readonly data: ReportData;
  readonly state: MigrationState;
  readonly course: Course | null;
  readonly deviations: readonly string[];
  readonly verdict: { readonly text: string; readonly level: 'good' | 'bad' | 'caution' };
}

export function reportOf(data: ReportData): Report {
  const { status, run, verified } = data;
  const state = status.state as MigrationState; // a dossier is of a migration that the state knows
  const deviations = verified?.deviations ?? run?.deviations ?? [];
  return {
    data,
    state,
    course: run === null ? null : courseOf(run),
    deviations,
    verdict: verdictOf(state, data, deviations),
  };
}

function verdictOf({ phase }: MigrationState, { verified }: ReportData, deviations: readonly string[]) {
  if (phase === 'finalized') return { text: 'finalized, proven equal', level: 'good' } as const;
  if (phase === 'rolled-back' || phase === 'reopened') return { text: phase, level: 'caution' } as const;
  if (verified?.verify?.verdict === 'differ') return { text: 'both sides differ', level: 'bad' } as const;
  if (deviations.length > 0) return { text: 'not as planned', level: 'bad' } as const;
  if (phase === 'verified') return { text: 'verified, both sides agree', level: 'good' } as const;
  return { text: phase, level: 'caution' } as const;
}

export interface CountRow {
  readonly label: string;
  readonly planned: number | null;
  readonly done: number;
  readonly note: string;
  readonly differs: boolean;
}

/** Plan totals against what happened; the sum stands under what was scanned, deletes stand behind it. */
export function countRows(plan: PlanDocument | null, counts: ChunkCounts): readonly CountRow[] {
  const planned = plan === null ? null : plannedCounts({ plan });
  const { ofSource, ofTarget } = shownCounts(counts, planned);
  const rowOf = (kind: keyof ChunkCounts): CountRow => {
    const [, label, note] = countLabels[kind];
    const want = planned === null ? null : planned[kind];
    const done = counts[kind];
    return { label, planned: want, done, note: done > 0 ? note : '', differs: want !== null && want !== done };
  };
  const scanned = scannedOf(counts);
  const want = planned?.scanned ?? null;
  const sum = { label: 'scanned', planned: want, done: scanned, note: '', differs: want !== null && want !== scanned };
  return [...ofSource.map(rowOf), sum, ...ofTarget.map(rowOf)];
}

export interface Tile {
  readonly value: string;
  readonly label: string;
}

export function tilesOf({ data, state, course }: Report): readonly Tile[] {
  const { status, run, deadLettersTotal } = data;
  const written = status.counts?.written ?? 0;
  const planned = status.plan?.totals.actions.create.keys;
  const tiles: Tile[] = [
    {
      value: countText(written),
      label: planned === undefined ? 'records written' : `of ${countText(planned)} to write`,
    },
    { value: `${countText(status.chunksDone)} / ${countText(status.chunksTotal)}`, label: 'chunks done' },
  ];
  if (run !== null && run.endedAtMs !== null) {
    tiles.push({ value: durationText(run.endedAtMs - run.startedAtMs), label: `run time, attempt ${run.attempt}` });
  } else tiles.push({ value: String(state.attempt), label: 'attempt' });
  if (course !== null && course.records > 0) {
    tiles.push({ value: rateText(meanRate(course)), label: 'mean while copying' });
  }
  if (course !== null && course.p99Ms !== null)
    tiles.push({ value: durationText(course.p99Ms), label: 'write latency p99' });
  tiles.push({ value: countText(deadLettersTotal), label: 'dead letters' });
  return tiles;
}

/** One sentence on the course of the run; it stands under the charts and in the text. */
export function courseSentence(course: Course): string {
  const { requests, failures, p50Ms, p99Ms, slowestMs } = course;
  if (course.records === 0 && requests === 0) return 'nothing was copied in this run';
  const latency =
    p50Ms === null || p99Ms === null || slowestMs === null
      ? ''
      : `, write latency p50 ${durationText(p50Ms)}, p99 ${durationText(p99Ms)}, slowest ${durationText(slowestMs)}`;
  const failed = failures === 0 ? '' : `, ${countText(failures)} failed and were repeated`;
  return `${counted(course.records, 'record')} in ${durationText(course.endMs)}, ${rateText(meanRate(course))}; ${counted(requests, 'write request')}${failed}${latency}`;
}

export function deadLetterNote({ sensitive }: DeadLetter): string {
  return sensitive === true ? 'sensitive' : '';
}

export const timeText = (atMs: number): string => `${instantText(atMs).slice(0, 19).replace('T', ' ')} UTC`;

/** Null where this report is the last thing that there was to do. */
export function nextCommand({ data: { status }, state }: Report): string | null {
  return state.phase === 'finalized' ? null : status.step.next;
}

/** The way back as it is now, and why there is none where there is none. */
export function wayBackText({ state }: Report): string {
  const { wayBack } = nextStep(state.migration, state.phase, state.appliedAs);
  if (wayBack !== null) return wayBack;
  switch (state.phase) {
    case 'finalized':
      return `none: finalized ${state.done === null ? '' : `at ${instantForPeople(state.done.finalizedAt)} by ${state.done.by}`}`;
    case 'finalizing':
      return 'none: finalize is past the point of no return';
    case 'reopened':
      return 'none for what was finalized before';
    default:
      return 'nothing to go back from';
  }
}
