/** What a cutover would do, for the question; and what it did. */
import { nextStep, type MigrationId } from '@keyferry/core';
import type { CutoverResult, Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText } from '../layout/keys.ts';
import { counted, durationText } from '../layout/numbers.ts';
import type { ViewContext } from '../view.ts';
import { generationJson } from './standing.ts';

export interface FlippedView {
  readonly strategy: 'replicate';
  readonly migration: MigrationId;
  readonly appliedAs: string;
  readonly result: CutoverResult;
}

export function flippedHuman({ migration, appliedAs, result }: FlippedView, context: ViewContext): string {
  const { palette } = context;
  const { run, heldMs, compared, generation, strays, elapsedMs } = result;
  const { next, wayBack } = nextStep(migration, 'cut-over', appliedAs);
  return [
    `${palette.strong(`Cut over ${migration}`)}   ${palette.good('the target is primary')}   run ${run}, ${durationText(elapsedMs)}`,
    `  writes were held for ${durationText(heldMs)}; ${counted(compared, 'record')} compared in it`,
    ...(generation === null
      ? []
      : [`  ${counted(generation.records, 'record was', 'records were')} proven equal before it`]),
    ...strays.map(
      (key) =>
        `  ${palette.bad('! stray')}   ${keyText(key)}   written in the source after it; the target does not have it`,
    ),
    '',
    'The source follows the target while the next command runs; without it, a rollback has more to carry back.',
    ...stepLines(next, wayBack, context),
    '',
  ].join('\n');
}

export function flippedJson({ migration, appliedAs, result }: FlippedView) {
  const { run, plan, heldMs, compared, generation, strays, elapsedMs } = result;
  return {
    migration,
    plan: plan.plan,
    run,
    heldMs: Math.round(heldMs),
    compared,
    generation: generation === null ? null : generationJson(generation),
    strays,
    elapsedMs: Math.round(elapsedMs),
    ...nextStep(migration, 'cut-over', appliedAs),
  };
}

/** Shown before the question. */
export function flipIntent({ migration, phase, plan }: Status, palette: Palette): string {
  const settings = plan?.replicate;
  const bound = settings === undefined ? '' : `, for ${durationText(settings.pauseMaxMs)} at the most`;
  const who = settings === undefined ? '' : `, by ${settings.freeze.where}`;
  return [
    `${palette.strong(`Cut over ${migration}`)}   ${phase}`,
    '  proves both sides equal, while applications go on',
    `  then holds writes${who}${bound}; drains, compares what moved, and leads applications to the target`,
    '  if anything differs, or it takes longer, writes go on in the source and nothing has changed',
    '',
  ].join('\n');
}
