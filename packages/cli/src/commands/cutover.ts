import { Args } from '@oclif/core';
import { KeyferryError, phaseTable } from '@keyferry/core';
import type { RunOptions } from '@keyferry/engine';
import { requireApproval } from '../approval.ts';
import { BaseCommand, type Outcome } from '../base-command.ts';
import type { CommandRun } from '../command-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { confirmGoneFlag } from '../flags/confirm-gone.ts';
import { confirmFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { cutoverView, type CutoverView } from '../views/cutover/index.ts';
import { settleIntent } from '../views/online/cutover.ts';
import { flipIntent } from '../views/replicate/cutover.ts';
import { inTurnOfFollowers } from '../turn.ts';
import { loadEngine, withMigration, type Wired } from '../wiring.ts';

interface CutoverFlags {
  readonly yes: boolean;
  readonly 'confirm-gone'?: string[] | undefined;
}

export default class Cutover extends BaseCommand {
  static override readonly summary =
    'Lead applications from the source to the target, once it is proven that nothing is missing there.';
  static override readonly examples = [
    '<%= config.bin %> cutover config',
    {
      description: 'Strategy replicate, where a person is the switch: every writer has stopped.',
      command: '<%= config.bin %> cutover config --confirm --yes',
    },
  ];
  static override readonly args = {
    migration: Args.string({
      required: true,
      description:
        'Name of a migration: with strategy replicate one that has caught up, with dual-read one that was applied.',
    }),
  };
  static override readonly flags = {
    yes: yesFlag,
    confirm: confirmFlag,
    'confirm-gone': confirmGoneFlag,
    'lock-timeout': lockTimeoutFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Cutover);
    await this.perform<CutoverView>(flags, args.migration, (run) =>
      withMigration(run, args.migration, (wired) => {
        const { migration, strategy } = wired.spec;
        return inTurnOfFollowers<CutoverView>(run, wired, flags['lock-timeout'], async ({ options }) => {
          switch (strategy) {
            case 'offline': {
              const next = `keyferry finalize ${migration}`;
              throw new KeyferryError('phase.not-allowed', { migration, phase: 'offline', command: 'cutover', next });
            }
            case 'dual-read':
              return await cutOverOnline(run, wired, flags, options);
            case 'replicate':
              return await cutOverReplicate(run, wired, flags, options);
          }
        });
      }),
    );
  }
}

/** Has no instance read the source any more. */
async function cutOverOnline(
  run: CommandRun,
  { engine, spec }: Wired,
  flags: CutoverFlags,
  options: RunOptions,
): Promise<Outcome<CutoverView>> {
  const { cutOverDualRead } = await loadEngine();
  const { migration } = spec;
  run.showBeforeAsking(settleIntent(migration, run.errorPalette), !flags.yes);
  await requireApproval(run.approver(), { migration, purpose: 'cut it over', given: flags.yes });
  run.progress.begin(`verifying ${migration}`);
  const result = await cutOverDualRead(engine, spec, { ...options, confirmGone: flags['confirm-gone'] ?? [] });
  return { result: { strategy: 'dual-read', migration, result }, view: cutoverView, exitCode: exitCodes.done };
}

/** Holds writes, drains, compares and flips; or undoes it and leaves all as it was. */
async function cutOverReplicate(
  run: CommandRun,
  { engine, spec }: Wired,
  flags: CutoverFlags,
  options: RunOptions,
): Promise<Outcome<CutoverView>> {
  const { cutOver, readStatus } = await loadEngine();
  const { migration } = spec;
  const status = await readStatus(engine, migration);
  // Where it is not allowed the engine says so; nobody is asked for nothing.
  if (phaseTable[status.phase]['cut-over'] !== null) {
    run.showBeforeAsking(flipIntent(status, run.errorPalette), !flags.yes);
    await requireApproval(run.approver(), { migration, purpose: 'cut it over', given: flags.yes });
  }
  run.progress.tracker.expectKeys(status.plan?.totals.scanned ?? 0);
  run.progress.begin(`cutting over ${migration}`);
  const result = await cutOver(engine, spec, { ...options, confirmGone: flags['confirm-gone'] });
  const appliedAs = status.state?.appliedAs ?? `${migration}.kfplan`;
  const exitCode = result.strays.length > 0 ? exitCodes.deviated : exitCodes.done;
  return { result: { strategy: 'replicate', migration, appliedAs, result }, view: cutoverView, exitCode };
}
