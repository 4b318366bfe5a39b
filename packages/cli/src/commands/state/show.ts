import { Args } from '@oclif/core';
import type { MigrationId } from '@keyferry/core';
import type { Dossier } from '@keyferry/engine';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { dossierView } from '../../views/state/show.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class StateShow extends BaseCommand {
  static override readonly summary =
    'Everything that the state knows of a migration: its runs, chunks and dead letters.';
  static override readonly examples = ['<%= config.bin %> state show config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration, as state list shows it.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StateShow);
    await this.perform<Dossier>(flags, args.migration, async (run) => {
      const { config } = await openConfig(run);
      run.about(args.migration);
      const { readDossier } = await loadEngine();
      const migration = args.migration as MigrationId;
      const result = await withState(run, config, (env) => run.reading(readDossier(env, migration)));
      return { result, view: dossierView, exitCode: exitCodes.done };
    });
  }
}
