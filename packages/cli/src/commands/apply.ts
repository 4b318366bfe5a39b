import { Args, Flags } from '@oclif/core';
import type { ApplyResult } from '@keyferry/engine';
import type { PlanId, PlanReader } from '@keyferry/core';
import { isPlanFile, planToApply } from '../apply-subject.ts';
import { BaseCommand, type Outcome } from '../base-command.ts';
import type { CommandRun } from '../command-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { acceptFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { submitAndFollow } from '../submit-plan.ts';
import { applyView, type AppliedView } from '../views/apply/index.ts';
import { alreadyDoneView } from '../views/finalize/index.ts';
import type { View } from '../views/view.ts';
import { loadAdapters, loadEngine, runOptions, withMigration, type Wired } from '../wiring.ts';

interface WritingFlags {
  readonly accept?: string[] | undefined;
  readonly 'lock-timeout'?: number | undefined;
  readonly 'chunks-max'?: number | undefined;
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
      description: 'Have functions apply it, and follow them.',
      command: '<%= config.bin %> apply config.kfplan --runner lambda',
    },
  ];
  static override readonly args = {
    plan: Args.string({ required: true, description: applySubject }),
  };
  static override readonly flags = {
    yes: yesFlag,
    accept: acceptFlag,
    'lock-timeout': lockTimeoutFlag,
    runner: Flags.option({ options: ['here', 'lambda'] as const })({
      summary:
        'Who applies it: this process, or functions, to which the plan file is submitted and which are then followed.',
      default: 'here',
      env: 'KEYFERRY_RUNNER',
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
    const subject = args.plan;
    await this.perform<unknown>(flags, subject, async (run) => {
      if (flags.runner === 'lambda') {
        return outcomeOf(await submitAndFollow(run, subject, flags.accept ?? []), subject);
      }
      if (!isPlanFile(subject)) {
        return await withMigration(run, subject, async (wired, config) => {
          const done = await answerIfDone(wired, null);
          if (done !== null) return done;
          const { reader, settle } = await planToApply(run, wired, config, {
            yes: flags.yes,
            accept: flags.accept ?? [],
          });
          try {
            return outcomeOf(await applyPlan(run, wired, reader, subject, flags), subject);
          } finally {
            await settle();
          }
        });
      }
      const { openPlanFile } = await loadAdapters();
      const reader = await openPlanFile(subject);
      try {
        return await withMigration(
          run,
          reader.plan.migration,
          async (wired) =>
            (await answerIfDone(wired, reader.plan.plan)) ??
            outcomeOf(await applyPlan(run, wired, reader, subject, flags), subject),
          () => reader.plan.selection,
        );
      } finally {
        await reader.close();
      }
    });
  }
}

/** Shared with reconcile, which applies as apply does. */
export async function applyPlan(
  run: CommandRun,
  { engine, spec }: Wired,
  reader: PlanReader,
  appliedAs: string,
  { accept = [], 'lock-timeout': lockTimeoutMs = 0, 'chunks-max': chunksMax }: WritingFlags,
): Promise<ApplyResult> {
  const { applyOffline } = await loadEngine();
  run.progress.begin(`applying ${reader.plan.plan}`);
  return await applyOffline(engine, spec, reader, {
    ...runOptions(run, lockTimeoutMs),
    accept,
    appliedAs,
    chunksMax: chunksMax ?? null,
  });
}

/** A migration that is over is what the caller wanted: the answer, and no failure. */
async function answerIfDone({ engine, spec }: Wired, plan: PlanId | null): Promise<Outcome<unknown> | null> {
  const { alreadyDone } = await loadEngine();
  const { migration } = spec;
  const marker = await alreadyDone(engine, migration, plan);
  if (marker === null) return null;
  return { result: { migration, marker }, view: alreadyDoneView as View<unknown>, exitCode: exitCodes.done };
}

export function outcomeOf(result: AppliedView['result'], appliedAs: string): Outcome<unknown> {
  const exitCode = result.outcome === 'done' ? exitCodes.done : exitCodes.deviated;
  return { result: { result, appliedAs }, view: applyView as View<unknown>, exitCode };
}
