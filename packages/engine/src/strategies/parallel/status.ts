/** Where a migration of strategy `parallel` stands: from the state alone, and what the balancers do just now where they are asked. */
import {
  frozenForMs,
  parallelStep,
  rollbackTable,
  soakVerdict,
  trafficOf,
  type BalancerState,
  type EvidenceItem,
  type LoadBalancer,
  type MigrationId,
  type ParallelPlan,
  type ParallelSettings,
  type ParallelState,
  type RollbackRow,
  type SoakVerdict,
  type TrafficPhase,
} from '@keyferry/core';
import type { Environment } from '../../migration.ts';
import { currentId, readItem } from '../../state-items.ts';
import { readEvidence } from './course.ts';

export interface ParallelStatus {
  readonly migration: MigrationId;
  /** null: it was never applied. */
  readonly state: ParallelState | null;
  readonly plan: ParallelPlan | null;
  readonly traffic: TrafficPhase;
  readonly balancers: readonly { readonly name: string; readonly state: BalancerState | null }[];
  readonly frozenMs: number | null;
  readonly soak: SoakVerdict | null;
  readonly evidence: readonly EvidenceItem[];
  readonly rollback: readonly RollbackRow[];
  readonly next: string;
  readonly wayBack: string | null;
}

export async function readParallelStatus(
  env: Environment,
  settings: ParallelSettings,
  balancers: readonly LoadBalancer[],
): Promise<ParallelStatus> {
  const { migration } = settings;
  const state = (await readItem(env, 'parallel', migration, currentId))?.item ?? null;
  const plan = state === null ? null : ((await readItem(env, 'parallel-plan', migration, state.plan))?.item ?? null);
  const evidence = state === null ? [] : await readEvidence(env, migration, state.attempt);
  const seen: { readonly name: string; readonly state: BalancerState | null }[] = [];
  for (const balancer of balancers) {
    const found = await balancer.read().catch(() => null); // a balancer that cannot be asked is shown as that
    seen.push({ name: balancer.name, state: found });
  }
  const at = state === null ? null : { phase: state.phase, begun: state.beganAtMs !== null };
  const isSoaking = state?.course === 'forward' && state.phase === 'soak';
  return {
    migration,
    state,
    plan,
    traffic: state === null ? 'v2-rw' : trafficOf(state),
    balancers: seen,
    frozenMs: state === null ? null : frozenForMs(state, env.clock.nowMs()),
    soak: isSoaking ? soakVerdict(state.soak, settings.soak, state.accepted.includes('soak.breached')) : null,
    evidence,
    // By the plan that is applied: the configuration may say something else by now.
    rollback: rollbackTable(
      state?.course === 'forward' ? at : null,
      plan === null ? settings.bulk : plan.freeze.way === 'delta',
    ),
    ...stepsOf(settings, state, isSoaking),
  };
}

function stepsOf(
  { migration, confirm }: ParallelSettings,
  state: ParallelState | null,
  isSoaking: boolean,
): Pick<ParallelStatus, 'next' | 'wayBack'> {
  const rollback = `keyferry rollback ${migration}`;
  if (state === null || state.course === 'rolled-back') return { next: `keyferry plan ${migration}`, wayBack: null };
  if (state.course === 'back') return { next: rollback, wayBack: null };
  if (state.course === 'over') return { next: `keyferry report ${migration}`, wayBack: null };
  if (state.phase === 'decommission') {
    return { next: `keyferry finalize ${migration}`, wayBack: state.beganAtMs === null ? rollback : null };
  }
  const step = parallelStep(state, confirm);
  const asked = step.kind === 'confirm' ? ` --confirm-phase ${step.phase}` : '';
  return { next: `keyferry apply ${state.appliedAs}${isSoaking ? ' --follow' : ''}${asked}`, wayBack: rollback };
}
