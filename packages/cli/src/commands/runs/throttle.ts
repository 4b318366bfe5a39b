import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { durationFlag } from '../../flags/duration.ts';
import { rateFlag } from '../../flags/rate.ts';
import { askOfRun } from '../../run-request.ts';
import { usageError } from '../../usage-error.ts';
import type { ControlledRun } from '../../views/runs/control.ts';

export default class RunsThrottle extends BaseCommand {
  static override readonly summary = 'Slow a migration down or let it go faster, while it runs.';
  static override readonly examples = [
    '<%= config.bin %> runs throttle config-v2-to-v3 --rate 500/s',
    '<%= config.bin %> runs throttle config-v2-to-v3 --off',
  ];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration that is being applied.' }),
  };
  static override readonly flags = {
    rate: rateFlag({ summary: 'Most keys a second, by all workers together.' }),
    'target-p99': durationFlag({ summary: 'Slow down while the p99 latency of the target is over this.' }),
    off: Flags.boolean({ summary: 'Back to the limits of the configuration.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsThrottle);
    const { rate, 'target-p99': targetP99Ms, off } = flags;
    await this.perform<ControlledRun>(flags, args.migration, async (run) => {
      const given = rate !== undefined || targetP99Ms !== undefined;
      if (off ? given : !given) {
        const what = off ? '--off goes with no other limit' : 'a limit is missing';
        throw usageError(what, `keyferry runs throttle ${args.migration} --rate 500/s\nor back:   --off`);
      }
      const override = {
        ...(rate === undefined ? {} : { ratePerSecond: rate }),
        ...(targetP99Ms === undefined ? {} : { targetP99Ms }),
      };
      return await askOfRun(run, args.migration, { kind: 'throttle', override: off ? null : override });
    });
  }
}
