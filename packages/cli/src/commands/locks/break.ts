import { Args, Flags } from '@oclif/core';
import { KeyferryError, type MigrationId } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { holderForPeople, holderText, thisMachine } from '../../lock-holder.ts';
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
      const { breakLock, listLocks, recordEvent } = await loadEngine();
      return await withState(run, config, async (env) => {
        const held = (await listLocks(env)).find(({ item }) => item.lock === args.lock);
        if (held === undefined) throw new KeyferryError('lock.not-found', { lock: args.lock });
        const lock = await breakLock(env, args.lock);
        run.about(held.id);
        const type = 'lock.broken';
        const who = holderForPeople(holderText(thisMachine()));
        const message = `lock ${lock.lock} of ${holderForPeople(lock.holder)} was broken by ${who}: ${reason}`;
        run.event({ type, level: 'warning', message, data: { lock, reason } });
        try {
          await recordEvent(env, held.id as MigrationId, { type, message, run: lock.run });
        } catch (error) {
          // The lock is broken all the same: it must not look as if it were not.
          run.warn(
            `the reason could not be kept in the state (${error instanceof Error ? error.message : String(error)})`,
          );
        }
        return { result: { migration: held.id, lock, reason }, view: brokenLockView, exitCode: exitCodes.done };
      });
    });
  }
}
