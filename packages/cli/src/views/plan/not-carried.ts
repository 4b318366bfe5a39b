/** What a scan met and a plan does not carry over, by reason. Nothing is silent: these add up with the actions. */
import type { NotCarriedReason, PlanDocument } from '@keyferry/core';
import { counted, countText } from '../layout/numbers.ts';

export const notCarriedTexts: Readonly<Record<NotCarriedReason, (count: number) => string>> = {
  'dir.with-children': (count) => `${counted(count, 'directory', 'directories')} with children`,
  'dir.empty': (count) => `${countText(count)} empty ${count === 1 ? 'directory' : 'directories'}`,
  'ttl.expired': (count) => `${countText(count)} whose time ran out`,
  'key.hidden': (count) => `${countText(count)} with a hidden name`,
  'key.not-text': (count) => `${counted(count, 'key')} that ${count === 1 ? 'is' : 'are'} not UTF-8`,
  'lock.held': (count) => `${counted(count, 'lock')} that a session holds`,
  'flags.set': (count) => `${countText(count)} with flags`,
  'item.unmapped': (count) => `${countText(count)} not in the form of a record`,
  'rule.excluded': (count) => `${counted(count, 'key')} that the rules exclude`,
  'rule.dropped': (count) => `${counted(count, 'key')} that a rule drops`,
};

export function notCarriedText(notCarried: PlanDocument['totals']['notCarried']): string {
  const reasons = Object.keys(notCarriedTexts) as NotCarriedReason[];
  return reasons
    .map((reason) => ({ reason, count: notCarried[reason] ?? 0 }))
    .filter(({ count }) => count > 0)
    .map(({ reason, count }) => notCarriedTexts[reason](count))
    .join(', ');
}

export function notCarriedCount({ notCarried }: PlanDocument['totals']): number {
  return Object.values(notCarried).reduce((sum, count) => sum + count, 0);
}
