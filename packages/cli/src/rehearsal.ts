/** `rehearse`: reads an export of production, or takes one, and does everything else with servers that it starts and ends. */
import type { ResolvedConfig, Redactor, WiredParallel } from '@keyferry/adapters';
import { notRehearsed, type ArchiveReceipt, type BesidesArchive, type Rehearsal } from '@keyferry/core';
import type { Environment } from '@keyferry/engine';
import type { Outcome } from './base-command.ts';
import type { CommandRun } from './command-run.ts';
import { exitCodes } from './exit-codes.ts';
import { isParallel, whoAsks } from './parallel.ts';
import { usageError } from './usage-error.ts';
import { rehearsalView } from './views/parallel/rehearsal.ts';
import { loadAdapters, loadEngine, openConfig, runOptions, withState } from './wiring.ts';
import { holdYoung } from './young-generation.ts';

export interface RehearseFlags {
  readonly v2: string;
  readonly v3: string;
  readonly java: string;
  readonly archive?: string | undefined;
  readonly accept?: readonly string[] | undefined;
}

export async function rehearse(run: CommandRun, migration: string, flags: RehearseFlags): Promise<Outcome<Rehearsal>> {
  const { config, redactor } = await openConfig(run);
  const { openRehearsal, parallelSettings } = await loadAdapters();
  const { rehearseParallel } = await loadEngine();
  run.about(migration);
  if (!isParallel(config, migration) && Object.hasOwn(config.migrations, migration)) {
    throw usageError(`${migration} is not of strategy parallel`, `see what it would do:   keyferry plan ${migration}`);
  }
  const { smokeCommand } = parallelSettings(config, migration);
  run.progress.begin('starting throw-away servers');
  const servers = await openRehearsal(config, migration, flags, run.signal);
  try {
    const result = await withState(run, servers.config, async (env) => {
      const { archive, besides } = await archiveFor(
        run,
        env,
        { config, redactor, migration },
        servers.directory,
        flags,
      );
      return await wired(env, { config: servers.config, redactor, migration }, async ({ settings, ports }) => {
        run.progress.begin(`rehearsing ${migration}`);
        return await rehearseParallel({ ...env, parallel: ports }, settings, {
          ...runOptions(run, 0),
          archive,
          fill: servers.fill,
          accept: flags.accept ?? [],
          by: whoAsks(),
          notRehearsed: notRehearsed({
            balancers: config.parallel[migration]?.balancers ?? [],
            hasSmokeCommand: smokeCommand !== null,
            besides: besides === null ? null : { roles: besides.roles.length, settings: besides.settings.length },
          }),
        });
      });
    });
    return { result, view: rehearsalView, exitCode: result.passed ? exitCodes.done : exitCodes.deviated };
  } finally {
    await servers.close();
  }
}

interface Of {
  readonly config: ResolvedConfig;
  readonly redactor: Redactor;
  readonly migration: string;
}

/** The one that was given, or one of production's 2.x, of which this is all that is asked. */
async function archiveFor(
  run: CommandRun,
  env: Environment,
  of: Of,
  directory: string,
  { archive: given }: RehearseFlags,
): Promise<{ readonly archive: ArchiveReceipt; readonly besides: BesidesArchive | null }> {
  const { withRetry } = await loadEngine();
  const { signal } = run;
  return await wired(env, of, async ({ ports: { source, archives } }) => {
    if (given !== undefined) return { archive: await archives.receipt(given), besides: null };
    run.progress.begin(`exporting ${source.where}`);
    const archive = await withRetry(env, 'export', () => source.exportTo(`${directory}/export.zip`, signal), signal);
    const besides = await withRetry(env, 'read what no archive holds', () => source.readBesides(signal), signal);
    return { archive, besides };
  });
}

async function wired<T>(
  env: Environment,
  { config, redactor, migration }: Of,
  work: (parallel: WiredParallel) => Promise<T>,
): Promise<T> {
  const { wireParallel } = await loadAdapters();
  const { lentRetry } = await loadEngine();
  const parallel = await wireParallel(config, migration, { redactor, repeat: lentRetry(env) });
  holdYoung();
  try {
    return await work(parallel);
  } finally {
    await parallel.close();
  }
}
