import { Args, Flags } from '@oclif/core';
import type { DatadirReport } from '@keyferry/adapters/etcd-v2-datadir';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { inspectView } from '../views/inspect/index.ts';

export default class Inspect extends BaseCommand {
  static override readonly summary =
    'What the data directory of an etcd member holds, and whether etcd 3.6 would start on it. Only reads; needs no etcd.';
  static override readonly examples = [
    '<%= config.bin %> inspect /var/lib/etcd',
    '<%= config.bin %> inspect backup/etcd-1 --json',
  ];
  static override readonly args = {
    path: Args.string({ description: 'The data directory, or a copy or backup of one.', required: true }),
  };
  static override readonly flags = {
    'wal-dir': Flags.string({
      description: "Where the log is, if the member's --wal-dir kept it elsewhere.",
      helpValue: 'DIR',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Inspect);
    await this.perform<DatadirReport>(flags, args.path, async (run) => {
      run.progress.begin('reading');
      const { inspectDataDirectory } = await import('@keyferry/adapters/etcd-v2-datadir');
      const result = await run.reading(inspectDataDirectory(args.path, flags['wal-dir'] ?? null, Date.now()));
      return { result, view: inspectView, exitCode: result.problem === null ? exitCodes.done : exitCodes.failed };
    });
  }
}
