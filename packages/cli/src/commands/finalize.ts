import { Args, Flags } from '@oclif/core';
import { phaseTable } from '@keyferry/core';
import type { RunOptions } from '@keyferry/engine';
import { requireApproval } from '../approval.ts';
import { BaseCommand, type Outcome } from '../base-command.ts';
import type { CommandRun } from '../command-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { confirmGoneFlag } from '../flags/confirm-gone.ts';
import { acceptFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { holderForPeople, holderText, thisMachine } from '../lock-holder.ts';
import { finalizedView, finalizeIntent, reopenedView, reopenIntent } from '../views/finalize/index.ts';
import { finalizeOnlineIntent } from '../views/online/finalize.ts';
import type { View } from '../views/view.ts';
import { finalizeOfParallel } from '../parallel.ts';
import { assertInstances } from '../instances-named.ts';
import { usageError } from '../usage-error.ts';
import { inTurnOfFollowers } from '../turn.ts';
import { assertReadsTarget } from '../assert-reads-target.ts';
import { loadEngine, withMigration, type Wired } from '../wiring.ts';

export default class Finalize extends BaseCommand {
  static override readonly summary =
    'End a verified migration: prove it once more, leave a done marker in the target, give up the way back.';
  static override readonly examples = [
    '<%= config.bin %> finalize config-v2-to-v3',
    { description: 'Take the done marker away again.', command: '<%= config.bin %> finalize config-v2-to-v3 --reopen' },
  ];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that was verified.' }),
  };
  static override readonly flags = {
    reopen: Flags.boolean({
      summary: 'Take the done marker away, so that the migration can be planned and applied once more.',
    }),
    yes: yesFlag,
    accept: acceptFlag,
    'confirm-gone': confirmGoneFlag,
    'lock-timeout': lockTimeoutFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Finalize);
    await this.perform<unknown>(flags, args.migration, async (run) => {
      const parallel = await finalizeOfParallel(run, args.migration, flags);
      if (parallel !== null) return parallel;
      if (flags.accept !== undefined) {
        throw usageError('--accept is for strategy parallel here', `keyferry finalize ${args.migration}`);
      }
      // What is reopened has no way but onward; what is finalized has none back.
      if (!flags.reopen) await assertReadsTarget(run, args.migration);
      return await withMigration(run, args.migration, (wired) =>
        inTurnOfFollowers(run, wired, flags['lock-timeout'], async ({ options }) => {
          const { engine, spec } = wired;
          assertInstances(spec, 'finalize', flags['confirm-gone']);
          const { readDoneMarker, readStatus, reopen } = await loadEngine();
          const { migration } = spec;
          const status = await readStatus(engine, migration);
          const ending = spec.strategy === 'dual-read' ? finalizeOnlineIntent : finalizeIntent;
          const foreign = flags.reopen && status.state === null ? await readDoneMarker(engine, migration) : null;
          const marker = foreign ?? status.state?.done ?? null;
          const { errorPalette: palette } = run;
          const intent = () => (flags.reopen ? reopenIntent(status, marker, palette) : ending(status, palette));
          // Where it is not allowed the engine says so; nobody is asked for nothing.
          if (foreign !== null || phaseTable[status.phase][flags.reopen ? 'reopen' : 'finalize'] !== null) {
            run.showBeforeAsking(intent(), !flags.yes);
            const purpose = flags.reopen ? 'reopen it' : 'finalize it';
            await requireApproval(run.approver(), { migration, purpose, given: flags.yes });
          }
          if (!flags.reopen) return await finalizeNow(run, wired, options, flags['confirm-gone']);
          const result = await reopen(engine, spec, { ...options, by: whoFinalizes() });
          return { result: { migration, result }, view: reopenedView as View<unknown>, exitCode: exitCodes.done };
        }),
      );
    });
  }
}

/** Shared with apply --finalize. */
export async function finalizeNow(
  run: CommandRun,
  { engine, spec }: Wired,
  options: RunOptions,
  confirmGone: readonly string[] = [],
): Promise<Outcome<unknown>> {
  const { finalize, finalizeDualRead, finalizeReplicate, readStatus } = await loadEngine();
  const { migration } = spec;
  const { plan } = await readStatus(engine, migration);
  run.progress.tracker.expectKeys(plan?.totals.scanned ?? 0);
  run.progress.begin(`proving ${migration} once more`);
  const ended = { ...options, by: whoFinalizes() };
  const proven = async () => {
    switch (spec.strategy) {
      case 'offline':
        return await finalize(engine, spec, ended);
      case 'dual-read':
        return await finalizeDualRead(engine, spec, { ...ended, confirmGone });
      case 'replicate':
        return await finalizeReplicate(engine, spec, ended);
    }
  };
  const result = await proven();
  return { result: { migration, result }, view: finalizedView as View<unknown>, exitCode: exitCodes.done };
}

const whoFinalizes = (): string => holderForPeople(holderText(thisMachine()));
