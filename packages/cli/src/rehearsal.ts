/** `rehearse`: reads an export of production, or takes one, and does everything else with servers that it starts and ends. */
import type { ResolvedConfig, Redactor, WiredParallel } from '@keyferry/adapters';
import {
  KeyferryError,
  notRehearsed,
  type ArchiveReceipt,
  type BesidesArchive,
  type Finding,
  type LoadBalancer,
  type Rehearsal,
} from '@keyferry/core';
import type { Environment } from '@keyferry/engine';
import type { Outcome } from './base-command.ts';
import type { CommandRun } from './command-run.ts';
import { exitCodes } from './exit-codes.ts';
import { isParallel, whoAsks } from './parallel.ts';
import { usageError } from './usage-error.ts';
import { rehearsalView } from './views/parallel/rehearsal.ts';
import { loadAdapters, loadEngine, openConfig, runOptions, withState } from './wiring.ts';
import { holdOld, holdYoung } from './heap-generations.ts';

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
      const { archive, besides, findings, unchecked } = await askProduction(
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
          fill: (file, stop) => servers.fill(file, besides, stop),
          accept: flags.accept ?? [],
          by: whoAsks(),
          findings,
          notRehearsed: notRehearsed({
            balancers: config.parallel[migration]?.balancers ?? [],
            unchecked,
            hasSmokeCommand: smokeCommand !== null,
            hasBesides: besides !== null,
            access: accessOf(config, migration),
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

interface OfProduction {
  readonly archive: ArchiveReceipt;
  /** null: 2.x was not asked. */
  readonly besides: BesidesArchive | null;
  readonly findings: readonly Finding[];
  /** Whose configuration was not checked, and why. */
  readonly unchecked: readonly { readonly name: string; readonly why: string }[];
}

/**
 * An export of 2.x and what no archive holds, and whether each load balancer would take its configuration with what a migration
 * changes in it: its own program checks that, and nothing is loaded. Nothing of it with an archive that was given.
 */
async function askProduction(
  run: CommandRun,
  env: Environment,
  of: Of,
  directory: string,
  { archive: given }: RehearseFlags,
): Promise<OfProduction> {
  const { withRetry, balancerFindings } = await loadEngine();
  const { signal } = run;
  return await wired(env, of, async ({ ports: { source, archives, balancers } }) => {
    if (given !== undefined) {
      const unchecked = balancers.map(({ name }) => ({ name, why: 'as the archive was given' }));
      return { archive: await archives.receipt(given), besides: null, findings: [], unchecked };
    }
    run.progress.begin(`exporting ${source.where}`);
    const archive = await withRetry(env, 'export', () => source.exportTo(`${directory}/export.zip`, signal), signal);
    const besides = await withRetry(env, 'read what no archive holds', () => source.readBesides(signal), signal);
    const checked = await Promise.all(balancers.map(checkBalancer));
    return {
      archive,
      besides,
      findings: checked.flatMap(({ name, complaints }) => balancerFindings(name, complaints)),
      unchecked: checked.flatMap(({ name, why }) => (why === null ? [] : [{ name, why }])),
    };
  });
}

/** One that cannot be asked from here, of a machine that only production reaches, does not end a rehearsal. */
async function checkBalancer(balancer: LoadBalancer) {
  const { name } = balancer;
  try {
    return { name, complaints: await balancer.rehearse(), why: null };
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    return { name, complaints: [], why: `as it cannot be asked from here: ${error.message}` };
  }
}

/** Of the registries that let not everybody in. */
function accessOf({ stores, parallel }: ResolvedConfig, migration: string): readonly string[] {
  const { source, target } = parallel[migration] ?? {};
  return [source?.store ?? '', target?.store ?? ''].flatMap((name) => {
    const store = stores[name];
    if (store === undefined || !('oidc' in store)) return [];
    const ways = [
      ...(store.auth === null ? [] : ['user and password']),
      ...(store.oidc === null ? [] : ['OIDC']),
      ...(store.tls === null ? [] : ['TLS']),
    ];
    return ways.length === 0 ? [] : [`${name} (${ways.join(', ')})`];
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
  holdOld();
  try {
    return await work(parallel);
  } finally {
    await parallel.close();
  }
}
