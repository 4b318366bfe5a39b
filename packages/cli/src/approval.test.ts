/** Goal: nothing is approved by accident. Method: who can be asked and what is typed, as tables. */
import { describe, expect, it } from 'vitest';
import { requireApproval, type Approver } from './approval.ts';
import { needsApproval, type PlanDocument } from '@keyferry/core';
import { samplePlan, warning } from '../test/fixtures/plan.ts';

const request = { migration: 'config-v2-to-v3', purpose: 'apply this plan', given: false };
const person = (typed: string, more: Partial<Approver> = {}) => {
  const questions: string[] = [];
  const approver: Approver = {
    stdinIsTty: true,
    stderrIsTty: true,
    ci: undefined,
    noInput: false,
    ask: (question) => {
      questions.push(question);
      return Promise.resolve(typed);
    },
    ...more,
  };
  return { approver, questions };
};

describe('approval', () => {
  it('is given by typing the name', async () => {
    const { approver, questions } = person(' config-v2-to-v3 ');
    await requireApproval(approver, request);
    expect(questions).toEqual(['Type config-v2-to-v3 to apply this plan:']);
  });

  it('is given by --yes, unasked', async () => {
    const { approver, questions } = person('', { stdinIsTty: false });
    await requireApproval(approver, { ...request, given: true });
    expect(questions).toEqual([]);
  });

  it.each(['', 'yes', 'y', 'config-v2', 'CONFIG-V2-TO-V3'])('is not given by typing %o', async (typed) => {
    await expect(requireApproval(person(typed).approver, request)).rejects.toMatchObject({
      code: 'approval.required',
      details: { flag: '--yes' },
    });
  });

  it.each<[string, Partial<Approver>]>([
    ['stdin is no terminal', { stdinIsTty: false }],
    ['stderr is no terminal', { stderrIsTty: false }],
    ['this is CI', { ci: 'true' }],
    ['--no-input was given', { noInput: true }],
  ])('is not asked for when %s', async (_, more) => {
    const { approver, questions } = person('config-v2-to-v3', more);
    await expect(requireApproval(approver, request)).rejects.toMatchObject({ code: 'approval.required' });
    expect(questions).toEqual([]);
  });
});

describe('whether a person must approve', () => {
  const clean: PlanDocument = {
    ...samplePlan,
    findings: [],
    totals: {
      ...samplePlan.totals,
      actions: { ...samplePlan.totals.actions, conflict: { keys: 0, bytes: 0 } },
    },
  };
  it.each([
    ['always', 'a plan that only creates', clean, true],
    ['warnings', 'a plan that only creates', clean, false],
    ['warnings', 'a plan with a warning', { ...clean, findings: [warning] }, true],
    ['warnings', 'a plan with more than creates', { ...clean, totals: samplePlan.totals }, true],
    ['blocking', 'a plan with a warning', { ...clean, findings: [warning] }, false],
  ] as const)('review: %s, %s', (review, _, plan, want) => expect(needsApproval(review, plan)).toBe(want));
});
