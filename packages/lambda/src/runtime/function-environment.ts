/**
 * A function's environment: stores and state, opened at its first invocation and kept warm for those that follow.
 *
 * Between two invocations the environment may be frozen for any time, so nothing here rests on a timer: connections that
 * died meanwhile are opened anew by the adapters, and what was held before a freeze proves nothing after it (the engine's
 * deadlines, leases and fences see to that). What failed to open is opened anew by the next invocation.
 */
import {
  Redactor,
  selectPart,
  systemClock,
  systemRandom,
  wireMigration,
  wireState,
  type ResolvedConfig,
  type WiredMigration,
} from '@keyferry/adapters';
import {
  invariant,
  selectionText,
  type KeySelection,
  type MigrationId,
  type PlanId,
  type StateStore,
} from '@keyferry/core';
import {
  readSubmission,
  SliceHome,
  StatePrimarySwitch,
  withRetry,
  type Engine,
  type Environment,
  type ReplicatePorts,
} from '@keyferry/engine';
import { readBundle } from './bundle-files.ts';
import { FunctionHost } from './function-host.ts';

export interface FunctionEnvironment {
  readonly migration: MigrationId;
  readonly engine: Engine;
  readonly wired: WiredMigration;
  /** What slices keep from one invocation to the next. */
  readonly home: SliceHome;
}

/** What an invocation is about: the plan that is submitted or applied, which may be of a part; or all of the migration. */
export type Subject = 'plan at hand' | 'whole migration';

const redactor = new Redactor();
/** Speaks before anything is opened, too. */
export const host = new FunctionHost(redactor);
let opening: Promise<WarmEnvironment> | null = null;

/** @param folder the bundle's */
export async function functionEnvironment(folder: string, subject: Subject): Promise<FunctionEnvironment> {
  opening ??= WarmEnvironment.open(folder).catch((error: unknown) => {
    opening = null;
    throw error;
  });
  return await (await opening).for(subject);
}

class WarmEnvironment {
  private readonly migration: MigrationId;
  private readonly config: ResolvedConfig;
  private readonly env: Environment;
  private wired: { readonly part: string; readonly environment: FunctionEnvironment } | null = null;
  /** The selection of the plan that was met last. */
  private last: { readonly plan: PlanId; readonly selection: KeySelection | null } | null = null;

  private constructor(migration: MigrationId, config: ResolvedConfig, env: Environment) {
    this.migration = migration;
    this.config = config;
    this.env = env;
  }

  static async open(folder: string): Promise<WarmEnvironment> {
    const { migration, config } = await readBundle(folder);
    const outside = { clock: systemClock, random: systemRandom, host };
    const state: StateStore = await withRetry(outside, 'state', () => wireState(config));
    return new WarmEnvironment(migration as MigrationId, config, { state, ...outside });
  }

  async for(subject: Subject): Promise<FunctionEnvironment> {
    const selection = subject === 'plan at hand' ? await this.selectionAtHand() : null;
    const part = selectionText(selection);
    if (this.wired?.part === part) return this.wired.environment;
    await this.close();
    const { migration, env } = this;
    const wired = await wireMigration(selectPart(this.config, migration, selection), migration, { redactor });
    const { source, target, scratch, online } = wired;
    const replicate = replicatePorts(env, migration, wired);
    const engine = {
      ...env,
      source,
      target,
      scratch,
      ...(online === undefined ? {} : { online }),
      ...(replicate === null ? {} : { replicate }),
    };
    const environment = { migration, engine, wired, home: new SliceHome() };
    this.wired = { part, environment };
    return environment;
  }

  /** Of the plan that waits to be taken up, else of the one that is applied; each is read once. */
  private async selectionAtHand(): Promise<KeySelection | null> {
    const { env, migration } = this;
    const submission = await readSubmission(env, migration);
    const state = await withRetry(env, 'state', () => env.state.read('migration', 'migrations', migration));
    const plan = submission?.answer === null ? submission.plan : (state?.item.plan ?? null);
    if (plan === null) return null;
    if (this.last?.plan !== plan) {
      const entry = await withRetry(env, 'state plan', () => env.state.read('plan', migration, plan));
      this.last = { plan, selection: entry?.item.selection ?? null };
    }
    return this.last.selection;
  }

  private async close(): Promise<void> {
    const { wired } = this;
    this.wired = null;
    await wired?.environment.home.close();
    await wired?.environment.wired.close();
  }
}

/** No function leads applications over: one whose switch is a program or a person reads what the state remembers of them. */
function replicatePorts(
  env: Environment,
  migration: MigrationId,
  { replicate }: WiredMigration,
): ReplicatePorts | null {
  if (replicate === null) return null;
  const { back, primary, told } = replicate;
  if (primary !== null) return { back, primary };
  const tell = async (): Promise<void> => {
    invariant(false, 'a function led applications over');
  };
  const who = { kind: told?.kind ?? 'person', where: told?.kind ?? 'person', ask: tell, tell } as const;
  return { back, primary: new StatePrimarySwitch(env.state, migration, who) };
}
