/** What became of the dead letters that were tried again, and whether the migration is as planned now. */
import { nextStep, scannedOf, type NextStep } from '@keyferry/core';
import type { RetryResult } from '@keyferry/engine';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { counted, countText, durationText } from '../layout/numbers.ts';
import { differenceLines, sideLines, verdictText, verifyBody } from '../verify/sides.ts';
import { envelope, type View, type ViewContext } from '../view.ts';
import { withheld } from './show.ts';

export const retryView: View<RetryResult> = {
  human: retryHuman,
  json: (result, warnings) => {
    const { plan, run, tried, notReached, stillDead, counts, outcome, verify, deviations, elapsedMs } = result;
    return envelope('keyferry.retry', warnings, {
      migration: plan.migration,
      plan: plan.plan,
      run,
      outcome,
      tried: { ...tried, total: scannedOf(tried) },
      notReached,
      stillDead: stillDead.map((each) => ({ ...each, reason: each.sensitive ? null : each.reason })),
      counts: { ...counts, scanned: scannedOf(counts) },
      verify: verify === null ? null : verifyBody(verify),
      deviations,
      elapsedMs: Math.round(elapsedMs),
      ...stepAfter(result),
    });
  },
};

function retryHuman(result: RetryResult, context: ViewContext): string {
  const { palette } = context;
  const { plan, run, tried, notReached, stillDead, outcome, verify, deviations, elapsedMs } = result;
  const { next, wayBack } = stepAfter(result);
  const rows = columns(
    [
      ['  + written', countText(tried.written), ''],
      ...(tried.overwritten > 0
        ? [['  ~ overwritten', countText(tried.overwritten), 'in place of what the plan saw']]
        : []),
      ['  = equal', countText(tried.equal), 'was there already'],
      ['  ! kept', countText(tried.kept), 'target differs'],
      ...(tried.changed > 0 ? [['  ! met a change', countText(tried.changed), 'no longer as planned: left']] : []),
      ['  x tombstoned', countText(tried.tombstoned), 'deleted in the target meanwhile, not brought back'],
      ['  . not carried', countText(tried.notCarried), 'no longer in the source, left out, or expired'],
      ['  x still dead', countText(tried.deadLetters), ''],
    ],
    [{ align: 'left' }, { align: 'right', min: 10 }, { align: 'left', gap: 3 }],
  );
  const rest = tried.deadLetters - stillDead.length;
  return [
    `${palette.strong(`Tried ${counted(scannedOf(tried), 'dead letter')} again`)}   ${plan.migration}   run ${run}, ${durationText(elapsedMs)}`,
    ...rows,
    ...stillDead.map(
      ({ targetKey, reason, sensitive }) =>
        `      ${palette.bad('x')} ${keyText(targetKey)}   ${sensitive ? withheld : textForDisplay(reason)}`,
    ),
    ...(rest > 0 ? [`      and ${countText(rest)} more`] : []),
    ...(notReached > 0
      ? [`  ${counted(notReached, 'other letter')} that no checkpoint has passed: the next apply decides`]
      : []),
    ...(verify === null
      ? ['', 'Chunks are left to copy, so nothing was verified.']
      : ['', `${palette.strong('Verify')}   both sides ${verdictText(verify, palette)}`, ...sideLines(verify)]),
    ...(verify?.verdict === 'differ' ? differenceLines(verify, palette) : []),
    ...(outcome === 'deviated'
      ? ['', palette.strong('Not as planned'), ...deviations.map((each) => `  ${palette.bad('!')} ${each}`)]
      : []),
    '',
    ...stepLines(next, wayBack, context),
    '',
  ].join('\n');
}

const phaseAfter = { done: 'verified', deviated: 'applied', unfinished: 'applying' } as const;

function stepAfter({ plan, outcome, counts, appliedAs }: RetryResult): NextStep {
  const step = nextStep(plan.migration, phaseAfter[outcome], appliedAs);
  // Online it depends on the mode, which status reads.
  if (plan.strategy !== 'offline' && outcome === 'done') {
    return { next: `keyferry status ${plan.migration}`, wayBack: `keyferry rollback ${plan.migration}` };
  }
  return outcome === 'deviated' && counts.deadLetters > 0
    ? { ...step, next: `keyferry runs show ${plan.migration} --dead-letters` }
    : step;
}
