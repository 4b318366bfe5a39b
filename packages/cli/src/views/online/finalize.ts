/** What finalize would do where applications take part, for the question. */
import type { Status } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';

export function finalizeOnlineIntent({ migration, phase }: Status, palette: Palette): string {
  return [
    `${palette.strong(`Finalize ${migration}`)}   ${phase}`,
    '  verifies once more, then announces the mode normal: deletes leave no tombstones any more',
    `  then writes the done marker and drops its own keys from the target: ${palette.strong('rollback ends here')}`,
    '  the source is left as it is; no write is held back',
    '',
  ].join('\n');
}
