import { Args } from '@oclif/core';
import type { MigrationId } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { historyView, type History } from '../../views/state/history.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class StateHistory extends BaseCommand {
  static override readonly summary = 'What happened to a migration: who did what, and when.';
  static override readonly examples = ['<%= config.bin %> state history config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration, as state list shows it.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StateHistory);
    await this.perform<History>(flags, args.migration, async (run) => {
      const { config } = await openConfig(run);
      run.about(args.migration);
      const { readDossier } = await loadEngine();
      const migration = args.migration as MigrationId;
      const { events } = await withState(run, config, (env) => run.reading(readDossier(env, migration)));
      return { result: { migration, events }, view: historyView, exitCode: exitCodes.done };
    });
  }
}
