import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { lockTimeoutFlag } from '../../flags/writing.ts';
import { adoptedView, type Adopted } from '../../views/state/adopt.ts';
import { loadAdapters, loadEngine, runOptions, withMigration, type Wired } from '../../wiring.ts';

export default class StateAdopt extends BaseCommand {
  static override readonly summary =
    'Build a state that was lost anew, from the plan that was applied and what the target still holds.';
  static override readonly examples = ['<%= config.bin %> state adopt config.kfplan'];
  static override readonly args = {
    plan: Args.string({ required: true, description: 'Plan file that was applied.' }),
  };
  static override readonly flags = { 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StateAdopt);
    const file = args.plan;
    await this.perform<Adopted>(flags, file, async (run) => {
      const { openPlanFile } = await loadAdapters();
      const { adopt, readStatus } = await loadEngine();
      const reader = await openPlanFile(file);
      try {
        const { migration, plan, selection } = reader.plan;
        const work = async ({ engine, spec }: Wired) => {
          const options = { ...runOptions(run, flags['lock-timeout'] ?? 0), appliedAs: file };
          const result = await adopt(engine, spec, reader, options);
          const { step } = await readStatus(engine, spec.migration);
          return { result: { migration, plan, result, step }, view: adoptedView, exitCode: exitCodes.done };
        };
        return await withMigration(run, migration, work, () => selection);
      } finally {
        await reader.close();
      }
    });
  }
}
