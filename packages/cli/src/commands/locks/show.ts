import { Args } from '@oclif/core';
import { KeyferryError } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { locksView, type MigrationLock } from '../../views/locks/index.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class LocksShow extends BaseCommand {
  static override readonly summary = 'One lock: its holder, run and last heartbeat.';
  static override readonly args = {
    lock: Args.string({ required: true, description: 'Id of a lock, or name of its migration.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LocksShow);
    await this.perform<readonly MigrationLock[]>(flags, args.lock, async (run) => {
      const { config } = await openConfig(run);
      const { listLocks } = await loadEngine();
      const locks = await withState(run, config, (env) => run.reading(listLocks(env)));
      const result = locks
        .filter(({ id, item }) => item.lock === args.lock || id === args.lock)
        .map(({ id, item }) => ({ migration: id, lock: item }));
      if (result.length === 0) throw new KeyferryError('lock.not-found', { lock: args.lock });
      return { result, view: locksView, exitCode: exitCodes.done };
    });
  }
}
