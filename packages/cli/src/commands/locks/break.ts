import { Args, Flags } from '@oclif/core';
import { KeyferryError } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { brokenLockView, type BrokenLock } from '../../views/locks/index.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class LocksBreak extends BaseCommand {
  static override readonly summary = 'Take a lock away from a run that is dead.';
  static override readonly examples = ['<%= config.bin %> locks break lck_01JD9... --reason "runner lost"'];
  static override readonly args = {
    lock: Args.string({ required: true, description: 'Id of the lock, as locks list shows it.' }),
  };
  static override readonly flags = {
    reason: Flags.string({ required: true, summary: 'Why, for whoever looks later.', helpValue: 'TEXT' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LocksBreak);
    const { reason } = flags;
    await this.perform<BrokenLock>(flags, args.lock, async (run) => {
      const { config } = await openConfig(run);
      const { breakLock, listLocks } = await loadEngine();
      return await withState(run, config, async (env) => {
        const held = (await listLocks(env)).find(({ item }) => item.lock === args.lock);
        if (held === undefined) throw new KeyferryError('lock.not-found', { lock: args.lock });
        const lock = await breakLock(env, args.lock);
        run.about(held.id);
        run.event({
          type: 'lock.broken',
          level: 'warning',
          message: `lock ${lock.lock} was broken: ${reason}`,
          data: { lock, reason },
        });
        return { result: { migration: held.id, lock, reason }, view: brokenLockView, exitCode: exitCodes.done };
      });
    });
  }
}
