/** Review: when a person must approve a plan that was made just now. Whoever plans by a schedule asks the same rule. */
import type { ActionKind, PlanDocument } from './plan.ts';

/** When a person must approve: always, when there are warnings, or only what blocks anyway. */
export type ReviewPolicy = 'always' | 'warnings' | 'blocking';

/** What a plan may hold and still be applied unasked under `review: warnings`: it adds, and rollback takes it back. */
const harmless: readonly ActionKind[] = ['create', 'equal'];

/**
 * Must a person approve a plan that was made just now? `review` of the migration says when:
 *
 *     always      each one
 *     warnings    one with a warning, or one that does more than create keys that are absent
 *     blocking    none: blocking findings stop a plan by themselves, and `--accept` is asked for all the same
 */
export function needsApproval(review: ReviewPolicy, { findings, totals }: PlanDocument): boolean {
  switch (review) {
    case 'always':
      return true;
    case 'warnings': {
      const kinds = Object.keys(totals.actions) as ActionKind[];
      return findings.length > 0 || kinds.some((kind) => totals.actions[kind].keys > 0 && !harmless.includes(kind));
    }
    case 'blocking':
      return false;
  }
}
