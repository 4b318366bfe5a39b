/** Do both sides agree? The answer first, then what it rests on, then every key that differs. */
import type { AppliedVerification } from '@keyferry/engine';
import { stepLines } from '../layout/commands.ts';
import { counted, durationText } from '../layout/numbers.ts';
import { applicationLines, applicationsJson } from '../online/verification.ts';
import { envelope, type View, type ViewContext } from '../view.ts';
import { differenceLines, sideLines, verdictText, verifyBody } from './sides.ts';

export interface VerifyView extends AppliedVerification {
  readonly next: string;
  readonly wayBack: string | null;
}

export const verifyView: View<VerifyView> = {
  human: verifyHuman,
  json: ({ plan, result, deviations, next, wayBack }, warnings) =>
    envelope('keyferry.verify', warnings, {
      migration: plan.migration,
      plan: plan.plan,
      ...verifyBody(result),
      ...applicationsJson(result),
      deviations,
      next,
      wayBack,
    }),
};

function verifyHuman({ plan, result, deviations, next, wayBack }: VerifyView, context: ViewContext): string {
  const { palette } = context;
  const { verdict, differencesTotal, elapsedMs } = result;
  const title = `${palette.strong(`Verify ${plan.migration}`)}   both sides ${verdictText(result, palette)}`;
  return [
    `${title}   (plan ${plan.plan}, ${durationText(elapsedMs)})`,
    '',
    ...sideLines(result),
    ...applicationLines(result),
    ...(verdict === 'differ'
      ? [
          '',
          palette.strong(counted(differencesTotal, 'key differs', 'keys differ')),
          ...differenceLines(result, palette),
        ]
      : []),
    ...(deviations.length > 0
      ? ['', palette.strong('Not as planned'), ...deviations.map((each) => `  ${palette.bad('!')} ${each}`)]
      : []),
    '',
    ...stepLines(next, wayBack, context),
    '',
  ].join('\n');
}
