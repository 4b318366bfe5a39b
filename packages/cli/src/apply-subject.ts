/**
 * What `apply` is to apply: a reviewed plan file, or a plan made now.
 *
 *     FILE        ends in .kfplan or holds a slash: opened, and nobody is asked again
 *     MIGRATION   planned now, kept beside the state until its run has ended, shown, approved where `review` asks for
 *                 it; and after an interruption that plan goes on, rather than a new one that nobody has seen
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { KeyferryError, needsApproval, shellWord, type PlanId, type ReviewPolicy } from '@keyferry/core';
import type { PlanFileReader, ResolvedConfig } from '@keyferry/adapters';
import { requireApproval } from './approval.ts';
import type { CommandRun } from './command-run.ts';
import { makePlanFor } from './plan-making.ts';
import { planView } from './views/plan/index.ts';
import { blockingCodes, codesToAccept } from './views/plan/result.ts';
import { loadAdapters, loadEngine, type Wired } from './wiring.ts';

export function isPlanFile(subject: string): boolean {
  return subject.endsWith('.kfplan') || /[/\\]/.test(subject);
}

export interface ApplySubject {
  readonly reader: PlanFileReader;
  /** Called after the run, however it went: closes the plan, and removes it unless a later run has to go on with it. */
  readonly settle: () => Promise<void>;
}

export interface ApprovalFlags {
  readonly yes: boolean;
  readonly accept: readonly string[];
}

/**
 * @throws {KeyferryError} `approval.required`, `plan.not-applyable`, `plan.refused-before`, `plan.unaccepted`,
 * `phase.not-allowed`
 */
export async function planToApply(
  run: CommandRun,
  wired: Wired,
  config: ResolvedConfig,
  flags: ApprovalFlags,
): Promise<ApplySubject> {
  const folder = keptPlansFolder(config);
  const going = await planUnderWay(run, wired, folder);
  return going ?? (await newPlan(run, wired, folder, flags));
}

async function planUnderWay(run: CommandRun, wired: Wired, folder: string): Promise<ApplySubject | null> {
  const { engine, spec } = wired;
  const { readStatus } = await loadEngine();
  const { phase, state, control } = await readStatus(engine, spec.migration);
  if (phase !== 'applying' || state === null) return null;
  const kept = keptPlan(folder, state.plan);
  if (control.cancelled !== null) {
    // It never goes on: the next attempt has a plan of its own.
    await rm(kept, { force: true });
    return null;
  }
  if (state.appliedAs === spec.migration && !existsSync(kept)) {
    // The state may be shared; plans that nobody saved are not.
    run.warn(`plan ${state.plan} was kept where its run began, in ${folder} there: keyferry apply goes on from there`);
    const next = `keyferry rollback ${spec.migration}`;
    throw new KeyferryError('phase.not-allowed', { migration: spec.migration, phase, command: 'a new plan', next });
  }
  if (state.appliedAs !== spec.migration) {
    const next = `keyferry apply ${shellWord(state.appliedAs)}`;
    throw new KeyferryError('phase.not-allowed', { migration: spec.migration, phase, command: 'a new plan', next });
  }
  run.note(`Going on with plan ${state.plan}, which was begun before.`);
  return await subjectOf(kept, wired);
}

async function newPlan(run: CommandRun, wired: Wired, folder: string, flags: ApprovalFlags): Promise<ApplySubject> {
  const { createPlanFile } = await loadAdapters();
  const { assertNotRefused, rememberRefusal } = await loadEngine();
  const { engine, spec } = wired;
  const { migration } = spec;
  await assertNotRefused(engine, spec);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Until the plan has its id, the process's own makes the name: two runs may plan the same migration at once.
  const draft = join(folder, `${migration}-${process.pid}.kfplan`);
  const plan = await makePlanFor(run, wired, createPlanFile(draft, { config: wired.planConfig }));
  const kept = keptPlan(folder, plan.plan);
  await rename(draft, kept);
  run.progress.pause();
  try {
    const context = { ...run.viewContext, palette: run.errorPalette };
    const asks = needsApproval(wired.review, plan);
    const page = planView.human({ plan, file: migration, occasion: 'asking' }, context);
    run.showBeforeAsking(page, plan.applyable && asks && !flags.yes);
    if (!plan.applyable) {
      await rememberRefusal(engine, spec, plan);
      throw new KeyferryError('plan.not-applyable', { plan: plan.plan, migration, findings: blockingCodes(plan) });
    }
    const open = codesToAccept(plan).filter((code) => !flags.accept.includes(code));
    if (open.length > 0) throw new KeyferryError('plan.unaccepted', { plan: plan.plan, findings: open });
    if (asks) await requireApproval(run.approver(), { migration, purpose: 'apply this plan', given: flags.yes });
    else run.note(`Nobody has to approve it: review is ${wired.review}${notAskedWhy[wired.review]}.`);
  } catch (error) {
    await rm(kept, { force: true });
    throw error;
  }
  return await subjectOf(kept, wired);
}

/** Why nobody is asked, after `review is …`. */
const notAskedWhy: Readonly<Record<ReviewPolicy, string>> = {
  always: '',
  warnings: ', and the plan has none and only creates',
  blocking: '',
};

async function subjectOf(kept: string, { engine, spec }: Wired): Promise<ApplySubject> {
  const { openPlanFile } = await loadAdapters();
  const { readStatus } = await loadEngine();
  const reader = await openPlanFile(kept);
  return {
    reader,
    settle: async () => {
      await reader.close();
      // Asked of the state and not of how the run ended: it may have failed before its first write, or lost its lock.
      const now = await readStatus(engine, spec.migration).catch(() => null);
      if (now === null) return;
      const goesOn = now.phase === 'applying' && now.control.cancelled === null;
      if (goesOn && now.state?.plan === reader.plan.plan) return;
      await rm(kept, { force: true });
    },
  };
}

/** Beside the state file: whoever can go on with a run finds its plan there. State in a table has no folder. */
function keptPlansFolder({ directory, state }: ResolvedConfig): string {
  const folder = 'sqlite' in state ? dirname(resolve(directory, state.sqlite)) : join(directory, '.keyferry');
  return join(folder, 'plans');
}

const keptPlan = (folder: string, plan: PlanId): string => join(folder, `${plan}.kfplan`);
