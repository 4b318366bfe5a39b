/** What an apply of strategy `replicate` came to. */
import { nextStep, scannedOf, type NextStep, type Phase } from '@keyferry/core';
import type { ReplicateResult } from '@keyferry/engine';
import { columns } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { counted, countText, durationText } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';
import { generationJson } from './standing.ts';
import { lagText, tailCountsText } from './wording.ts';

export interface ReplicatedView {
  readonly result: ReplicateResult;
  /** The argument that apply was given. */
  readonly appliedAs: string;
}

const verdicts: Readonly<Record<ReplicateResult['outcome'], string>> = {
  proven: 'follows, and proven',
  differs: 'both sides differ',
  unsettled: 'records would not stand still for long enough to be compared',
};

export const replicateView: View<ReplicatedView> = {
  human: ({ result, appliedAs }, context) => {
    const { palette } = context;
    const { plan, run, attempt, resumed, outcome, tail, counts, carried, lag, generation, refused, refusedTotal } =
      result;
    const verdict = outcome === 'proven' ? palette.good(verdicts[outcome]) : palette.bad(verdicts[outcome]);
    const { next, wayBack } = stepAfter(result, appliedAs);
    const rows = [
      ['copied', `${countText(counts.written)} of ${counted(scannedOf(counts), 'entry', 'entries')}`],
      [tail, tailCountsText(carried)],
      ['lag', lagText(lag)],
      ...(generation === null
        ? []
        : [
            [
              'proven',
              `${counted(generation.records, 'record')} equal on both sides, up to position ${generation.position}`,
            ],
          ]),
    ];
    return [
      `${palette.strong(`Replicating ${plan.plan}`)}   ${plan.migration}   ${verdict}`,
      `  run ${run}, attempt ${attempt}${resumed ? ', resumed' : ''}, ${durationText(result.elapsedMs)}`,
      '',
      ...columns(
        rows.map(([name = '', text = '']) => [`  ${name}`, text]),
        [{ align: 'left' }, { align: 'left' }],
      ),
      ...result.differences.map(({ key, what }) => `  ${palette.bad('!')} ${keyText(key)}   ${what}`),
      ...refused.map(({ key, reason }) => `  ${palette.bad('x')} ${keyText(key)}   ${textForDisplay(reason)}`),
      ...(refusedTotal > refused.length ? [`  and ${countText(refusedTotal - refused.length)} more`] : []),
      '',
      ...stepLines(next, wayBack, context),
      '',
    ].join('\n');
  },
  json: ({ result, appliedAs }, warnings) => {
    const { plan, run, attempt, resumed, outcome, tail, counts, carried, lag, generation } = result;
    return envelope('keyferry.replicate', warnings, {
      migration: plan.migration,
      plan: plan.plan,
      run,
      attempt,
      resumed,
      outcome,
      tail,
      counts: { ...counts, scanned: scannedOf(counts) },
      carried,
      lag,
      generation: generation === null ? null : generationJson(generation),
      differences: result.differences,
      differencesTotal: result.differencesTotal,
      refused: result.refused,
      refusedTotal: result.refusedTotal,
      elapsedMs: Math.round(result.elapsedMs),
      ...stepAfter(result, appliedAs),
    });
  },
};

function stepAfter({ plan, tail, outcome }: ReplicateResult, appliedAs: string): NextStep {
  const phase: Phase = tail === 'reverse' ? 'cut-over' : outcome === 'proven' ? 'replicating' : 'applied';
  const step = nextStep(plan.migration, phase, appliedAs);
  return phase === 'applied' ? { ...step, next: `keyferry status ${plan.migration}` } : step;
}
