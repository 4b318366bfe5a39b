import { Args } from '@oclif/core';
import { KeyferryError } from '@keyferry/core';
import { requireApproval } from '../approval.ts';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { confirmGoneFlag } from '../flags/confirm-gone.ts';
import { lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { cutoverIntent, cutoverView, type CutoverView } from '../views/online/cutover.ts';
import { inTurn } from '../turn.ts';
import { loadEngine, withMigration } from '../wiring.ts';

export default class Cutover extends BaseCommand {
  static override readonly summary =
    'Online: verify once more, then have no instance of the application read the source any more.';
  static override readonly examples = ['<%= config.bin %> cutover config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({
      required: true,
      description: 'Name of a migration with strategy dual-read that was applied.',
    }),
  };
  static override readonly flags = {
    yes: yesFlag,
    'confirm-gone': confirmGoneFlag,
    'lock-timeout': lockTimeoutFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Cutover);
    await this.perform<CutoverView>(flags, args.migration, (run) =>
      withMigration(run, args.migration, (wired) =>
        inTurn<CutoverView>(run, wired, flags['lock-timeout'], async ({ options }) => {
          const { engine, spec } = wired;
          const { migration, strategy } = spec;
          if (strategy === 'offline') {
            const next = `keyferry finalize ${migration}`;
            throw new KeyferryError('phase.not-allowed', { migration, phase: 'offline', command: 'cutover', next });
          }
          const { cutOver } = await loadEngine();
          run.showBeforeAsking(cutoverIntent(migration, run.errorPalette), !flags.yes);
          await requireApproval(run.approver(), { migration, purpose: 'cut it over', given: flags.yes });
          run.progress.begin(`verifying ${migration}`);
          const result = await cutOver(engine, spec, { ...options, confirmGone: flags['confirm-gone'] ?? [] });
          return { result: { migration, result }, view: cutoverView, exitCode: exitCodes.done };
        }),
      ),
    );
  }
}
