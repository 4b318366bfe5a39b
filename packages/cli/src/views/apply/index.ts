/**
 * What an apply did, held against its plan: each record of the source is under exactly one count, and the counts add
 * up to what was scanned, so that nothing can go missing without a number that says so. Deletes are counted apart: the
 * source has no record of them.
 */
import { deletesOf, nextStep, scannedOf, type ChunkCounts, type NextStep } from '@keyferry/core';
import type { ApplyResult, OnlineOutcome } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { countLabels, plannedCounts, shownCounts } from '../counts.ts';
import { backupLines } from '../backups.ts';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { counted, countText, durationText, rateText } from '../layout/numbers.ts';
import { differenceLines, sideLines, verdictText, verifyBody, type ShownVerify } from '../verify/sides.ts';
import { outcomeJson, outcomeLines } from '../online/outcome.ts';
import { applicationLines, applicationsJson } from '../online/verification.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface AppliedView {
  readonly result: Omit<ApplyResult, 'verify'> & {
    readonly verify: ShownVerify;
    /** Absent: the application takes no part. */
    readonly online?: OnlineOutcome & NextStep;
  };
  /** The argument that apply was given. */
  readonly appliedAs: string;
}

export const applyView: View<AppliedView> = {
  human: applyHuman,
  json: ({ result, appliedAs }, warnings) => {
    const { plan, run, attempt, resumed, outcome, counts, met, deviations, elapsedMs } = result;
    return envelope('keyferry.apply', warnings, {
      migration: plan.migration,
      plan: plan.plan,
      run,
      attempt,
      resumed,
      outcome,
      counts: { ...counts, scanned: scannedOf(counts), deletes: deletesOf(counts) },
      planned: plannedCounts(result),
      verify: { ...verifyBody(result.verify), ...applicationsJson(result.verify) },
      ...(result.online === undefined ? {} : { online: outcomeJson(result.online) }),
      metChanges: met.map(({ targetKey, action, what }) => ({ key: targetKey, action, what })),
      deviations,
      backups: result.backups,
      elapsedMs: Math.round(elapsedMs),
      ...stepAfter(result, appliedAs),
    });
  },
};

function applyHuman({ result, appliedAs }: AppliedView, context: ViewContext): string {
  const { palette } = context;
  const { plan, run, attempt, resumed, outcome, counts, deviations, verify, elapsedMs } = result;
  const verdict = outcome === 'done' ? palette.good('as planned') : palette.bad('not as planned');
  const perSecond = elapsedMs > 0 ? (scannedOf(counts) * 1000) / elapsedMs : 0;
  const { next, wayBack } = stepAfter(result, appliedAs);
  return [
    `${palette.strong(`Applied ${plan.plan}`)}   ${plan.migration}   ${verdict}`,
    `  run ${run}, attempt ${attempt}${resumed ? ', resumed' : ''}, ${durationText(elapsedMs)}, ${rateText(perSecond)}`,
    ...(result.online === undefined ? [] : outcomeLines(result.online)),
    '',
    ...countsTable(result, palette),
    '',
    `${palette.strong('Verify')}   both sides ${verdictText(verify, palette)}`,
    ...sideLines(verify),
    ...applicationLines(verify),
    ...(verify.verdict === 'differ' ? differenceLines(verify, palette) : []),
    ...(deviations.length > 0
      ? ['', palette.strong('Not as planned'), ...deviations.map((each) => `  ${palette.bad('!')} ${each}`)]
      : []),
    '',
    `Applied: ${doneText(counts)}; ${counted(deviations.length, 'deviation')}.`,
    ...backupLines(result.backups),
    ...stepLines(next, wayBack, context),
    '',
  ].join('\n');
}

function countsTable(result: AppliedView['result'], palette: Palette): string[] {
  const { counts } = result;
  const planned = plannedCounts(result);
  const { ofSource, ofTarget } = shownCounts(counts, planned);
  const rowOf = (kind: keyof ChunkCounts): string[] => {
    const [symbol, label, note] = countLabels[kind];
    const differs = counts[kind] !== planned[kind];
    const count = countText(counts[kind]);
    return [
      `  ${symbol} ${label}`,
      countText(planned[kind]),
      differs ? palette.caution(count) : count,
      counts[kind] > 0 ? note : '',
    ];
  };
  return columns(
    [
      ['', 'planned', 'done', ''],
      ...ofSource.map(rowOf),
      ['  scanned', countText(planned.scanned), countText(scannedOf(counts)), ''],
      ...ofTarget.map(rowOf),
    ],
    [
      { align: 'left', min: 16 },
      { align: 'right', min: 10 },
      { align: 'right', min: 10 },
      { align: 'left', gap: 3 },
    ],
  );
}

function doneText({ written, overwritten, deleted }: ChunkCounts): string {
  return [
    `${countText(written)} written`,
    ...(overwritten > 0 ? [`${countText(overwritten)} overwritten`] : []),
    ...(deleted > 0 ? [`${countText(deleted)} deleted`] : []),
  ].join(', ');
}

function stepAfter({ plan, outcome, counts, online }: AppliedView['result'], appliedAs: string): NextStep {
  if (online !== undefined) return { next: online.next, wayBack: online.wayBack };
  const step = nextStep(plan.migration, outcome === 'done' ? 'verified' : 'applied', appliedAs);
  return counts.deadLetters > 0 ? { ...step, next: `keyferry runs show ${plan.migration} --dead-letters` } : step;
}
