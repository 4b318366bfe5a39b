/** Do both sides agree? The answer first, then what it rests on, then every key that differs. */
import type { PlanDocument } from '@keyferry/core';
import type { VerifyResult } from '@keyferry/engine';
import { stepLines } from '../layout/commands.ts';
import { counted, durationText } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';
import { differenceLines, sideLines, verdictText, verifyBody } from './sides.ts';

export interface VerifyView {
  readonly plan: PlanDocument;
  readonly result: VerifyResult;
  readonly next: string;
  readonly wayBack: string | null;
}

export const verifyView: View<VerifyView> = {
  human: verifyHuman,
  json: ({ plan, result, next, wayBack }, warnings) =>
    envelope('keyferry.verify', warnings, {
      migration: plan.migration,
      plan: plan.plan,
      ...verifyBody(result),
      next,
      wayBack,
    }),
};

function verifyHuman({ plan, result, next, wayBack }: VerifyView, context: ViewContext): string {
  const { palette } = context;
  const { verdict, differencesTotal, elapsedMs } = result;
  const title = `${palette.strong(`Verify ${plan.migration}`)}   both sides ${verdictText(result, palette)}`;
  return [
    `${title}   (plan ${plan.plan}, ${durationText(elapsedMs)})`,
    '',
    ...sideLines(result),
    ...(verdict === 'differ'
      ? [
          '',
          palette.strong(counted(differencesTotal, 'key differs', 'keys differ')),
          ...differenceLines(result, palette),
        ]
      : []),
    '',
    ...stepLines(next, wayBack, context),
    '',
  ].join('\n');
}
