import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { locksView, type MigrationLock } from '../../views/locks/index.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class LocksList extends BaseCommand {
  static override readonly summary = 'Who holds which migration.';

  async run(): Promise<void> {
    const { flags } = await this.parse(LocksList);
    await this.perform<readonly MigrationLock[]>(flags, null, async (run) => {
      const { config } = await openConfig(run);
      const { listLocks } = await loadEngine();
      const locks = await withState(run, config, (env) => run.reading(listLocks(env)));
      const result = locks.map(({ id, item }) => ({ migration: id, lock: item }));
      return { result, view: locksView, exitCode: exitCodes.done };
    });
  }
}
