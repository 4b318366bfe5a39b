/** Where a migration of strategy `parallel` stands: phases, traffic, freeze, soak, evidence, and the way back that is true now. */
import { instantText } from '@keyferry/core';
import type { ParallelStatus } from '@keyferry/engine';
import { columns, indent } from '../layout/columns.ts';
import { stepLines } from '../layout/commands.ts';
import { textForDisplay } from '../layout/keys.ts';
import { counted, countText, durationText, instantForPeople } from '../layout/numbers.ts';
import { envelope, type View, type ViewContext } from '../view.ts';
import { freezeLines, freezeParts } from './freeze-table.ts';
import { notCarriedLines } from './not-carried.ts';
import { rollbackLines } from './rollback-table.ts';

export const parallelStatusView: View<ParallelStatus> = {
  human: (status, context) => [...statusLines(status, context), ''].join('\n'),
  json: (status, warnings) => envelope('keyferry.parallel-status', warnings, statusBody(status)),
};

/** Shared with the documents of commands that end with it. */
export function statusBody({ state, plan, ...status }: ParallelStatus) {
  return {
    ...status,
    strategy: 'parallel',
    plan: plan?.plan ?? null,
    estimatedFreezeMs: plan?.freeze.totalMs ?? null,
    freezeParts: freezeParts(plan, state),
    course: state?.course ?? null,
    phase: state?.phase ?? null,
    attempt: state?.attempt ?? 0,
    backStep: state?.backStep ?? null,
    passed: state?.passed ?? [],
    confirmed: state?.confirmed ?? [],
    failure: state?.failure ?? null,
    soaked: state?.soak ?? null,
  } as const;
}

export function statusLines(status: ParallelStatus, context: ViewContext): string[] {
  const { palette } = context;
  const { migration, state, evidence, rollback, next, wayBack } = status;
  const failure = state?.failure ?? null;
  const passed = new Map(state?.passed.map((each) => [each.phase, each]));
  const phases = [...passed.values()].map(({ phase, beganAtMs, atMs }) => [
    phase,
    durationText(atMs - beganAtMs),
    evidence
      .filter((each) => each.phase === phase)
      .map(({ name }) => name)
      .join(', '),
  ]);
  return [
    `${palette.strong(migration)}   ${standing(status)}`,
    ...indent(
      columns(
        facts(status).map(([name, text]) => [name, text]),
        [{ align: 'left' }, { align: 'left' }],
      ),
    ),
    ...(failure === null ? [] : [`  ${palette.bad('failed')}  ${textForDisplay(failure.message)}`]),
    ...(phases.length === 0 ? [] : ['', palette.strong('Passed, and its evidence')]),
    ...indent(columns(phases, [{ align: 'left' }, { align: 'right' }, { align: 'left' }])),
    ...freezeLines(status, context),
    ...notCarriedLines(status, context),
    '',
    palette.strong('Way back'),
    ...indent(rollbackLines(rollback)),
    '',
    ...stepLines(next, wayBack, context),
  ];
}

function standing({ state }: ParallelStatus): string {
  if (state === null) return 'never applied';
  if (state.course === 'over') return 'finalized';
  if (state.course === 'rolled-back') return `led back from phase ${state.phase}`;
  if (state.course === 'back') return `on the way back from phase ${state.phase}: ${state.backStep ?? ''}`;
  return `in phase ${state.phase}${state.beganAtMs === null ? ', not begun' : ''}`;
}

function facts(status: ParallelStatus): readonly (readonly [string, string])[] {
  const { state, plan, traffic, balancers, frozenMs, soak } = status;
  const all: (readonly [string, string])[] = [['traffic', traffic]];
  for (const { name, state: seen } of balancers) all.push([name, balancerText(seen, traffic, isUnderWay(status))]);
  if (state !== null) all.push(['plan', `${state.plan}, applied as ${state.appliedAs}, attempt ${state.attempt}`]);
  if (frozenMs !== null && state !== null) {
    const still = state.freeze?.toMs === null ? ' so far' : '';
    const estimated = plan === null ? '' : `, estimated ${durationText(plan.freeze.totalMs)}`;
    all.push(['freeze', `writes were refused for ${durationText(frozenMs)}${still}${estimated}`]);
  }
  if (soak !== null && state !== null) {
    const { samples, requests, errors5xx, breaches, breachesTotal } = state.soak;
    const left = soak.kind === 'passed' ? 'passed' : `${durationText(soak.leftMs)} left`;
    const seen = `${counted(samples, 'sample')}, ${counted(requests, 'request')}, ${countText(errors5xx)} answered 5xx`;
    all.push(['soak', `${left}; ${seen}`]);
    for (const { atMs, what } of breaches.slice(0, 3)) {
      all.push(['breach', `${instantForPeople(instantText(atMs))}   ${textForDisplay(what)}`]);
    }
    if (breachesTotal > 3) all.push(['', `and ${countText(breachesTotal - 3)} more`]);
  }
  return all;
}

/** Before and behind it nothing of keyferry is in a balancer, and nothing has to be. */
function isUnderWay({ state }: ParallelStatus): boolean {
  return state !== null && state.course !== 'rolled-back';
}

function balancerText(seen: ParallelStatus['balancers'][number]['state'], expected: string, underWay: boolean): string {
  if (seen === null) return 'cannot be asked';
  if (!underWay && seen.inFile === null && seen.atRuntime === null) return 'nothing of keyferry is in it';
  if (seen.drift !== null) return `drifts: ${textForDisplay(seen.drift)}`;
  const phase = seen.inFile ?? 'not adopted';
  return phase === expected ? phase : `${phase}, expected ${expected}`;
}
