/**
 * The lock of a migration, held by one run: taken by a conditional write, renewed by a heartbeat, given back at the
 * end. Losing it stops the run; what keeps the data right meanwhile are the fences in the target.
 */
import {
  KeyferryError,
  lockId,
  lockIsHeld,
  renewLock,
  type LockState,
  type MigrationId,
  type RunId,
  type StateVersion,
  type StopSignal,
} from '@keyferry/core';
import { assertNotStopped, type Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { listItems, locksScope, writeItem } from './state-items.ts';

export const lockLeaseMs = 20_000;
const waitBetweenTriesMs = 500;
const certainEveryMs = 100;

export interface LockRequest {
  readonly migration: MigrationId;
  readonly run: RunId;
  /** `user@host, pid N`. */
  readonly holder: string;
  readonly command: string;
  /** How long to wait for a lock that is held; 0: not at all. */
  readonly timeoutMs: number;
  /** Whether the holder's process is known to be gone, so that its lease need not be waited for. */
  readonly holderIsGone: (lock: LockState) => boolean;
  /** Ends the wait. */
  readonly signal: StopSignal;
  /** Held in the target beside this one; losing it is losing this one. */
  readonly turn?: { readonly lostSignal: AbortSignal; readonly lookAgain: () => Promise<void> } | undefined;
}

export class RunLock {
  private readonly env: Environment;
  private readonly migration: MigrationId;
  private readonly stop = new AbortController();
  private readonly heartbeat: Promise<void>;
  private lock: LockState;
  private version: StateVersion;
  /** By the monotonic clock: until then nobody else can have taken it. */
  private certainUntilMs: number;
  private readonly lost = new AbortController();
  private readonly anyLost: AbortSignal;
  private readonly turn: LockRequest['turn'];
  /** The run that held it before and did not give it back; its workers are dead with it. */
  readonly takenFrom: RunId | null;

  private constructor(
    env: Environment,
    migration: MigrationId,
    lock: LockState,
    version: StateVersion,
    takenFrom: RunId | null,
    turn: LockRequest['turn'],
    askedAtMs: number,
  ) {
    this.env = env;
    this.certainUntilMs = askedAtMs + lockLeaseMs;
    this.migration = migration;
    this.lock = lock;
    this.version = version;
    this.takenFrom = takenFrom;
    this.turn = turn;
    this.anyLost = turn === undefined ? this.lost.signal : AbortSignal.any([this.lost.signal, turn.lostSignal]);
    this.heartbeat = this.beat();
  }

  /** @throws {KeyferryError} `lease.held` when somebody else holds it for longer than the time to wait. */
  static async acquire(env: Environment, request: LockRequest): Promise<RunLock> {
    const { migration, run, holder, command } = request;
    const deadlineMs = env.clock.monotonicMs() + request.timeoutMs;
    for (;;) {
      const current = await withRetry(env, 'lock', () => env.state.read('lock', locksScope, migration));
      const [nowMs, askedAtMs] = [env.clock.nowMs(), env.clock.monotonicMs()];
      const gone = current !== null && request.holderIsGone(current.item);
      if (current === null || gone || !lockIsHeld(current.item, nowMs)) {
        const random = [env.random.uint32(), env.random.uint32()] as const;
        const lock: LockState = renewLock(
          {
            lock: lockId(nowMs, random),
            holder,
            run,
            command,
            acquiredAtMs: nowMs,
            heartbeatAtMs: 0,
            leaseEndsAtMs: 0,
          },
          nowMs,
          lockLeaseMs,
        );
        const change = await writeItem(env, 'lock', locksScope, migration, lock, current?.version ?? 'absent');
        if (change.kind === 'written') {
          const takenFrom = gone ? current.item.run : null;
          return new RunLock(env, migration, lock, change.version, takenFrom, request.turn, askedAtMs);
        }
        continue; // somebody else took it in between: look again who
      }
      assertNotStopped(migration, request.signal);
      if (env.clock.monotonicMs() >= deadlineMs) throw heldError(migration, current.item, nowMs);
      await env.clock.sleep(waitBetweenTriesMs, request.signal);
    }
  }

  /** Aborted as soon as the lock is known to be somebody else's: workers that only wait must stop too. */
  get lostSignal(): AbortSignal {
    return this.anyLost;
  }

  /** @throws {KeyferryError} `lease.lost` */
  assertHeld(cause?: unknown): void {
    if (!this.anyLost.aborted) return;
    throw new KeyferryError('lease.lost', { migration: this.migration, lock: this.lock.lock }, { cause });
  }

  /**
   * Resolves at once while nobody else can hold it, by its lease. A run that slept past that waits until its heartbeat has
   * renewed it. For writes that no fence keeps from coming late.
   * @throws {KeyferryError} `lease.lost`
   */
  async untilCertain(signal: StopSignal | undefined): Promise<void> {
    const { clock } = this.env;
    for (;;) {
      this.assertHeld();
      if (clock.monotonicMs() < this.certainUntilMs) return;
      if (signal !== undefined) assertNotStopped(this.migration, signal);
      await clock.sleep(certainEveryMs, signal);
    }
  }

  /** Asks the state, and the target, whether the lock is still this run's; `assertHeld` knows what the last heartbeat met. */
  async lookAgain(): Promise<void> {
    const { env, migration } = this;
    const current = await withRetry(env, 'lock', () => env.state.read('lock', locksScope, migration));
    if (current?.item.lock !== this.lock.lock) this.lost.abort();
    await this.turn?.lookAgain();
  }

  async release(): Promise<void> {
    this.stop.abort();
    await this.heartbeat;
    if (this.lost.signal.aborted) return;
    // A conflict means that it was broken or taken over just now: then it is no longer ours to remove. The same is the
    // answer to a repeat whose first try had removed it.
    const { state } = this.env;
    await withRetry(this.env, 'release lock', () => state.remove('lock', locksScope, this.migration, this.version));
  }

  private async beat(): Promise<void> {
    const { clock } = this.env;
    while (!this.stop.signal.aborted && !this.lost.signal.aborted) {
      await clock.sleep(lockLeaseMs / 4, this.stop.signal);
      if (this.stop.signal.aborted) return;
      try {
        const askedAtMs = clock.monotonicMs();
        const next = renewLock(this.lock, clock.nowMs(), lockLeaseMs);
        const change = await writeItem(this.env, 'lock', locksScope, this.migration, next, this.version);
        if (change.kind === 'lost') this.lost.abort();
        else [this.lock, this.version, this.certainUntilMs] = [next, change.version, askedAtMs + lockLeaseMs];
      } catch {
        this.lost.abort(); // state out of reach for longer than the retries last: the lease will end, so stop
      }
    }
  }
}

function heldError(migration: MigrationId, lock: LockState, nowMs: number): KeyferryError<'lease.held'> {
  return new KeyferryError('lease.held', {
    migration,
    lock: lock.lock,
    holder: lock.holder,
    run: lock.run,
    heartbeatAgoMs: Math.max(0, nowMs - lock.heartbeatAtMs),
  });
}

/**
 * Takes a lock away from whoever holds it. Its run stops at its next heartbeat; its workers are kept from doing harm
 * by their fences.
 * @throws {KeyferryError} `lock.not-found`
 */
export async function breakLock(env: Environment, lock: string): Promise<LockState> {
  for (const { id, item, version } of await listLocks(env)) {
    if (item.lock !== lock) continue;
    const outcome = await env.state.remove('lock', locksScope, id, version);
    if (outcome.kind === 'conflict') throw new KeyferryError('state.conflict', { what: `lock ${lock}` });
    return item;
  }
  throw new KeyferryError('lock.not-found', { lock });
}

export interface ListedLock {
  readonly id: string;
  readonly item: LockState;
  readonly version: StateVersion;
}

export async function listLocks(env: Environment): Promise<readonly ListedLock[]> {
  const locks: ListedLock[] = [];
  for await (const entries of listItems(env, 'lock', locksScope)) locks.push(...entries);
  return locks;
}
