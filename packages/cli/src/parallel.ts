/**
 * Commands on a migration of strategy `parallel`: it has registries and load balancers instead of stores, and a plan of its
 * own. Each command asks here first; null means that the migration is of another strategy.
 */
import { hostname, userInfo } from 'node:os';
import type { ResolvedConfig } from '@keyferry/adapters';
import type { ParallelPhase, ParallelPlan, ParallelSettings, RehearsedFigures } from '@keyferry/core';
import type { ParallelEngine, ParallelStatus } from '@keyferry/engine';
import { requireApproval } from './approval.ts';
import type { Outcome } from './base-command.ts';
import type { CommandRun } from './command-run.ts';
import { exitCodes } from './exit-codes.ts';
import { parallelPlanView } from './views/parallel/plan.ts';
import { parallelRunView, wayBackIntent } from './views/parallel/run.ts';
import { parallelReportView } from './views/parallel/report.ts';
import { parallelStatusView } from './views/parallel/status.ts';
import type { View } from './views/view.ts';
import { usageError } from './usage-error.ts';
import { loadAdapters, loadEngine, openConfig, runOptions, withState } from './wiring.ts';
import { holdOld, holdYoung } from './heap-generations.ts';

interface Parallel {
  readonly engine: ParallelEngine;
  readonly settings: ParallelSettings;
}

/** Null: it is none of this strategy. */
export async function onParallel<T>(
  run: CommandRun,
  migration: string,
  work: (parallel: Parallel) => Promise<Outcome<T>>,
): Promise<Outcome<unknown> | null> {
  const { config, redactor } = await openConfig(run);
  if (!Object.hasOwn(config.parallel, migration)) return null;
  run.about(migration);
  const { wireParallel } = await loadAdapters();
  const { lentRetry } = await loadEngine();
  return (await withState(run, config, async (env) => {
    const wired = await wireParallel(config, migration, { redactor, repeat: lentRetry(env) });
    holdYoung();
    holdOld();
    try {
      return await work({ settings: wired.settings, engine: { ...env, parallel: wired.ports } });
    } finally {
      await wired.close();
    }
  })) as Outcome<unknown>;
}

export interface ParallelPlanFlags {
  readonly out?: string | undefined;
  readonly archive?: string | undefined;
  readonly rehearsal?: string | undefined;
  readonly detailed: boolean;
}

export async function planOfParallel(
  run: CommandRun,
  migration: string,
  { out, archive, rehearsal, detailed }: ParallelPlanFlags,
): Promise<Outcome<unknown> | null> {
  return await onParallel(run, migration, async (parallel) => {
    const { readRehearsedFigures, writeParallelPlan } = await loadAdapters();
    const rehearsed = rehearsal === undefined ? null : await readRehearsedFigures(rehearsal, migration);
    const plan = await makeParallelPlan(run, parallel, { archive: archive ?? null, rehearsed });
    if (out !== undefined) await writeParallelPlan(out, plan);
    const exitCode = !plan.applyable ? exitCodes.notAllowed : detailed ? exitCodes.changes : exitCodes.done;
    return { result: { plan, file: out ?? null }, view: parallelPlanView, exitCode };
  });
}

async function makeParallelPlan(
  run: CommandRun,
  { engine, settings }: Parallel,
  given: { readonly archive: string | null; readonly rehearsed: RehearsedFigures | null },
): Promise<ParallelPlan> {
  const { planParallel } = await loadEngine();
  run.progress.begin(`reading the registries of ${settings.migration}`);
  return await run.reading(planParallel(engine, settings, { ...given, signal: run.signal }));
}

export interface ParallelApplyFlags {
  readonly yes: boolean;
  readonly accept?: readonly string[] | undefined;
  readonly follow?: boolean | undefined;
  readonly 'confirm-phase'?: readonly ParallelPhase[] | undefined;
  readonly 'lock-timeout'?: number | undefined;
}

/** @param plan reviewed, out of a file; null: the one under way goes on, or one is made, shown and approved */
export async function applyOfParallel(
  run: CommandRun,
  migration: string,
  plan: ParallelPlan | null,
  appliedAs: string,
  flags: ParallelApplyFlags,
): Promise<Outcome<unknown> | null> {
  return await onParallel(run, migration, async (parallel) => {
    const { engine, settings } = parallel;
    assertAwaited(settings, flags['confirm-phase'] ?? []);
    const { applyParallel } = await loadEngine();
    const chosen = plan ?? (await planUnderWay(parallel)) ?? (await approvedPlan(run, parallel, flags));
    run.progress.begin(`applying ${chosen.plan}`);
    const { accept = [], follow = false, 'confirm-phase': confirm = [] } = flags;
    const options = {
      ...runOptions(run, flags['lock-timeout'] ?? 0),
      accept,
      confirm,
      follow,
      appliedAs,
      by: whoAsks(),
    };
    await applyParallel(engine, settings, chosen, options);
    const status = await statusOf(parallel);
    const exitCode = status.soak?.kind === 'breached' ? exitCodes.deviated : exitCodes.done;
    const result = { done: 'applied', status } as const;
    return { result, view: parallelRunView, exitCode };
  });
}

/** Whoever says yes to a phase believes that it waits for that. @throws {KeyferryError} `usage.invalid`: nothing was done */
function assertAwaited({ migration, confirm }: ParallelSettings, confirmed: readonly ParallelPhase[]): void {
  const [first] = confirmed.filter((phase) => !confirm.includes(phase));
  if (first === undefined) return;
  const awaited = confirm.length === 0 ? 'no phase of it does' : `these do: ${confirm.join(', ')}`;
  const fix = `leave --confirm-phase ${first} out; to be asked before it, write it into confirm of parallel.${migration}, and plan anew`;
  throw usageError(`phase ${first} of migration ${migration} waits for nobody's yes; ${awaited}`, fix);
}

async function planUnderWay({ engine, settings }: Parallel): Promise<ParallelPlan | null> {
  const { readParallelStatus } = await loadEngine();
  const { state, plan } = await readParallelStatus(engine, settings, []);
  return state?.course === 'forward' ? plan : null;
}

async function approvedPlan(run: CommandRun, parallel: Parallel, { yes }: ParallelApplyFlags): Promise<ParallelPlan> {
  const plan = await makeParallelPlan(run, parallel, { archive: null, rehearsed: null });
  run.progress.pause();
  const context = { ...run.viewContext, palette: run.errorPalette };
  run.showBeforeAsking(parallelPlanView.human({ plan, file: null }, context), !yes && plan.applyable);
  const { migration } = plan;
  if (plan.applyable) await requireApproval(run.approver(), { migration, purpose: 'apply this plan', given: yes });
  return plan;
}

export interface ParallelEndFlags {
  readonly yes: boolean;
  readonly accept?: readonly string[] | undefined;
  readonly 'lock-timeout'?: number | undefined;
}

export async function rollbackOfParallel(
  run: CommandRun,
  migration: string,
  flags: ParallelEndFlags,
): Promise<Outcome<unknown> | null> {
  return await onParallel(run, migration, async (parallel) => {
    const { engine, settings } = parallel;
    const { rollBackParallel } = await loadEngine();
    const before = await statusOf(parallel);
    if (before.state?.course === 'forward') {
      run.showBeforeAsking(wayBackIntent(before, run.errorPalette), !flags.yes);
      await requireApproval(run.approver(), { migration, purpose: 'roll back', given: flags.yes });
    }
    run.progress.begin(`rolling back ${migration}`);
    const { accept = [] } = flags;
    await rollBackParallel(engine, settings, { ...runOptions(run, flags['lock-timeout'] ?? 0), accept, by: whoAsks() });
    const result = { done: 'rolled-back', status: await statusOf(parallel) } as const;
    return { result, view: parallelRunView, exitCode: exitCodes.done };
  });
}

export async function finalizeOfParallel(
  run: CommandRun,
  migration: string,
  flags: ParallelEndFlags,
): Promise<Outcome<unknown> | null> {
  return await onParallel(run, migration, async (parallel) => {
    const { engine, settings } = parallel;
    const { finalizeParallel } = await loadEngine();
    await requireApproval(run.approver(), { migration, purpose: 'give up the way back to 2.x', given: flags.yes });
    run.progress.begin(`decommissioning 2.x of ${migration}`);
    const { accept = [] } = flags;
    await finalizeParallel(engine, settings, { ...runOptions(run, flags['lock-timeout'] ?? 0), accept, by: whoAsks() });
    const result = { done: 'finalized', status: await statusOf(parallel) } as const;
    return { result, view: parallelRunView, exitCode: exitCodes.done };
  });
}

export async function statusOfParallel(run: CommandRun, migration: string): Promise<Outcome<ParallelStatus> | null> {
  const found = await onParallel<ParallelStatus>(run, migration, async (parallel) => ({
    result: await run.reading(statusOf(parallel)),
    view: parallelStatusView,
    exitCode: exitCodes.done,
  }));
  return found as Outcome<ParallelStatus> | null;
}

/** From the state alone: phases, durations, the freeze as it was estimated and as it was, and every evidence. */
export async function parallelReport(
  run: CommandRun,
  migration: string,
  flags: { readonly html?: string | undefined; readonly markdown: boolean },
): Promise<Outcome<unknown>> {
  if (flags.html !== undefined || flags.markdown) {
    throw usageError('a report of strategy parallel has no charts', `keyferry report ${migration} --json`);
  }
  const { config } = await openConfig(run);
  const { parallelSettings } = await loadAdapters();
  const { readParallelStatus } = await loadEngine();
  run.about(migration);
  return await withState(run, config, async (env) => {
    const status = await run.reading(readParallelStatus(env, parallelSettings(config, migration), []));
    return { result: status, view: parallelReportView as View<unknown>, exitCode: exitCodes.done };
  });
}

async function statusOf({ engine, settings }: Parallel): Promise<ParallelStatus> {
  const { readParallelStatus } = await loadEngine();
  return await readParallelStatus(engine, settings, engine.parallel.balancers);
}

export const isParallel = (config: ResolvedConfig, migration: string): boolean =>
  Object.hasOwn(config.parallel, migration);

export function whoAsks(): string {
  return `${userInfo().username}@${hostname()}`;
}
