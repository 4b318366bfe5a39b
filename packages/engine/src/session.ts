/**
 * A writing command's frame: takes the migration's lock, reads where the migration stands, runs, gives the lock back.
 * `apply` and `rollback` share it; whatever happens inside, the lock is released or known to be lost.
 */
import {
  KeyferryError,
  nextStep,
  phaseTable,
  runId,
  type Code,
  type LockState,
  type MigrationId,
  type MigrationState,
  type Phase,
  type PhaseEvent,
  type RunId,
  type StateVersion,
  type MigrationSpec,
} from '@keyferry/core';
import { RunLock } from './lock.ts';
import type { Turn } from './turn.ts';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { migrationsScope, readMigration, writeItemOrFail } from './state-items.ts';

export interface RunOptions {
  /** `user@host, pid N`: shown to whoever meets the lock. */
  readonly holder: string;
  /** The command line, for the lock's listing. */
  readonly command: string;
  readonly lockTimeoutMs: number;
  readonly holderIsGone: (lock: LockState) => boolean;
  /** Aborted on an interrupt: the run then stops at its next checkpoint. */
  readonly signal: AbortSignal;
  /** Held in the target while it works; absent: the target keeps no locks. */
  readonly turn?: Pick<Turn, 'lostSignal' | 'lookAgain'> | undefined;
}

/** A migration's state as this run last wrote it; every change is conditional on that. */
export class Session {
  private readonly env: Environment;
  readonly lock: RunLock;
  readonly run: RunId;
  private entry: { readonly item: MigrationState; readonly version: StateVersion } | null;

  constructor(
    env: Environment,
    lock: RunLock,
    run: RunId,
    entry: { readonly item: MigrationState; readonly version: StateVersion } | null,
  ) {
    this.env = env;
    this.lock = lock;
    this.run = run;
    this.entry = entry;
  }

  get state(): MigrationState | null {
    return this.entry?.item ?? null;
  }

  get phase(): Phase {
    return this.entry?.item.phase ?? 'new';
  }

  /** The phase after `event`. @throws {KeyferryError} `phase.not-allowed` */
  after(event: PhaseEvent, spec: MigrationSpec, command: string): Phase {
    const phase = phaseTable[this.phase][event];
    return phase ?? this.refuse(spec, command);
  }

  /** @throws {KeyferryError} `phase.not-allowed`, `migration.finalized` */
  refuse({ migration, strategy }: MigrationSpec, command: string): never {
    const { phase, state } = this;
    const done = state?.done ?? null;
    if (phase === 'finalized' && done !== null) {
      const { by, finalizedAt: at } = done;
      throw new KeyferryError('migration.finalized', { migration, command, by, at });
    }
    const { next } = nextStep(migration, phase, state?.appliedAs ?? `${migration}.kfplan`, strategy === 'replicate');
    throw new KeyferryError('phase.not-allowed', { migration, phase, command, next });
  }

  /**
   * Proves that the state is still as this run wrote it: nobody took over, and nobody threw it away.
   * @throws {KeyferryError} `state.conflict`
   */
  async assertCurrent(spec: MigrationSpec): Promise<void> {
    const { migration } = spec;
    const now = await withRetry(this.env, 'state', () => this.env.state.read('migration', migrationsScope, migration));
    if (now?.version !== this.entry?.version)
      throw new KeyferryError('state.conflict', { what: `migration ${migration}` });
  }

  async write(item: MigrationState): Promise<void> {
    const expected = this.entry?.version ?? 'absent';
    const version = await writeItemOrFail(this.env, 'migration', migrationsScope, item.migration, item, expected);
    this.entry = { item, version };
  }
}

/** A call that failed for the moment would have been repeated, had the run not been told to stop: so that is what ended it. */
function interruptedIn(migration: MigrationId, signal: AbortSignal, cause: KeyferryError): KeyferryError {
  return new KeyferryError('run.interrupted', { migration, signal: String(signal.reason) }, { cause });
}

const metAnother: ReadonlySet<Code> = new Set<Code>(['state.conflict', 'epoch.lost', 'fence.lost']);

export async function withSession<T>(
  env: Environment,
  spec: Pick<MigrationSpec, 'migration'>,
  options: RunOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const run = runId(env.clock.nowMs(), [env.random.uint32(), env.random.uint32()]);
  const { holder, command, lockTimeoutMs: timeoutMs, holderIsGone, signal, turn } = options;
  const { migration } = spec;
  const lock = await RunLock.acquire(env, { migration, run, holder, command, timeoutMs, holderIsGone, signal, turn });
  try {
    const entry = await readMigration(env, migration);
    return await work(new Session(env, lock, run, entry));
  } catch (error) {
    if (error instanceof KeyferryError && error.code !== 'internal.invariant') {
      // A run that slept meets the one that has its lock now by a conflict over the state, by the other one's epoch, or by
      // calls that were cut short. What happened is that it lost the lock.
      if (metAnother.has(error.code)) await lock.lookAgain();
      lock.assertHeld(error);
      if (signal.aborted && error.retry === 'backoff') throw interruptedIn(migration, signal, error);
    }
    throw error;
  } finally {
    await lock.release();
  }
}
