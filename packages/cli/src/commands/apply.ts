import { Args, Flags } from '@oclif/core';
import type { ApplyResult, RunOptions, TurnsBefore } from '@keyferry/engine';
import { invariant, parallelPhases, shellWord, type DoneMarker, type PlanId, type PlanReader } from '@keyferry/core';
import { isPlanFile, planToApply } from '../apply-subject.ts';
import { requireApproval } from '../approval.ts';
import { BaseCommand, type Outcome } from '../base-command.ts';
import type { CommandRun } from '../command-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { allFlag } from '../flags/all.ts';
import { confirmGoneFlag } from '../flags/confirm-gone.ts';
import { acceptFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { assertForFunctions, submitAndFollow } from '../submit-plan.ts';
import { applyView, type AppliedView } from '../views/apply/index.ts';
import { assertInstances } from '../instances-named.ts';
import { usageError } from '../usage-error.ts';
import { replicateView } from '../views/replicate/index.ts';
import { alreadyDoneView } from '../views/finalize/index.ts';
import type { View } from '../views/view.ts';
import { inTurn } from '../turn.ts';
import { assertReadsTarget } from '../assert-reads-target.ts';
import { loadAdapters, loadEngine, withMigration, type Wired } from '../wiring.ts';
import { finalizeNow } from './finalize.ts';

interface WritingFlags {
  readonly accept?: string[] | undefined;
  readonly 'chunks-max'?: number | undefined;
  readonly 'confirm-gone'?: string[] | undefined;
  readonly follow?: boolean | undefined;
}

const applySubject =
  'Plan file (NAME.kfplan, or a path), applied as it was reviewed; or name of a migration, planned now and approved ' +
  'where its `review` asks for a person: always, warnings (by default: if the plan has any, or does more than create ' +
  'keys that are absent) or blocking (never, as blocking findings stop a plan anyway).';

export default class Apply extends BaseCommand {
  static override readonly summary = 'Do what a plan says, exactly, and prove it. Goes on after an interruption.';
  static override readonly examples = [
    { description: 'Apply a reviewed plan.', command: '<%= config.bin %> apply config.kfplan' },
    { description: 'Plan, look, approve and apply in one go.', command: '<%= config.bin %> apply config-v2-to-v3' },
    {
      description: 'On any number of hosts: one migrates to the end, the others wait and answer that it is done.',
      command: '<%= config.bin %> apply config-v2-to-v3 --finalize --yes --lock-timeout 30m',
    },
    {
      description: 'Every migration of the configuration, one after another.',
      command: '<%= config.bin %> apply --all --finalize --yes --lock-timeout 30m',
    },
    {
      description: 'Have functions apply it, and follow them.',
      command: '<%= config.bin %> apply config.kfplan --runner lambda',
    },
  ];
  static override readonly args = {
    plan: Args.string({ description: applySubject }),
  };
  static override readonly flags = {
    all: Flags.boolean({ ...allFlag, exclusive: ['runner', 'chunks-max'] }),
    yes: yesFlag,
    accept: acceptFlag,
    'confirm-gone': confirmGoneFlag,
    'lock-timeout': lockTimeoutFlag,
    finalize: Flags.boolean({
      summary: 'Then finalize it, under the same lock of the target: done marker, and no way back.',
      exclusive: ['chunks-max'],
    }),
    runner: Flags.option({ options: ['here', 'lambda'] as const })({
      summary:
        'Who applies it: this process, or functions, to which the plan file is submitted and which are then followed.',
      default: 'here',
      env: 'KEYFERRY_RUNNER',
    }),
    'confirm-phase': Flags.option({ options: parallelPhases, multiple: true, multipleNonGreedy: true })({
      summary: 'Under strategy parallel: a phase that waits for a person may begin; may be repeated.',
      helpValue: 'PHASE',
    }),
    follow: Flags.boolean({
      summary:
        'Under strategy replicate: go on carrying changes until it is told to stop. Under parallel: soak to the end.',
      exclusive: ['finalize', 'chunks-max', 'all'],
    }),
    'chunks-max': Flags.integer({
      summary: 'Stop at a checkpoint after so many chunks; the next apply goes on.',
      min: 1,
      env: 'KEYFERRY_CHUNKS_MAX',
      helpValue: 'N',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Apply);
    const { assertInOrder } = await import('../all-migrations.ts');
    await this.performOn<unknown>(flags, args.plan, async (run, subject) => {
      if (flags.runner === 'lambda') {
        assertForFunctions(flags);
        return outcomeOf(await submitAndFollow(run, subject, flags), subject);
      }
      const { applyOfParallel } = await import('../parallel.ts');
      const reviewed = isPlanFile(subject) ? await (await loadAdapters()).readParallelPlan(subject) : null;
      const parallel = await applyOfParallel(run, reviewed?.migration ?? subject, reviewed, subject, flags);
      if (parallel !== null) return parallel;
      if (!isPlanFile(subject)) {
        await assertReadsTarget(run, subject);
        await assertInOrder(run, subject, 'targets');
        return await withMigration(run, subject, (wired, config) =>
          inTurn(run, wired, flags['lock-timeout'], async (turn) => {
            const done = await answerIfDone(wired, null, turn.before, flags.accept);
            if (done !== null) return done;
            const { assertNotFailedBefore } = await loadEngine();
            await assertNotFailedBefore(wired.engine, wired.spec);
            await approveEnd(run, wired, flags);
            const { yes, accept = [] } = flags;
            const { reader, settle } = await planToApply(run, wired, config, { yes, accept });
            try {
              return await applyToEnd(run, wired, reader, subject, flags, turn.options);
            } finally {
              await settle();
            }
          }),
        );
      }
      const { openPlanFile } = await loadAdapters();
      const reader = await openPlanFile(subject);
      try {
        await assertReadsTarget(run, reader.plan.migration);
        await assertInOrder(run, reader.plan.migration, 'targets');
        return await withMigration(
          run,
          reader.plan.migration,
          (wired) =>
            inTurn(run, wired, flags['lock-timeout'], async (turn) => {
              const done = await answerIfDone(wired, reader.plan.plan, turn.before, flags.accept);
              if (done !== null) return done;
              await approveEnd(run, wired, flags);
              return await applyToEnd(run, wired, reader, subject, flags, turn.options);
            }),
          () => reader.plan.selection,
        );
      } finally {
        await reader.close();
      }
    });
  }
}

interface EndFlags extends WritingFlags {
  readonly yes: boolean;
  readonly finalize: boolean;
}

/** Asked before anything is written: afterwards it would be too late to say no to half of it. */
async function approveEnd(run: CommandRun, { spec: { migration } }: Wired, { yes, finalize }: EndFlags): Promise<void> {
  if (!finalize) return;
  await requireApproval(run.approver(), {
    migration,
    purpose: 'apply it and finalize it, with no way back',
    given: yes,
  });
}

async function applyToEnd(
  run: CommandRun,
  wired: Wired,
  reader: PlanReader,
  appliedAs: string,
  flags: EndFlags,
  options: RunOptions,
): Promise<Outcome<unknown>> {
  assertInstances(wired.spec, 'apply', flags['confirm-gone']);
  if (wired.spec.strategy === 'replicate') return await replicatePlan(run, wired, reader, appliedAs, flags, options);
  if (flags.follow === true)
    throw usageError('--follow is for strategy replicate', `keyferry apply ${shellWord(appliedAs)}`);
  const applied = await applyPlan(run, wired, reader, appliedAs, flags, options);
  // Between apply and finalize of a migration with applications is its cutover, which is asked for by itself.
  const mayEnd = wired.spec.strategy === 'offline' && applied.outcome === 'done';
  if (!flags.finalize || !mayEnd) return outcomeOf(applied, appliedAs);
  return await finalizeNow(run, wired, options);
}

async function replicatePlan(
  run: CommandRun,
  { engine, spec }: Wired,
  reader: PlanReader,
  appliedAs: string,
  { accept = [], 'chunks-max': chunksMax, follow = false, finalize }: EndFlags,
  options: RunOptions,
): Promise<Outcome<unknown>> {
  if (finalize) {
    throw usageError(
      '--finalize is for a target that nobody uses yet; under strategy replicate a cutover comes between',
      `keyferry cutover ${spec.migration}   then   keyferry finalize ${spec.migration}`,
    );
  }
  const { applyReplicate } = await loadEngine();
  run.progress.begin(`applying ${reader.plan.plan}`);
  const more = { accept, appliedAs, chunksMax: chunksMax ?? null, follow };
  const result = await applyReplicate(engine, spec, reader, { ...options, ...more });
  const exitCode = result.outcome === 'proven' ? exitCodes.done : exitCodes.deviated;
  return { result: { result, appliedAs }, view: replicateView as View<unknown>, exitCode };
}

/** Shared with reconcile, which applies as apply does. */
export async function applyPlan(
  run: CommandRun,
  { engine, spec }: Wired,
  reader: PlanReader,
  appliedAs: string,
  { accept = [], 'chunks-max': chunksMax, 'confirm-gone': confirmGone = [] }: WritingFlags,
  options: RunOptions,
): Promise<ApplyResult> {
  const { applyDualRead, applyOffline } = await loadEngine();
  run.progress.begin(`applying ${reader.plan.plan}`);
  const applied = { ...options, accept, appliedAs, chunksMax: chunksMax ?? null };
  switch (spec.strategy) {
    case 'offline':
      return await applyOffline(engine, spec, reader, applied);
    case 'dual-read':
      return await applyDualRead(engine, spec, reader, { ...applied, confirmGone });
    case 'replicate':
      invariant(false, 'a replicate is applied by itself, and not reconciled');
  }
}

/**
 * A migration that is over is what the caller wanted: the answer, and no failure. The state says so; and where the target
 * keeps locks, for hosts that share no state, so does its done marker.
 * @throws {KeyferryError} `lease.unfinished` when another host began it and did not bring it to its end.
 */
async function answerIfDone(
  { engine, spec }: Wired,
  plan: PlanId | null,
  before: TurnsBefore,
  accept: readonly string[] = [],
): Promise<Outcome<unknown> | null> {
  const { alreadyDone, assertMayFollow, readDoneMarker, readStatus } = await loadEngine();
  const { migration } = spec;
  const inTarget = async (): Promise<DoneMarker | null> => {
    const found = engine.target.lock === undefined ? null : await readDoneMarker(engine, migration);
    return plan === null || found?.plan === plan ? found : null;
  };
  const here = await alreadyDone(engine, migration, plan);
  const marker = here ?? (await inTarget());
  if (marker === null) {
    const { phase } = await readStatus(engine, migration);
    await assertMayFollow(engine, spec, before, phase, accept);
    return null;
  }
  engine.host.emit({ code: 'apply.already-done', data: { by: marker.by, at: marker.finalizedAt } });
  const result = { migration, marker, isKnownHere: here !== null };
  return { result, view: alreadyDoneView as View<unknown>, exitCode: exitCodes.done };
}

export function outcomeOf(result: AppliedView['result'], appliedAs: string): Outcome<unknown> {
  const exitCode = result.outcome === 'done' ? exitCodes.done : exitCodes.deviated;
  return { result: { result, appliedAs }, view: applyView as View<unknown>, exitCode };
}
