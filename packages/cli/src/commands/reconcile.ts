import { Args } from '@oclif/core';
import { planToApply } from '../apply-subject.ts';
import { BaseCommand } from '../base-command.ts';
import { acceptFlag, lockTimeoutFlag, yesFlag } from '../flags/writing.ts';
import { inTurn } from '../turn.ts';
import { assertReadsTarget } from '../assert-reads-target.ts';
import { loadEngine, withMigration } from '../wiring.ts';
import { applyPlan, outcomeOf } from './apply.ts';

export default class Reconcile extends BaseCommand {
  static override readonly summary =
    'Plan what differs now, show it, ask, apply it and verify: the repair of a migration that was applied before.';
  static override readonly examples = ['<%= config.bin %> reconcile config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that was applied.' }),
  };
  static override readonly flags = { yes: yesFlag, accept: acceptFlag, 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Reconcile);
    const { migration } = args;
    await this.perform<unknown>(flags, migration, async (run) => {
      await assertReadsTarget(run, migration);
      return await withMigration(run, migration, (wired, config) =>
        inTurn(run, wired, flags['lock-timeout'], async ({ options }) => {
          const { assertReconcilable } = await loadEngine();
          await assertReconcilable(wired.engine, wired.spec);
          // What is put right is always looked at by somebody: it is not what was reviewed before.
          const { reader, settle } = await planToApply(run, { ...wired, review: 'always' }, config, {
            yes: flags.yes,
            accept: flags.accept ?? [],
          });
          try {
            return outcomeOf(await applyPlan(run, wired, reader, migration, flags, options), migration);
          } finally {
            await settle();
          }
        }),
      );
    });
  }
}
