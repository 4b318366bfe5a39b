/**
 * From flags to a running engine. Adapters and engine are loaded here and nowhere else, and only when a command needs
 * them, so that `--help` and wrong calls answer at once.
 */
import {
  KeyferryError,
  shellWord,
  type KeySelection,
  type MigrationId,
  type MigrationSpec,
  type ReviewPolicy,
} from '@keyferry/core';
import type { PlanConfig, Redactor, ResolvedConfig, WiredMigration } from '@keyferry/adapters';
import type { Engine, Environment, ReplicatePorts, RunOptions, WhoIsTold } from '@keyferry/engine';
import type { CommandRun } from './command-run.ts';
import { personToTell } from './person-to-tell.ts';
import { holdYoung, holdYoungIfGrown } from './heap-generations.ts';
import { holderIsGone, holderText, thisMachine } from './lock-holder.ts';

export const loadAdapters = async () => {
  holdYoungIfGrown();
  return await import('@keyferry/adapters');
};
export const loadEngine = async () => {
  holdYoungIfGrown();
  return await import('@keyferry/engine');
};

export interface OpenConfig {
  readonly config: ResolvedConfig;
  readonly redactor: Redactor;
}

const opened = new WeakMap<CommandRun, Promise<OpenConfig>>();

/**
 * Reads the configuration, once a command: all that a command does is by the same one, however long it takes. Secrets that
 * turn up from now on are known to the output.
 */
export function openConfig(run: CommandRun): Promise<OpenConfig> {
  const known = opened.get(run);
  if (known !== undefined) return known;
  const reading = readConfig(run);
  opened.set(run, reading);
  return reading;
}

async function readConfig(run: CommandRun): Promise<OpenConfig> {
  const adapters = await loadAdapters();
  const redactor = new adapters.Redactor();
  run.output.addRedactor((text) => redactor.redact(text));
  const config = await adapters.loadConfig(run.call.flags.config, { redactor });
  return { config, redactor };
}

/** For commands that ask the state only. */
export async function withState<T>(
  run: CommandRun,
  config: ResolvedConfig,
  work: (env: Environment) => Promise<T>,
): Promise<T> {
  const { systemClock: clock, systemRandom: random, wireState } = await loadAdapters();
  const { withRetry } = await loadEngine();
  const outside = { clock, random, host: run.host };
  // Shared state is opened over a network.
  const state = await withRetry(outside, 'state', () => wireState(config), run.signal);
  try {
    return await work({ state, ...outside });
  } finally {
    await state.close();
  }
}

export interface Wired {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly planConfig: PlanConfig;
  readonly review: ReviewPolicy;
}

/** For commands that talk to the stores. `part`: which keys it is about, if not all of the migration's. */
export async function withMigration<T>(
  run: CommandRun,
  migration: string,
  work: (wired: Wired, config: ResolvedConfig) => Promise<T>,
  part: (env: Environment) => Promise<KeySelection | null> | KeySelection | null = () => null,
): Promise<T> {
  const { config: whole, redactor } = await openConfig(run);
  run.about(migration);
  if (Object.hasOwn(whole.parallel, migration)) {
    // Commands that have something to do there ask before they come here (parallel.ts).
    const { command } = run.call;
    const next = `keyferry status ${migration}`;
    throw new KeyferryError('phase.not-allowed', { migration, phase: 'of strategy parallel', command, next });
  }
  const { selectPart, wireMigration } = await loadAdapters();
  return await withState(run, whole, async (env) => {
    const config = selectPart(whole, migration, await part(env));
    const wired: WiredMigration = await wireMigration(config, migration, { redactor });
    try {
      const { source, target, scratch, online, spec, config: planConfig, review } = wired;
      const replicate = await replicatePorts(run, env, wired);
      const engine: Engine = {
        ...env,
        source,
        target,
        scratch,
        ...(online === undefined ? {} : { online }),
        ...(replicate === null ? {} : { replicate }),
      };
      holdYoung();
      return await work({ engine, spec, planConfig, review }, config);
    } finally {
      await wired.close();
    }
  });
}

/** Where a program or a person is the switch, the state remembers what they were told. */
async function replicatePorts(
  run: CommandRun,
  { state }: Environment,
  { replicate, spec }: WiredMigration,
): Promise<ReplicatePorts | null> {
  if (replicate === null) return null;
  const { back, primary, told } = replicate;
  if (primary !== null) return { back, primary };
  const { StatePrimarySwitch } = await loadEngine();
  const { tellProgram } = await loadAdapters();
  const who: WhoIsTold =
    told?.kind === 'command'
      ? {
          kind: 'command',
          where: told.run.join(' '),
          ask: () => Promise.resolve(),
          tell: (record) => tellProgram(told.run, record),
        }
      : personToTell(run, spec.migration);
  return { back, primary: new StatePrimarySwitch(state, spec.migration, who) };
}

/** As `withMigration`, about the keys that the plan applied last was about. */
export async function withAppliedMigration<T>(
  run: CommandRun,
  migration: string,
  work: (wired: Wired, config: ResolvedConfig) => Promise<T>,
): Promise<T> {
  const { readAppliedPlan } = await loadEngine();
  return await withMigration(run, migration, work, async (env) => {
    const plan = await readAppliedPlan(env, migration as MigrationId);
    return plan?.selection ?? null;
  });
}

export function runOptions(run: CommandRun, lockTimeoutMs: number): RunOptions {
  const machine = thisMachine();
  const { command, argument } = run.call;
  return {
    holder: holderText(machine),
    command: ['keyferry', command, ...(argument === null ? [] : [shellWord(argument)])].join(' '),
    lockTimeoutMs,
    holderIsGone: holderIsGone(machine),
    signal: run.signal,
  };
}
