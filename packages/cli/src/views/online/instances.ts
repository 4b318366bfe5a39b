/** Instances of an application at a switch, in words. */
import type { Missing } from '@keyferry/core';
import { counted } from '../layout/numbers.ts';

const whyMissing: Readonly<Record<Missing['why'], string>> = {
  behind: 'still in an older mode',
  lapsed: 'silent for longer than its lease',
  'gone-lately': 'named gone; its last requests may still be under way',
};

/** @param short how many more would have to register */
export function missingText(missing: readonly Missing[], short: number): string {
  const parts = missing.map(({ instance, why }) => `${instance} is missing (${whyMissing[why]})`);
  if (short > missing.length) parts.push(`${counted(short, 'more instance')} must acknowledge`);
  return parts.join(', ') || 'nobody is missing';
}
