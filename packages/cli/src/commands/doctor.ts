import { Args } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';
import type { Check } from '../doctor/check.ts';
import { examine } from '../doctor/examine.ts';
import { exitCodes } from '../exit-codes.ts';
import { doctorView, isHealthy } from '../views/doctor/index.ts';

export default class Doctor extends BaseCommand {
  static override readonly summary =
    'Check configuration, secrets, state and each store, and say how to mend what is wrong. Only reads.';
  static override readonly examples = ['<%= config.bin %> doctor', '<%= config.bin %> doctor config-v2-to-v3 --json'];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration; all of them when it is left out.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Doctor);
    await this.perform<readonly Check[]>(flags, args.migration ?? null, async (run) => {
      run.progress.begin('looking');
      const result = await examine(run, args.migration ?? null);
      return { result, view: doctorView, exitCode: isHealthy(result) ? exitCodes.done : exitCodes.failed };
    });
  }
}
