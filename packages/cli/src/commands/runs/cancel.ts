import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { askOfRun } from '../../run-request.ts';
import type { ControlledRun } from '../../views/runs/control.ts';

export default class RunsCancel extends BaseCommand {
  static override readonly summary =
    'Stop a run at its next checkpoint for good: only rollback, or the apply of a new plan, leads on.';
  static override readonly examples = ['<%= config.bin %> runs cancel config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that is being applied.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsCancel);
    await this.perform<ControlledRun>(flags, args.migration, (run) =>
      askOfRun(run, args.migration, { kind: 'cancel' }),
    );
  }
}
