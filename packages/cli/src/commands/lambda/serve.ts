import { Args, Flags } from '@oclif/core';
import { resolve } from 'node:path';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { durationFlag } from '../../flags/duration.ts';
import { concurrencyFlag, functionTimeoutFlag, functionTimeoutMs } from '../../flags/functions.ts';
import { servedView, type Served } from '../../views/lambda/served.ts';

export default class LambdaServe extends BaseCommand {
  static override readonly summary = 'Run the functions of a bundle on this machine, on a schedule, until stopped.';
  static override readonly description =
    'A cloud for trying a deployment before there is one: each tick calls dispatch, backfill as often as may work at once, ' +
    'verify and sweep, in processes of their own that are frozen between events and killed at their timeout. With --chaos ' +
    'some are killed in the middle of their work, and some events come twice.';
  static override readonly examples = [
    { description: 'A tick every ten seconds.', command: '<%= config.bin %> lambda serve functions --every 10s' },
    {
      description: 'Until the plan that was submitted is proven, with kills and duplicates.',
      command: '<%= config.bin %> lambda serve functions --every 5s --until-done --chaos',
    },
  ];
  static override readonly args = {
    functions: Args.string({ required: true, description: 'Folder of the functions, as `lambda package` made it.' }),
  };
  static override readonly flags = {
    every: durationFlag({ summary: 'Time between two ticks; 1m by default.' }),
    concurrency: concurrencyFlag,
    'function-timeout': functionTimeoutFlag,
    'until-done': Flags.boolean({ summary: 'End once a sweep says that nothing is left to do.' }),
    'fan-out': Flags.option({
      summary: 'How chunks get to backfill: by ticks, or by a queue that dispatch fills.',
      options: ['schedule', 'queue'] as const,
      default: 'schedule',
    })(),
    chaos: Flags.boolean({ summary: 'Kill one invocation in four, and deliver one event in eight twice.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LambdaServe);
    await this.perform<Served>(flags, args.functions, async (run) => {
      const { LocalCloud, LocalQueue } = await import('@keyferry/lambda/local');
      const ends: Record<string, Record<string, number>> = {};
      let isDone = false;
      const timeoutMs = flags['function-timeout'] ?? functionTimeoutMs;
      const visibilityMs = visibilityTimeouts * timeoutMs;
      const queue = flags['fan-out'] === 'queue' ? await LocalQueue.start({ visibilityMs }) : null;
      const cloud = new LocalCloud({
        folder: resolve(args.functions),
        timeoutMs,
        ...(queue === null ? {} : { queue }),
        concurrency: flags.concurrency,
        chaos: flags.chaos ? Math.random : null,
        onLine: (line) => run.note(line),
        onEnd: (name, end) => {
          const counts = (ends[name] ??= {});
          counts[end.kind] = (counts[end.kind] ?? 0) + 1;
          if (name === 'sweep' && end.kind === 'returned') isDone = isSettled(end.result);
        },
      });
      try {
        await cloud.run(flags.every ?? everyMs, async () => flags['until-done'] && isDone, run.signal);
        if (run.signal.aborted) await cloud.abort();
      } finally {
        await cloud.close();
        await queue?.close();
      }
      return { result: { folder: args.functions, ends }, view: servedView, exitCode: exitCodes.done };
    });
  }
}

const everyMs = 60_000;
/** An item that a killed function had is away for so many of its timeouts; as in the Terraform module. */
const visibilityTimeouts = 6;

/** A sweep found an attempt, and nothing left to be done of it. */
function isSettled(result: unknown): boolean {
  const { attempt = null, outcome } = result as { readonly attempt?: number | null; readonly outcome?: string };
  return attempt !== null && (outcome === 'done' || outcome === 'stopped');
}
