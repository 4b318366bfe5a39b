import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { askOfRun } from '../../run-request.ts';
import type { ControlledRun } from '../../views/runs/control.ts';

export default class RunsPause extends BaseCommand {
  static override readonly summary =
    'Stop a run at its next checkpoint, and keep further ones out until it is resumed.';
  static override readonly examples = ['<%= config.bin %> runs pause config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that is being applied.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsPause);
    await this.perform<ControlledRun>(flags, args.migration, (run) => askOfRun(run, args.migration, { kind: 'pause' }));
  }
}
