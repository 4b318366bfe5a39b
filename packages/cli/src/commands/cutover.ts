import { Args } from '@oclif/core';
import { phaseTable } from '@keyferry/core';
import { requireApproval } from '../approval.ts';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { confirmFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { cutoverIntent, cutoverView, type CutOverView } from '../views/replicate/cutover.ts';
import { inTurnOfFollowers } from '../turn.ts';
import { loadEngine, withMigration } from '../wiring.ts';

export default class Cutover extends BaseCommand {
  static override readonly summary =
    'Lead applications from the source to the target: hold writes, drain, compare, flip; or undo it and leave all as it was.';
  static override readonly examples = [
    '<%= config.bin %> cutover config',
    {
      description: 'Where a person is the switch: every writer has stopped.',
      command: '<%= config.bin %> cutover config --confirm --yes',
    },
  ];
  static override readonly args = {
    migration: Args.string({
      required: true,
      description: 'Name of a migration of strategy replicate that has caught up.',
    }),
  };
  static override readonly flags = { yes: yesFlag, confirm: confirmFlag, 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Cutover);
    await this.perform<CutOverView>(flags, args.migration, (run) =>
      withMigration(run, args.migration, (wired) =>
        inTurnOfFollowers<CutOverView>(run, wired, flags['lock-timeout'], async ({ options }) => {
          const { engine, spec } = wired;
          const { cutOver, readStatus } = await loadEngine();
          const { migration } = spec;
          const status = await readStatus(engine, migration);
          // Where it is not allowed the engine says so; nobody is asked for nothing.
          if (phaseTable[status.phase]['cut-over'] !== null) {
            run.showBeforeAsking(cutoverIntent(status, run.errorPalette), !flags.yes);
            await requireApproval(run.approver(), { migration, purpose: 'cut it over', given: flags.yes });
          }
          run.progress.tracker.expectKeys(status.plan?.totals.scanned ?? 0);
          run.progress.begin(`cutting over ${migration}`);
          const result = await cutOver(engine, spec, options);
          const appliedAs = status.state?.appliedAs ?? `${migration}.kfplan`;
          const exitCode = result.strays.length > 0 ? exitCodes.deviated : exitCodes.done;
          return { result: { migration, appliedAs, result }, view: cutoverView, exitCode };
        }),
      ),
    );
  }
}
