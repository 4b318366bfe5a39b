/** A state that was built anew from the target. */
import { fenceToText, type MigrationId, type NextStep, type PlanId } from '@keyferry/core';
import type { AdoptResult } from '@keyferry/engine';
import { stepLines } from '../layout/commands.ts';
import { counted } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export interface Adopted {
  readonly migration: MigrationId;
  readonly plan: PlanId;
  readonly result: AdoptResult;
  readonly step: NextStep;
}

export const adoptedView: View<Adopted> = {
  human: ({ migration, plan, result, step }, context) => {
    const { phase, attempt, chunks, found } = result;
    const what =
      phase === 'finalized'
        ? 'The target says that it was finalized; so does the state now.'
        : `apply goes through ${counted(chunks, 'chunk')} once more and writes only what is missing.`;
    return [
      `${context.palette.strong(`Adopted ${migration}`)}   ${phase}, attempt ${attempt}, plan ${plan}`,
      `  the target's epoch was ${fenceToText(found)}; raised, so that a run with the lost state can write no more`,
      `  ${what}`,
      ...stepLines(step.next, step.wayBack, context),
      '',
    ].join('\n');
  },
  json: ({ migration, plan, result: { run, phase, attempt, chunks }, step }, warnings) =>
    envelope('keyferry.state-adopted', warnings, { migration, plan, run, phase, attempt, chunks, ...step }),
};
