/** What apply, rollback and finalize came to under strategy `parallel`, and what a rollback would do. */
import type { ParallelStatus } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { durationText } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';
import { statusBody, statusLines } from './status.ts';

export interface ParallelRunResult {
  readonly done: 'applied' | 'rolled-back' | 'finalized';
  readonly status: ParallelStatus;
}

const heads: Readonly<Record<ParallelRunResult['done'], string>> = {
  applied: 'Applied',
  'rolled-back': 'Led back to 2.x:',
  finalized: 'Finalized: 2.x is not needed any more;',
};

export const parallelRunView: View<ParallelRunResult> = {
  human: ({ done, status }, context) => {
    const head = `${heads[done]} ${status.migration}`;
    return [context.palette.strong(head), ...statusLines(status, context), ''].join('\n');
  },
  json: ({ done, status }, warnings) => envelope('keyferry.parallel-run', warnings, { done, ...statusBody(status) }),
};

/** Shown before the question. */
export function wayBackIntent({ migration, rollback, frozenMs }: ParallelStatus, palette: Palette): string {
  const row = rollback.find(({ now }) => now);
  return [
    palette.strong(`Roll back ${migration}`),
    ...(row === undefined
      ? []
      : [
          `  steps         ${row.steps.join(', ')}`,
          `  clients see   ${row.clients}`,
          `  may be lost   ${row.loses}`,
          `  by hand       ${row.byHand}`,
        ]),
    ...(frozenMs === null ? [] : [`  so far        writes were refused for ${durationText(frozenMs)}`]),
    '',
  ].join('\n');
}
