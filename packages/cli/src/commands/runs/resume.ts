import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { askOfRun } from '../../run-request.ts';
import type { ControlledRun } from '../../views/runs/control.ts';

export default class RunsResume extends BaseCommand {
  static override readonly summary = 'Take a pause back; the next apply goes on where the run stopped.';
  static override readonly examples = ['<%= config.bin %> runs resume config-v2-to-v3'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that was paused.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsResume);
    await this.perform<ControlledRun>(flags, args.migration, (run) =>
      askOfRun(run, args.migration, { kind: 'resume' }),
    );
  }
}
