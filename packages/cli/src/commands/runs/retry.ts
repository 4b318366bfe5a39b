import { Args } from '@oclif/core';
import type { RetryResult } from '@keyferry/engine';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { lockTimeoutFlag } from '../../flags/writing.ts';
import { retryView } from '../../views/runs/retry.ts';
import { inTurn } from '../../turn.ts';
import { loadEngine, withAppliedMigration } from '../../wiring.ts';

export default class RunsRetry extends BaseCommand {
  static override readonly summary =
    'Try the dead letters of a migration again, once their cause is mended; then verify.';
  static override readonly examples = ['<%= config.bin %> runs retry config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that was applied.' }),
  };
  static override readonly flags = { 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsRetry);
    await this.perform<RetryResult>(flags, args.migration, (run) =>
      withAppliedMigration(run, args.migration, (wired) =>
        inTurn<RetryResult>(run, wired, flags['lock-timeout'], async ({ options }) => {
          const { engine, spec } = wired;
          const { retryDeadLetters } = await loadEngine();
          run.progress.begin(`trying the dead letters of ${spec.migration} again`);
          const result = await retryDeadLetters(engine, spec, options);
          const isGood = result.outcome !== 'deviated' && result.tried.deadLetters === 0;
          return { result, view: retryView, exitCode: isGood ? exitCodes.done : exitCodes.deviated };
        }),
      ),
    );
  }
}
