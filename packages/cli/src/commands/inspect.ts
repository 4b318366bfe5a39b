import { Args, Flags } from '@oclif/core';
import type { ComparedMember, DatadirReport } from '@keyferry/adapters/etcd-v2-datadir';
import { membersVerdict } from '@keyferry/core';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { inspectView } from '../views/inspect/index.ts';
import { membersView } from '../views/inspect/members.ts';
import { usageError } from '../usage-error.ts';

export default class Inspect extends BaseCommand {
  static override readonly summary =
    'What the data directory of an etcd member holds, and whether etcd 3.6 would start on it. Only reads; needs no etcd.';
  static override readonly examples = [
    '<%= config.bin %> inspect /var/lib/etcd',
    '<%= config.bin %> inspect backup/etcd-1 --json',
    '<%= config.bin %> inspect backup/etcd-1 --member backup/etcd-2 --member backup/etcd-3',
  ];
  static override readonly args = {
    path: Args.string({ description: 'The data directory, or a copy or backup of one.', required: true }),
  };
  static override readonly flags = {
    'wal-dir': Flags.string({
      description: "Where the log is, if the member's --wal-dir kept it elsewhere.",
      helpValue: 'DIR',
    }),
    member: Flags.string({
      description: 'Data directory of another member: compares them, and says which one to use. May be repeated.',
      helpValue: 'DIR',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Inspect);
    const { member: others = [] } = flags;
    if (others.length > 0) {
      await this.compare(flags, args.path, others);
      return;
    }
    await this.perform<DatadirReport>(flags, args.path, async (run) => {
      run.progress.begin('reading');
      const { inspectDataDirectory } = await import('@keyferry/adapters/etcd-v2-datadir');
      const result = await run.reading(inspectDataDirectory(args.path, flags['wal-dir'] ?? null, Date.now()));
      return { result, view: inspectView, exitCode: result.problem === null ? exitCodes.done : exitCodes.failed };
    });
  }

  /** Exits 7 when they do not agree. */
  private async compare(
    flags: Parameters<Inspect['perform']>[0] & { readonly 'wal-dir'?: string | undefined },
    first: string,
    others: readonly string[],
  ): Promise<void> {
    await this.perform<readonly ComparedMember[]>(flags, first, async (run) => {
      if (flags['wal-dir'] !== undefined) {
        const fix = 'name the members in the configuration:   members: [{ dataDir: DIR, walDir: DIR }]';
        throw usageError('--wal-dir and --member cannot be told apart', fix);
      }
      run.progress.begin('reading');
      const { compareMembers } = await import('@keyferry/adapters/etcd-v2-datadir');
      const places = [first, ...others].map((dataDir) => ({ dataDir, walDir: null }));
      const result = await run.reading(compareMembers(places));
      const agree = membersVerdict(result as [ComparedMember, ...ComparedMember[]]).kind === 'converged';
      return { result, view: membersView, exitCode: agree ? exitCodes.done : exitCodes.deviated };
    });
  }
}
