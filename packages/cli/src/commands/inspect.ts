import { open, stat } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import type { ComparedMember, DatadirReport } from '@keyferry/adapters/etcd-v2-datadir';
import { membersVerdict } from '@keyferry/core';
import { BaseCommand } from '../base-command.ts';
import type { CommandRun } from '../command-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { archiveView, type ArchiveInspection } from '../views/inspect/archive.ts';
import { inspectView } from '../views/inspect/index.ts';
import { membersView } from '../views/inspect/members.ts';
import { usageError } from '../usage-error.ts';
import { loadAdapters, openConfig } from '../wiring.ts';
import { holdYoung } from '../heap-generations.ts';

/** The release that the import was tried on. */
const newestTested = '3.3.3';

export default class Inspect extends BaseCommand {
  static override readonly summary =
    'What the data directory of an etcd member holds, or the export of an Apicurio Registry 2, and what would become of it. Only reads; needs no server.';
  static override readonly examples = [
    '<%= config.bin %> inspect /var/lib/etcd',
    '<%= config.bin %> inspect backup/etcd-1 --json',
    '<%= config.bin %> inspect backup/etcd-1 --member backup/etcd-2 --member backup/etcd-3',
    '<%= config.bin %> inspect http://etcd-1:2379 --member http://etcd-2:2379 --member /backup/etcd-3',
    '<%= config.bin %> inspect https://etcd-1:2379 --member https://etcd-2:2379 --store old',
    '<%= config.bin %> inspect export.zip --release 3.3.3',
    '<%= config.bin %> inspect export.zip --repaired repaired.zip',
  ];
  static override readonly args = {
    path: Args.string({
      description:
        'The data directory, or a copy or backup of one; or the zip of an export. With --member also the URL of a member at work.',
      required: true,
    }),
  };
  static override readonly flags = {
    'wal-dir': Flags.string({
      description: "Where the log is, if the member's --wal-dir kept it elsewhere.",
      helpValue: 'DIR',
    }),
    member: Flags.string({
      description:
        'Data directory of another member, or the URL of one at work: compares them, and says which one to use. May be repeated.',
      helpValue: 'DIR|URL',
      multiple: true,
      multipleNonGreedy: true,
    }),
    store: Flags.string({
      description:
        'With URLs: how members are asked (TLS, user), as the configuration says of this store of kind etcd-v2.',
      helpValue: 'NAME',
    }),
    release: Flags.string({
      description: 'Of an export: the release of Apicurio Registry 3 that will import it.',
      helpValue: 'VERSION',
      default: newestTested,
    }),
    repaired: Flags.string({
      description: 'Of an export: write a new archive here in which what can be cured is cured, and say each change.',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Inspect);
    const { member: others = [] } = flags;
    if (flags.store !== undefined && ![args.path, ...others].some(isUrl)) {
      throw usageError('--store is for members at work, and no URL is named', 'leave it out, or name their URLs');
    }
    if (await isFile(args.path)) {
      await this.inspectExport(flags, args.path);
      return;
    }
    if (flags.repaired !== undefined) {
      throw usageError(`${args.path} is no file, and --repaired is for the zip of an export`, 'name the zip');
    }
    if (others.length > 0) {
      await this.compare(flags, args.path, others);
      return;
    }
    await this.perform<DatadirReport>(flags, args.path, async (run) => {
      if (isUrl(args.path)) {
        const fix = `name another one:   inspect ${args.path} --member URL`;
        throw usageError('a member at work is only compared with others', fix);
      }
      run.progress.begin('reading');
      const { inspectDataDirectory } = await import('@keyferry/adapters/etcd-v2-datadir');
      holdYoung();
      const result = await run.reading(inspectDataDirectory(args.path, flags['wal-dir'] ?? null, Date.now()));
      return { result, view: inspectView, exitCode: result.problem === null ? exitCodes.done : exitCodes.failed };
    });
  }

  /** Exits 4 when something would be lost. */
  private async inspectExport(
    flags: Parameters<Inspect['perform']>[0] & {
      readonly member?: readonly string[] | undefined;
      readonly repaired?: string | undefined;
      readonly release: string;
      readonly 'wal-dir'?: string | undefined;
    },
    file: string,
  ): Promise<void> {
    await this.perform<ArchiveInspection>(flags, file, async (run) => {
      if (flags['wal-dir'] !== undefined || (flags.member ?? []).length > 0) {
        throw usageError('--wal-dir and --member are for data directories', `leave them out:   inspect ${file}`);
      }
      if (await isDatabase(file)) {
        const fix = `name the member's directory, in which member/snap/db lies; of a snapshot:   etcdutl snapshot status ${file}`;
        throw usageError(`${file} is a database or a snapshot of etcd v3, and no zip of an export`, fix);
      }
      if (!(await mayBeZip(file))) {
        const fix = "name the member's --data-dir, or a copy of it; of an Apicurio Registry 2, the zip of its export";
        throw usageError(`${file} is a file, and neither a data directory of etcd nor a zip`, fix);
      }
      run.progress.begin('reading');
      const { inspectArchive, repairArchive } = await import('@keyferry/adapters/apicurio');
      holdYoung();
      const { repaired: into, release } = flags;
      const report = await run.reading(inspectArchive(file, release));
      const repaired =
        into === undefined
          ? null
          : { file: into, repairs: await repairArchive(file, into), report: await inspectArchive(into, release) };
      const { findings } = (repaired ?? { report }).report;
      const isBlocked = findings.some(({ level }) => level === 'blocking');
      const exitCode = isBlocked ? exitCodes.notAllowed : exitCodes.done;
      return { result: { report, repaired }, view: archiveView, exitCode };
    });
  }

  /** Exits 7 when they do not agree. */
  private async compare(
    flags: Parameters<Inspect['perform']>[0] & {
      readonly 'wal-dir'?: string | undefined;
      readonly store?: string | undefined;
    },
    first: string,
    others: readonly string[],
  ): Promise<void> {
    await this.perform<readonly ComparedMember[]>(flags, first, async (run) => {
      if (flags['wal-dir'] !== undefined) {
        const fix = 'name the members in the configuration:   members: [{ dataDir: DIR, walDir: DIR }]';
        throw usageError('--wal-dir and --member cannot be told apart', fix);
      }
      run.progress.begin('reading');
      const { compareLiveMembers, compareMembers } = await import('@keyferry/adapters/etcd-v2-datadir');
      holdYoung();
      const paths = [first, ...others];
      const directory = (dataDir: string) => ({ dataDir, walDir: null });
      const access = flags.store === undefined ? undefined : await accessOf(run, flags.store);
      const result = await run.reading(
        paths.some(isUrl)
          ? compareLiveMembers(paths.map((path) => (isUrl(path) ? { endpoint: path, access } : directory(path))))
          : compareMembers(paths.map(directory)),
      );
      const agree = membersVerdict(result as [ComparedMember, ...ComparedMember[]]).kind === 'converged';
      return { result, view: membersView, exitCode: agree ? exitCodes.done : exitCodes.deviated };
    });
  }
}

/** @throws {KeyferryError} `usage.invalid`, and what a configuration and its secrets may fail with */
async function accessOf(run: CommandRun, store: string) {
  const { config, redactor } = await openConfig(run);
  const { etcdV2Access } = await loadAdapters();
  const access = await etcdV2Access(config, store, redactor);
  if (access !== null) return access;
  const known = Object.keys(config.stores).filter((name) => config.stores[name]?.kind === 'etcd-v2');
  const fix = known.length === 0 ? 'describe one under stores:' : `name one of these:   --store ${known.join(' | ')}`;
  throw usageError(`the configuration has no store ${store} of kind etcd-v2`, fix);
}

const isUrl = (path: string): boolean => /^https?:\/\//.test(path);

/** What is not there is for the reader of directories to complain about. */
async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** A file of bbolt says so in its first page. What cannot be read is for the reader of exports to complain about. */
async function isDatabase(path: string): Promise<boolean> {
  const start = await startOf(path);
  return start?.length === startBytes && start.readUInt32LE(16) === 0xed0cdaed;
}

/** By what it begins with or is called: a damaged export is for the reader of exports to complain about. */
async function mayBeZip(path: string): Promise<boolean> {
  const start = await startOf(path);
  return start === null || path.endsWith('.zip') || start.toString('latin1', 0, 2) === 'PK';
}

const startBytes = 20;

/** Null: it cannot be read. */
async function startOf(path: string): Promise<Buffer | null> {
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(startBytes), 0, startBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
