/** What forgetting a migration takes away, for the question; and what follows from it. */
import type { MigrationId } from '@keyferry/core';
import type { ForgetResult, Loss, Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { stepLines } from '../layout/commands.ts';
import { counted } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export interface Forgotten {
  readonly migration: MigrationId;
  readonly result: ForgetResult;
}

/** Shown before the question. */
export function forgetIntent({ migration, phase }: Status, losses: readonly Loss[], palette: Palette): string {
  return [
    `${palette.strong(`Forget ${migration}`)}   ${phase}`,
    '  removes its plan, chunks, dead letters, runs and history from the state; touches no store',
    ...losses.map(({ code, detail }) => `  ${palette.caution('!')} ${code}   ${detail}`),
    '',
  ].join('\n');
}

export const forgottenView: View<Forgotten> = {
  human: ({ migration, result: { phase, items, lost } }, context) =>
    [
      `${context.palette.strong(`Forgot ${migration}`)}   was ${phase}; ${counted(items, 'item')} removed from the state`,
      ...lost.map(({ code, detail }) => `  ${context.palette.caution('!')} ${code}   ${detail}`),
      '',
      followsText(phase),
      ...stepLines(nextAfter(migration, lost), null, context),
      '',
    ].join('\n'),
  json: ({ migration, result: { phase, items, lost } }, warnings) =>
    envelope('keyferry.state-forgotten', warnings, {
      migration,
      phase,
      items,
      lost: lost.map(({ code }) => code),
      next: nextAfter(migration, lost),
    }),
};

function followsText(phase: ForgetResult['phase']): string {
  return phase === 'finalized'
    ? 'The done marker stays in the target: a new plan of this migration is blocked by it.'
    : 'The epoch stays in the target: a new plan begins with a higher attempt.';
}

/** Where something was lost that the target still knows, the way to have it back. */
function nextAfter(migration: MigrationId, lost: readonly Loss[]): string {
  return lost.length > 0 ? 'keyferry state adopt PLAN_FILE' : `keyferry plan ${migration} --out ${migration}.kfplan`;
}
