/**
 * Turn: the right of one host among many to work on a migration, by a lock that the target itself keeps.
 *
 *     free ──► work, with a heartbeat ──► given back, with how it ended
 *     held ──► wait for it ──► what became of it decides: done, and nothing is left to do; or not, and then this host
 *                              does not try its luck behind a failure that nobody has looked at
 *
 * It is taken before the lock in the state, and before a plan is made, so that whoever waits plans what the other left.
 * Where the target keeps no locks there is no turn, and the lock in the state holds alone. Losing it stops the run; what
 * keeps the data right meanwhile are the fences. A target that is out of reach takes no turn away: nobody else can write
 * there either, or this host alone is cut off, and then it learns of it by its next renewal.
 */
import {
  holderForPeople,
  KeyferryError,
  lockId,
  type Code,
  type LockState,
  type HeldTargetLock,
  type MigrationSpec,
  type Phase,
  type TargetLockAnswer,
  type TargetLockNote,
} from '@keyferry/core';
import { lockLeaseMs } from './lock.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { lentRetry, patient, withRetry } from './retry.ts';
import type { RunOptions } from './session.ts';

const waitBetweenTriesMs = 1000;

/** Held until `end`; `lostSignal` aborts as soon as it is known to be somebody else's. */
export class Turn {
  readonly note: TargetLockNote;
  private readonly engine: Engine;
  private readonly held: HeldTargetLock;
  private readonly stop = new AbortController();
  private readonly lost = new AbortController();
  private readonly heartbeat: Promise<void>;

  constructor(engine: Engine, held: HeldTargetLock, note: TargetLockNote) {
    this.engine = engine;
    this.held = held;
    this.note = note;
    this.heartbeat = this.beat();
  }

  get lostSignal(): AbortSignal {
    return this.lost.signal;
  }

  /** Asks the target at once: the heartbeat may have met it seconds ago. Out of reach it takes nothing away. */
  async lookAgain(): Promise<void> {
    const isHeld = withRetry(this.engine, 'look at the turn', () => this.held.renew(), this.stop.signal);
    if (!(await isHeld.catch(() => true))) this.lost.abort();
  }

  /** @param outcome `done`, or the code of the error that it ended in */
  async end(outcome: string): Promise<void> {
    await this.giveBack({ ...this.note, end: { outcome, atMs: this.engine.clock.nowMs() } });
  }

  /** As if nobody had come: whoever comes next is to hear of the one whose turn it was, and not of who was turned away. */
  async leave(previous: TargetLockNote): Promise<void> {
    await this.giveBack(previous);
  }

  private async giveBack(note: TargetLockNote): Promise<void> {
    this.stop.abort();
    await this.heartbeat;
    if (this.lost.signal.aborted) return;
    await withRetry(this.engine, 'give the turn back', () => this.held.release(note));
  }

  private async beat(): Promise<void> {
    const { clock } = this.engine;
    while (!this.stop.signal.aborted && !this.lost.signal.aborted) {
      await clock.sleep(lockLeaseMs / 4, this.stop.signal);
      if (this.stop.signal.aborted) return;
      try {
        const renew = () => this.held.renew();
        if (!(await withRetry(patient(this.engine), 'keep the turn', renew, this.stop.signal))) this.lost.abort();
      } catch {
        // The target out of reach for longer than anybody waits for it. Work that ends meanwhile ends with the turn.
        if (!this.stop.signal.aborted) this.lost.abort();
      }
    }
  }
}

/** Who had the turn before, as that ended, with a holder for people. */
export interface TurnsBefore {
  /** The last one, whenever that was; null: nobody. */
  readonly last: TargetLockNote | null;
  /** It was at work when this one came, and was waited for. */
  readonly waited: boolean;
}

/**
 * @param work gets the options with the turn
 * @param outcomeOf for those who waited: `done` where the result is what was wanted
 * @throws {KeyferryError} `lease.elsewhere` when somebody else has it for longer than the time to wait.
 */
export async function withTurn<T>(
  engine: Engine,
  spec: MigrationSpec,
  options: RunOptions,
  work: (options: RunOptions, before: TurnsBefore) => Promise<T>,
  outcomeOf: (result: T) => string,
): Promise<T> {
  const taken = await takeTurn(engine, spec, options);
  if (taken === null) return await work(options, { last: null, waited: false });
  const { turn, before, previous } = taken;
  let outcome = 'unknown';
  try {
    const result = await work({ ...options, turn }, before);
    outcome = outcomeOf(result);
    return result;
  } catch (error) {
    if (error instanceof KeyferryError) outcome = error.code;
    throw error;
  } finally {
    if (turnedAway.has(outcome) && previous !== null) await turn.leave(previous);
    else await turn.end(outcome);
  }
}

/** Ends of commands that were not for this migration as it is, or that nobody approved: they say nothing of how it went. */
const turnedAway: ReadonlySet<string> = new Set<Code>(['lease.unfinished', 'phase.not-allowed', 'approval.required']);

interface Taken {
  readonly turn: Turn;
  readonly before: TurnsBefore;
  /** The note that stood there, with the mark of its process. */
  readonly previous: TargetLockNote | null;
}

async function takeTurn(engine: Engine, spec: MigrationSpec, options: RunOptions): Promise<Taken | null> {
  const { lock } = engine.target;
  if (lock === undefined) return null;
  const { clock, random } = engine;
  const { migration, targetStore: store } = spec;
  const { holder, command, lockTimeoutMs, holderIsGone, signal } = options;
  const deadlineMs = clock.monotonicMs() + lockTimeoutMs;
  const lastTry = lentRetry({ ...engine, triesMax: 1 });
  let met: TargetLockNote | null = null;
  for (;;) {
    const nowMs = clock.nowMs();
    const id = lockId(nowMs, [random.uint32(), random.uint32()]);
    const note: TargetLockNote = { holder, command, lock: id, acquiredAtMs: nowMs, end: null };
    // Who waits for somebody outlives what that one does: a target that elects a leader ends no turn, and no wait. The wait
    // itself ends when it was told to.
    const isWaiting: boolean = met !== null;
    const env: Engine = isWaiting ? patient(engine) : engine;
    const ask = () => lock.acquire(migration, note, lockLeaseMs);
    const acquire = (): Promise<TargetLockAnswer> =>
      isWaiting && clock.monotonicMs() >= deadlineMs ? lastTry('turn', ask, signal) : ask();
    const answer: TargetLockAnswer = await withRetry(env, 'turn', acquire, signal).catch((error: unknown) => {
      assertNotStopped(migration, signal);
      throw error;
    });
    if (answer.kind === 'acquired') {
      const { held, previous } = answer;
      // Somebody may have come and gone between: then its end is what counts.
      const last = previous ?? met;
      const before = { last: last === null ? null : forPeople(last), waited: met !== null };
      return { turn: new Turn(engine, held, note), before, previous };
    }
    const { by } = answer;
    // A run of this machine that was killed, which this one goes on from; or our own, by a try whose answer was lost.
    if (by !== null && (by.lock === note.lock || holderIsGone({ holder: by.holder } as LockState))) {
      await withRetry(engine, 'turn of a dead holder', () => answer.end());
      continue;
    }
    assertNotStopped(migration, signal);
    const nobody = { holder: 'somebody', command: 'unknown', acquiredAtMs: nowMs };
    const who = by === null ? nobody : { ...by, holder: holderForPeople(by.holder) };
    if (clock.monotonicMs() >= deadlineMs) {
      const sinceMs = Math.max(0, nowMs - who.acquiredAtMs);
      throw new KeyferryError('lease.elsewhere', {
        migration,
        store,
        holder: who.holder,
        command: who.command,
        sinceMs,
      });
    }
    if (met === null || met.holder !== who.holder) {
      engine.host.emit({ code: 'turn.waiting', data: { holder: who.holder, command: who.command } });
    }
    met = { lock: '', end: null, ...who };
    await clock.sleep(waitBetweenTriesMs, signal);
  }
}

const forPeople = (note: TargetLockNote): TargetLockNote => ({ ...note, holder: holderForPeople(note.holder) });

/**
 * May a host begin, or go on, with a migration that is not finalized, after another one? Where its own state tells how
 * far the migration is, the two share it: then after one that was done or cut short. A host whose state knows of nothing
 * does not try again what the one that it waited for did not finish, nor what anybody began to write and did not finish,
 * unless a person says so.
 * @param accept `lease.unfinished` among them: somebody has looked at it, and this host is to take it over
 * @throws {KeyferryError} `lease.unfinished`
 */
export async function assertMayFollow(
  engine: Engine,
  spec: MigrationSpec,
  { last, waited }: TurnsBefore,
  phase: Phase,
  accept: readonly string[],
): Promise<void> {
  if (last === null || accept.includes('lease.unfinished' satisfies Code)) return;
  const { holder, end } = last;
  if (phase !== 'new') {
    if (!waited || end === null || goesOnAfter.has(end.outcome)) return;
  } else if (!waited) {
    if (end?.outcome === 'done') return;
    const epoch = await withRetry(engine, 'epoch', () => engine.target.control(spec.migration).readEpoch());
    if (epoch === null) return; // it had not begun to write
  }
  const outcome =
    end === null
      ? 'it ended without a word'
      : end.outcome === 'done'
        ? 'what it was told ended well, and nothing is finalized'
        : `it ended with ${end.outcome}`;
  throw new KeyferryError('lease.unfinished', { migration: spec.migration, holder, outcome });
}

const goesOnAfter: ReadonlySet<string> = new Set(['done', 'run.interrupted', 'run.stopped'] satisfies (
  Code | 'done'
)[]);
