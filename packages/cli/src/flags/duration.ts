/** A duration with its unit. A bare number is refused: it hides whether seconds or milliseconds are meant. */
import { Flags } from '@oclif/core';
import { parseDurationMs } from '@keyferry/core';
import { usageError } from '../usage-error.ts';

/** Milliseconds. */
export const durationFlag = Flags.custom<number>({
  helpValue: 'DURATION',
  parse: (input) => Promise.resolve(durationMs(input)),
});

export function durationMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === null)
    throw usageError(`${text} is not a duration`, 'write a number with its unit, such as 500ms 30s 10m 2h');
  return ms;
}
