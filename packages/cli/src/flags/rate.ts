/** A rate with its unit. A bare number is refused, as that of a duration is. */
import { Flags } from '@oclif/core';
import { parseRatePerSecond } from '@keyferry/core';
import { usageError } from '../usage-error.ts';

/** Keys a second. */
export const rateFlag = Flags.custom<number>({
  helpValue: 'RATE',
  parse: (input) => Promise.resolve(ratePerSecond(input)),
});

export function ratePerSecond(text: string): number {
  const perSecond = parseRatePerSecond(text);
  if (perSecond === null) throw usageError(`${text} is not a rate`, 'write keys a second, such as 200/s or 2000/s');
  return perSecond;
}
