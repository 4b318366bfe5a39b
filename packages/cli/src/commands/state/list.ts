import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { stateListView, type ListedMigrations } from '../../views/state/list.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class StateList extends BaseCommand {
  static override readonly summary = 'All migrations that the state knows, configured or not.';
  static override readonly examples = ['<%= config.bin %> state list'];

  async run(): Promise<void> {
    const { flags } = await this.parse(StateList);
    await this.perform<ListedMigrations>(flags, null, async (run) => {
      const { config } = await openConfig(run);
      const { listMigrations } = await loadEngine();
      const all = await withState(run, config, (env) => run.reading(listMigrations(env)));
      return { result: all, view: stateListView, exitCode: exitCodes.done };
    });
  }
}
