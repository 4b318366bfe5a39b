import { Args } from '@oclif/core';
import { phaseTable } from '@keyferry/core';
import { requireApproval } from '../approval.ts';
import { BaseCommand, type Outcome } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { confirmGoneFlag } from '../flags/confirm-gone.ts';
import { acceptFlag, confirmFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { rollbackOnlineIntent } from '../views/online/rollback.ts';
import { rollbackIntent, rollbackView, type RolledBackView } from '../views/rollback/index.ts';
import { rollbackOfParallel } from '../parallel.ts';
import { assertInstances } from '../instances-named.ts';
import { usageError } from '../usage-error.ts';
import { inTurnOfFollowers } from '../turn.ts';
import { loadEngine, withMigration } from '../wiring.ts';

export default class Rollback extends BaseCommand {
  static override readonly summary =
    'Remove from the target what a migration created and nobody changed since; where applications moved, lead them back first.';
  static override readonly examples = ['<%= config.bin %> rollback config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that was applied.' }),
  };
  static override readonly flags = {
    yes: yesFlag,
    accept: acceptFlag,
    confirm: confirmFlag,
    'confirm-gone': confirmGoneFlag,
    'lock-timeout': lockTimeoutFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Rollback);
    await this.perform<unknown>(flags, args.migration, async (run) => {
      const parallel = await rollbackOfParallel(run, args.migration, flags);
      if (parallel !== null) return parallel;
      if (flags.accept !== undefined) {
        throw usageError('--accept is for strategy parallel here', `keyferry rollback ${args.migration}`);
      }
      return (await withMigration(run, args.migration, (wired) =>
        inTurnOfFollowers<RolledBackView>(run, wired, flags['lock-timeout'], async ({ options }) => {
          const { engine, spec } = wired;
          assertInstances(spec, 'rollback', flags['confirm-gone']);
          const { readStatus, rollBack, rollBackDualRead, rollBackReplicate } = await loadEngine();
          const { migration } = spec;
          const status = await readStatus(engine, migration);
          // Where rollback is not allowed the engine says so; nobody is asked for nothing.
          const isLedBack = phaseTable[status.phase]['turn-back'] !== null;
          if (isLedBack || phaseTable[status.phase]['roll-back'] !== null) {
            const intent = spec.strategy === 'dual-read' ? rollbackOnlineIntent : rollbackIntent;
            run.showBeforeAsking(intent(status, run.errorPalette), !flags.yes);
            await requireApproval(run.approver(), { migration, purpose: 'roll back', given: flags.yes });
          }
          run.progress.begin(`rolling back ${migration}`);
          const confirmGone = flags['confirm-gone'] ?? [];
          if (spec.strategy === 'replicate') {
            const result = await rollBackReplicate(engine, spec, { ...options, confirmGone });
            const strays = result.turnedBack?.strays.length ?? 0;
            const exitCode = strays > 0 ? exitCodes.deviated : exitCodes.done;
            return { result: { migration, result, turnedBack: result.turnedBack }, view: rollbackView, exitCode };
          }
          const result =
            spec.strategy === 'dual-read'
              ? await rollBackDualRead(engine, spec, { ...options, confirmGone })
              : await rollBack(engine, spec, options);
          return { result: { migration, result, turnedBack: null }, view: rollbackView, exitCode: exitCodes.done };
        }),
      )) as Outcome<unknown>;
    });
  }
}
