/** What did not go as planned, in words for people: an empty list is the claim that the migration is done. Pure. */
import {
  counted,
  countText,
  deletesOf,
  digestsEqual,
  keyForDisplay,
  keyFromJson,
  type MetChange,
  type PlanDocument,
} from '@keyferry/core';
import type { BackfillSummary } from './backfill-summary.ts';
import type { VerifyResult } from './verify.ts';

/**
 * The counts are held against the plan beside the digests: a key may be missing on both sides. Where keys expire, fewer
 * of them may have been reached than were planned; what is missing then is for verify to say.
 */
export function deviationsOf(plan: PlanDocument, summary: BackfillSummary, verified: VerifyResult): readonly string[] {
  const { counts, moved } = summary;
  const { actions, expiring } = plan.totals;
  const deviations: string[] = [];
  if (verified.verdict === 'differ')
    deviations.push(`${counted(verified.differencesTotal, 'key differs', 'keys differ')} between the sides`);
  if (moved.length > 0) deviations.push(`the source changed while it was copied: chunks ${moved.join(', ')}`);
  if (sourceMoved(summary, verified)) deviations.push('the source is not as the plan saw it');
  if (counts.deadLetters > 0) deviations.push(`${counted(counts.deadLetters, 'record')} could not be written`);
  if (counts.tombstoned > 0)
    deviations.push(`${counted(counts.tombstoned, 'key was', 'keys were')} deleted in the target meanwhile`);
  const explained = (done: number, planned: number, mayExpire: number): boolean =>
    done <= planned && done >= planned - mayExpire;
  if (!explained(counts.kept, actions.conflict.keys, plan.exceptions.expiring)) {
    deviations.push(
      `${counted(counts.kept, 'key holds', 'keys hold')} another value in the target, planned: ${countText(actions.conflict.keys)}`,
    );
  }
  const met = counts.changed + counts.deletesChanged;
  if (met > 0) deviations.push(metText(met, summary.met));
  if (!explained(counts.overwritten + counts.changed, actions.overwrite.keys, expiring)) {
    deviations.push(
      `${counted(counts.overwritten, 'key was', 'keys were')} overwritten, planned: ${countText(actions.overwrite.keys)}`,
    );
  }
  if (deletesOf(counts) !== actions.delete.keys) {
    deviations.push(
      `${counted(deletesOf(counts), 'delete was', 'deletes were')} dealt with, planned: ${countText(actions.delete.keys)}`,
    );
  }
  if (!explained(counts.written, actions.create.keys, expiring)) {
    deviations.push(
      `${counted(counts.written, 'key was', 'keys were')} written, planned: ${countText(actions.create.keys)}`,
    );
  }
  return deviations;
}

function metText(count: number, named: readonly MetChange[]): string {
  const keys = named.map(({ targetKey, what }) => `${keyForDisplay(keyFromJson(targetKey))} (${what})`);
  const rest = count - named.length;
  const more = rest > 0 ? `, and ${countText(rest)} more` : '';
  return `${counted(count, 'key')} to be overwritten or deleted met a change and ${count === 1 ? 'was' : 'were'} left: ${keys.join(', ')}${more}`;
}

/** Whether the permanent records of the source are others than the plan's: somebody wrote to it, or it is another one. */
export function sourceMoved({ plannedPermanent }: BackfillSummary, { sourcePermanent }: VerifyResult): boolean {
  return !digestsEqual(plannedPermanent, sourcePermanent);
}
