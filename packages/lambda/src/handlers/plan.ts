/**
 * Function `plan`: makes a plan and says what is in it. With `{ submit: true }` it submits the plan, where the migration's
 * `review` asks for no person; `{ accept: [...] }` accepts findings by name, as `--accept` does.
 *
 * It reads both sides whole, so both have to be read within one invocation; a larger migration is planned from a machine.
 */
import { createMemoryPlan } from '@keyferry/adapters';
import { needsApproval, type PlanDocument } from '@keyferry/core';
import { makePlan, submitPlan } from '@keyferry/engine';
import { flagOf, textsOf } from '../runtime/events.ts';
import { handlerOf, type Answer } from '../runtime/invocation.ts';
import { count } from '../runtime/metrics.ts';

export interface PlanAnswer extends Pick<PlanDocument, 'plan' | 'totals' | 'findings' | 'applyable' | 'chunks'> {
  /** submitted: functions take it up. needs-approval: a person has to. not-applyable: a finding blocks it. */
  readonly outcome: 'planned' | 'submitted' | 'needs-approval' | 'not-applyable';
}

export const handler = handlerOf('plan', async (invocation): Promise<Answer<PlanAnswer>> => {
  const { environment, spec, event, holder } = invocation;
  const { engine, wired } = environment;
  const made = createMemoryPlan();
  try {
    const plan = await makePlan(engine, spec, made);
    const outcome = outcomeOf(plan, flagOf(event, 'submit'), needsApproval(wired.review, plan));
    if (outcome === 'submitted') {
      const accept = textsOf(event, 'accept');
      await submitPlan(engine, made, { by: holder, accept, appliedAs: spec.migration });
    }
    const { plan: id, totals, findings, applyable, chunks } = plan;
    const { create, overwrite, delete: deleted } = totals.actions;
    return {
      result: { outcome, plan: id, totals, findings, applyable, chunks },
      logged: { outcome, plan: id, actions: totals.actions, findings: findings.map(({ code }) => code) },
      metrics: {
        Changes: count(create.keys + overwrite.keys + deleted.keys),
        BlockingFindings: count(findings.filter(({ level }) => level === 'blocking').length),
      },
    };
  } finally {
    await made.close();
  }
});

function outcomeOf({ applyable }: PlanDocument, submits: boolean, needsPerson: boolean): PlanAnswer['outcome'] {
  if (!applyable) return 'not-applyable';
  if (!submits) return 'planned';
  return needsPerson ? 'needs-approval' : 'submitted';
}
