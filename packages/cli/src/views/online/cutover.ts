/** What a cutover would do, for the question; and what it did. */
import type { MigrationId } from '@keyferry/core';
import type { OnlineCutoverResult } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { stepLines } from '../layout/commands.ts';
import { durationText } from '../layout/numbers.ts';
import { sideLines, verdictText, verifyBody } from '../verify/sides.ts';
import type { ViewContext } from '../view.ts';
import { outcomeJson, outcomeLines } from './outcome.ts';
import { applicationLines, applicationsJson } from './verification.ts';

export interface SettledView {
  readonly strategy: 'dual-read';
  readonly migration: MigrationId;
  readonly result: OnlineCutoverResult;
}

/** Shown before the question. */
export function settleIntent(migration: MigrationId, palette: Palette): string {
  return [
    palette.strong(`Cut over ${migration}`),
    '  verifies once more that every key of the source is in the target, or was written or deleted by the application',
    '  then no instance reads the source any more; no write is held back',
    `  way back: keyferry rollback ${migration}, until it is finalized`,
    '',
  ].join('\n');
}

export function settledHuman({ migration, result }: SettledView, context: ViewContext): string {
  const { run, online, verify, elapsedMs } = result;
  return [
    `${context.palette.strong(`Cut over ${migration}`)}   run ${run}, ${durationText(elapsedMs)}`,
    ...outcomeLines(online),
    ...(verify === null
      ? []
      : [
          '',
          `${context.palette.strong('Verify')}   both sides ${verdictText(verify, context.palette)}`,
          ...sideLines(verify),
          ...applicationLines(verify),
        ]),
    '',
    ...stepLines(online.next, online.wayBack, context),
    '',
  ].join('\n');
}

export const settledJson = ({ migration, result: { run, online, verify, elapsedMs } }: SettledView) => ({
  migration,
  run,
  online: outcomeJson(online),
  verify: verify === null ? null : { ...verifyBody(verify), ...applicationsJson(verify) },
  elapsedMs: Math.round(elapsedMs),
  next: online.next,
  wayBack: online.wayBack,
});
