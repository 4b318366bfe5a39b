import { Args } from '@oclif/core';
import type { MigrationId } from '@keyferry/core';
import { requireApproval } from '../../approval.ts';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { acceptFlag, lockTimeoutFlag, yesFlag } from '../../flags/writing.ts';
import { forgetIntent, forgottenView, type Forgotten } from '../../views/state/forget.ts';
import { loadEngine, openConfig, runOptions, withState } from '../../wiring.ts';

export default class StateForget extends BaseCommand {
  static override readonly summary = 'Remove what the state holds of a migration. Touches no store.';
  static override readonly examples = [
    '<%= config.bin %> state forget config-v2-to-v3',
    '<%= config.bin %> state forget config-v2-to-v3 --accept forget.way-back',
  ];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration, as state list shows it.' }),
  };
  static override readonly flags = { accept: acceptFlag, yes: yesFlag, 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StateForget);
    await this.perform<Forgotten>(flags, args.migration, async (run) => {
      const { config } = await openConfig(run);
      run.about(args.migration);
      const { forget, lossesOf, readStatus } = await loadEngine();
      const migration = args.migration as MigrationId;
      const { accept = [] } = flags;
      return await withState(run, config, async (env) => {
        const status = await readStatus(env, migration);
        const unnamed = lossesOf[status.phase].some(({ code }) => !accept.includes(code));
        // Where it is not allowed the engine says so; nobody is asked for nothing.
        if (status.state !== null && !unnamed) {
          run.showBeforeAsking(forgetIntent(status, lossesOf[status.phase], run.errorPalette), !flags.yes);
          await requireApproval(run.approver(), { migration, purpose: 'forget it', given: flags.yes });
        }
        const result = await forget(env, migration, { ...runOptions(run, flags['lock-timeout'] ?? 0), accept });
        return { result: { migration, result }, view: forgottenView, exitCode: exitCodes.done };
      });
    });
  }
}
