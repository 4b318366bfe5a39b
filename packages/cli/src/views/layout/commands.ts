/**
 * Commands to paste. A run that was given another configuration file names it in the next command too: without it the
 * command would not work, or, worse, work on something else.
 */
import { shellWord } from '@keyferry/core';
import type { ViewContext } from '../view.ts';

export function pasteable(command: string, { configFlag }: Pick<ViewContext, 'configFlag'>): string {
  return configFlag === null ? command : `${command} -c ${shellWord(configFlag)}`;
}

/** `Next: …` and, where there is one, `Way back: …`. */
export function stepLines(next: string, wayBack: string | null, context: ViewContext): string[] {
  return [
    `Next: ${pasteable(next, context)}`,
    ...(wayBack === null ? [] : [`Way back: ${pasteable(wayBack, context)}`]),
  ];
}
