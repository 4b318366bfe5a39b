/**
 * The course of one migration: its state as this run last wrote it, and its evidence.
 *
 * Each change is conditional on the version last seen. A run that lost its lock therefore meets a conflict before its next
 * effect, and not after it (SPEC R91). The migration's own item follows the course, so that lists, locks and `state` commands
 * know it like any other migration.
 */
import {
  afterParallel,
  canonicalJson,
  invariant,
  KeyferryError,
  startParallel,
  type EvidenceItem,
  type MigrationState,
  type ParallelEvent,
  type ParallelPhase,
  type ParallelState,
  type Phase,
  type StateVersion,
} from '@keyferry/core';
import { recordHistory } from '../../events.ts';
import type { Environment } from '../../migration.ts';
import type { Session } from '../../session.ts';
import { attemptScope, currentId, listItems, readItem, writeItemOrFail } from '../../state-items.ts';

export class ParallelCourse {
  private readonly env: Environment;
  private readonly session: Session;
  private readonly by: string;
  private entry: { readonly item: ParallelState; readonly version: StateVersion };

  private constructor(
    env: Environment,
    session: Session,
    by: string,
    entry: { readonly item: ParallelState; readonly version: StateVersion },
  ) {
    this.env = env;
    this.session = session;
    this.by = by;
    this.entry = entry;
  }

  get state(): ParallelState {
    return this.entry.item;
  }

  /** The one that is under way, or that ended last; null: there was none. */
  static async find(env: Environment, session: Session, migration: string, by: string): Promise<ParallelCourse | null> {
    const entry = await readItem(env, 'parallel', migration, currentId);
    return entry === null ? null : new ParallelCourse(env, session, by, entry);
  }

  /** A new attempt; what an earlier one left stays as evidence of that one. */
  static async start(
    env: Environment,
    session: Session,
    by: string,
    facts: Omit<Parameters<typeof startParallel>[0], 'attempt' | 'atMs'>,
  ): Promise<ParallelCourse> {
    const { migration } = facts;
    const found = await readItem(env, 'parallel', migration, currentId);
    const item = startParallel({ ...facts, attempt: (found?.item.attempt ?? 0) + 1, atMs: env.clock.nowMs() });
    const version = await writeItemOrFail(env, 'parallel', migration, currentId, item, found?.version ?? 'absent');
    const course = new ParallelCourse(env, session, by, { item, version });
    await course.follow();
    return course;
  }

  /** @throws {KeyferryError} `state.conflict`, `lease.lost`: nothing was changed, and nothing may be done any more. */
  async take(event: ParallelEvent): Promise<void> {
    this.session.lock.assertHeld();
    const item = afterParallel(this.state, event);
    invariant(item !== null, `${event.kind} cannot follow in phase ${this.state.phase} (${this.state.course})`);
    await this.write(item);
    await this.tell(event);
  }

  async write(item: ParallelState): Promise<void> {
    const { migration } = item;
    const version = await writeItemOrFail(this.env, 'parallel', migration, currentId, item, this.entry.version);
    this.entry = { item, version };
    await this.follow();
  }

  async keep(phase: ParallelPhase, name: string, data: unknown): Promise<void> {
    const scope = this.scope();
    const id = `${phase}/${name}`;
    const found = await readItem(this.env, 'evidence', scope, id);
    const item: EvidenceItem = { phase, name, atMs: this.env.clock.nowMs(), run: this.session.run, data: plain(data) };
    await writeItemOrFail(this.env, 'evidence', scope, id, item, found?.version ?? 'absent');
  }

  /** null: it was not left yet. */
  async evidence<T>(phase: ParallelPhase, name: string): Promise<T | null> {
    const found = await readItem(this.env, 'evidence', this.scope(), `${phase}/${name}`);
    return found === null ? null : (found.item.data as T);
  }

  /** @throws {KeyferryError} `parallel.check-failed` when it is not there */
  async needed<T>(phase: ParallelPhase, name: string): Promise<T> {
    const found = await this.evidence<T>(phase, name);
    if (found !== null) return found;
    const { migration } = this.state;
    const what = `the state does not hold its evidence ${phase}/${name} any more`;
    throw new KeyferryError('parallel.check-failed', { migration, phase: this.state.phase, what });
  }

  private scope(): string {
    return attemptScope(this.state.migration, this.state.attempt);
  }

  private async tell(event: ParallelEvent): Promise<void> {
    const { migration, phase } = this.state;
    const message = eventWords(event, phase);
    if (message === null) return;
    const { run } = this.session;
    await recordHistory(this.env, migration, { type: `parallel.${event.kind}`, message, run, by: this.by });
  }

  private async follow(): Promise<void> {
    const { migration, plan, attempt, appliedAs, accepted, changedAtMs } = this.state;
    const phase = coarsePhase(this.state);
    const { state } = this.session;
    if (state?.phase === phase && state.plan === plan && state.attempt === attempt) return;
    const fresh: MigrationState = {
      migration,
      phase,
      attempt,
      epochToken: 0,
      plan,
      appliedAs,
      accepted,
      wrote: { identity: null, prefixes: [], attempts: [], before: 0, unkept: 0 },
      run: this.session.run,
      startedAtMs: state?.attempt === attempt ? state.startedAtMs : changedAtMs,
      changedAtMs,
      counts: null,
      rolledBack: null,
      restoredTo: null,
      done: null,
    };
    await this.session.write(fresh);
  }
}

/** Evidence of one attempt, in the order of names. */
export async function readEvidence(
  env: Environment,
  migration: string,
  attempt: number,
): Promise<readonly EvidenceItem[]> {
  const all: EvidenceItem[] = [];
  for await (const entries of listItems(env, 'evidence', attemptScope(migration, attempt))) {
    all.push(...entries.map(({ item }) => item));
  }
  return all;
}

/** What the migration's own item says of it. */
function coarsePhase({ course, phase, beganAtMs }: ParallelState): Phase {
  if (course === 'back') return 'rolling-back';
  if (course === 'rolled-back') return 'rolled-back';
  if (course === 'over') return 'finalized';
  if (phase === 'decommission') return beganAtMs === null ? 'verified' : 'finalizing';
  return phase === 'soak' ? 'applied' : 'applying';
}

function eventWords(event: ParallelEvent, phase: ParallelPhase): string | null {
  switch (event.kind) {
    case 'confirm':
      return `phase ${phase} was confirmed by ${event.by}`;
    case 'begin':
      return `began phase ${phase}`;
    case 'pass':
      return `passed a phase; next is ${phase}`;
    case 'fail':
      return `phase ${phase} failed: ${event.code}: ${event.message}`;
    case 'turn-back':
      return `turned back in phase ${phase}`;
    case 'back-begin':
      return null;
    case 'back-done':
      return `on the way back: ${event.step} is done`;
  }
}

/** As the state will hold it, so that a repeat compares equal. */
function plain(data: unknown): unknown {
  return JSON.parse(canonicalJson(data)) as unknown;
}
