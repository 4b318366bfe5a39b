/**
 * Changing over: from one primary store to the other, in one command.
 *
 *     undo what a dead run held ─► catch up ─► roll call ─► prove a generation ─► hold … flip (hold.ts) ─► look for stray writes
 *
 * Forward it is a cutover; back, the first half of a rollback. The long part, the proof of everything, comes before the hold.
 */
import {
  allCutoverRules,
  KeyferryError,
  keyForDisplay,
  keyToJson,
  leftAtSwitch,
  otherSide,
  type CutoverRules,
  type HoldProof,
  type Generation,
  type Key,
  type KeyJson,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
  type Phase,
  type PhaseEvent,
  type Position,
  type PrimarySide,
  type SwitchEpoch,
} from '@keyferry/core';
import { confirmGone } from '../confirm-gone.ts';
import { recordHistory } from '../events.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { withRetry } from '../retry.ts';
import type { RunOptions, Session } from '../session.ts';
import { attemptScope, currentId, readItem } from '../state-items.ts';
import { claimTail, portsOf, routeTo } from './direction.ts';
import { catchUp, proveOnce, type Following } from './follow.ts';
import { changedSince } from './changed-since.ts';
import { Hold, type HoldEnd } from './hold.ts';
import { keysIn } from './range-deletes.ts';
import { Instances, missingWords } from './instances.ts';
import { reconcilePass } from './reconcile-pass.ts';
import { readKeptKeys } from './kept-keys.ts';
import { TailRun } from './tail-run.ts';

export interface ChangeOver {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly session: Session;
  readonly plan: PlanDocument;
  readonly to: PrimarySide;
  readonly options: RunOptions;
  /** All unless given: the simulator switches one off. */
  readonly rules?: CutoverRules | undefined;
  /** Instances that an operator names gone. */
  readonly confirmGone?: readonly string[] | undefined;
}

export interface ChangedOver extends HoldEnd {
  /** Proven before the hold; null where an earlier run had flipped already. */
  readonly generation: Generation | null;
  /** Keys that somebody wrote in the former primary after it: they are in no other store. */
  readonly strays: readonly KeyJson[];
}

/** The phases and events of each way. */
const ways = {
  target: { event: 'cut-over', command: 'cutover' },
  source: { event: 'turn-back', command: 'rollback' },
} as const satisfies Record<PrimarySide, { readonly event: PhaseEvent; readonly command: string }>;

const straysNamed = 20;

/**
 * @throws {KeyferryError} `cutover.undone`, `cutover.not-ready`, `cutover.instances-missing`, `instance.unknown`,
 *   `switch.taken`, `rollback.not-carried`
 */
export async function changeOver(over: ChangeOver): Promise<ChangedOver> {
  const { engine, spec, session, to, options } = over;
  const { event, command } = ways[to];
  const isResumed = session.phase === 'cutting-over' || session.phase === 'turning-back';
  session.after(event, spec, command);
  await nameGone(over);
  const left = await endWhatWasLeft(over, isResumed);
  if (left !== null) return left;
  const { migration } = spec;
  const state = session.state as MigrationState;
  const kept = await readKeptKeys(engine, migration, state.attempt);
  const stop = AbortSignal.any([options.signal, session.lock.lostSignal]);
  const route = routeTo(to, engine, spec, kept);
  const stored = await withRetry(engine, 'read tail', () => route.into.readTail(route.tail));
  const at = stored?.position ?? null;
  if (at === null) {
    const why = 'no position of its tail is stored: it was never begun, or its record was taken away';
    throw new KeyferryError('cutover.not-ready', { migration, why });
  }
  // Whatever the store that is to be primary needs to tell its changes, it makes before writes are held.
  const next = to === 'target' ? engine.target.feed : engine.source.feed;
  if (next !== undefined) await withRetry(engine, 'head of feed', () => next.head());
  // Nobody follows that store unless it becomes primary, and what it keeps meanwhile would grow.
  const endNext = async (): Promise<void> => {
    if (session.lock.lostSignal.aborted) return; // somebody else is at it, and may need it
    await withRetry(engine, 'end feed', async () => next?.end?.()).catch(() => undefined);
  };
  const rules = over.rules ?? allCutoverRules;
  const instances = Instances.begin(engine, spec, rules);
  let mayHaveFlipped = false;
  try {
    const tail = await claimTail(engine, spec, session, route, { position: at, always: false });
    const run = new TailRun(
      engine,
      tail,
      {
        expand: (range) => keysIn(engine, route.written, range, stop),
        recover: () => reconcilePass(engine, spec, tail, { kept, deletesAccepted: false, signal: stop }),
      },
      stop,
    );
    const following: Following = { engine, spec, plan: over.plan, kept, to, run, signal: stop };
    const { expiring, proof } = await prove(following, run, { migration, command, instances });
    const released = await run.release();
    session.lock.assertHeld();
    assertNotStopped(migration, options.signal);
    const { primary } = portsOf(engine);
    // In this order: one that sleeps here, and is followed by others, fails on the state or on the switch (SPEC R150).
    const entry = await withRetry(engine, 'read switch', () => primary.read());
    await moveTo(over, session.after(event, spec, command));
    const parts = { engine, spec, session, tail: released, to, kept, expiring, rules, instances, proof };
    const hold = new Hold(parts, entry);
    let end: HoldEnd | null = null;
    mayHaveFlipped = true;
    try {
      end = await hold.run();
      mayHaveFlipped = end.outcome === 'flipped';
    } catch (error) {
      const undone = await hold.giveUp();
      // Nothing is left to the next run then, and the state says so; where it cannot, that one finds out.
      mayHaveFlipped = undone === null || !(await isNoted(over, undone));
      throw error;
    } finally {
      if (end?.outcome !== 'flipped') await released.giveUp();
    }
    return await settle(over, end, released.generation, released.position, kept);
  } catch (error) {
    if (!mayHaveFlipped) await endNext();
    throw error;
  } finally {
    await instances.end();
  }
}

/** Before anything else: whoever is named wrongly is told so at once. */
async function nameGone({ engine, confirmGone: gone = [] }: ChangeOver): Promise<void> {
  const [first] = gone;
  if (first === undefined) return;
  const { instances, where } = portsOf(engine).primary;
  if (instances === null) throw new KeyferryError('instance.unknown', { instance: first, where, known: [] });
  await confirmGone(engine, instances, where, gone);
}

interface Proven {
  /** Target keys whose records end in the store that is primary. */
  readonly expiring: ReadonlySet<Key>;
  readonly proof: HoldProof;
}

/** Both sides are equal, and everybody who will be asked to acknowledge the hold is there. */
async function prove(
  following: Following,
  run: TailRun,
  { migration, command, instances }: Pick<MigrationSpec, 'migration'> & { command: string; instances: Instances },
): Promise<Proven> {
  const { to, signal } = following;
  try {
    await run.whileGoing(catchUp(following));
    const { tail } = run;
    // Before the proof, since whatever changes after its beginning is compared in the hold; and once more behind it.
    await run.whileGoing(instances.call(command, signal));
    const result = await proveOnce(following);
    if (result.verdict !== 'equal') {
      const { differencesTotal } = result;
      const why =
        result.verdict === 'differ'
          ? `${differencesTotal} records differ and do not move`
          : 'records would not stand still for long enough to be compared';
      throw new KeyferryError('cutover.not-ready', { migration, why });
    }
    if (tail.refusedTotal > 0) {
      const keys = tail.refusedFirst.map(({ key }) => ('text' in key ? key.text : key.base64));
      if (to === 'source')
        throw new KeyferryError('rollback.not-carried', { migration, count: tail.refusedTotal, keys });
      const why = `${tail.refusedTotal} records cannot be carried, ${keys[0] ?? ''} among them`;
      throw new KeyferryError('cutover.not-ready', { migration, why });
    }
    const proof = await run.whileGoing(instances.call(command, signal));
    // What was carried while it was proven is compared once more in the hold, with what comes until then.
    await run.whileGoing(catchUp(following));
    return { expiring: result.expiring[otherSide(to)], proof };
  } catch (error) {
    await run.end().catch(() => undefined); // what ended the work is what is told
    throw error;
  }
}

/**
 * A run that died may have held writes, or flipped. A hold is undone: nobody can tell what applications did meanwhile.
 * A flip stands, and this run ends what that one began.
 */
async function endWhatWasLeft(over: ChangeOver, isResumed: boolean): Promise<ChangedOver | null> {
  const { engine, spec, session, to } = over;
  const { migration } = spec;
  const { primary } = portsOf(engine);
  const entry = await withRetry(engine, 'read switch', () => primary.read());
  const now = entry?.value ?? null;
  const left = leftAtSwitch(now, { migration, to, isResumed });
  if (left === 'taken') {
    const what =
      now?.writes === 'held'
        ? `${now.migration} holds writes`
        : `${to} is primary already, and this migration did not make it so`;
    throw new KeyferryError('switch.taken', { where: primary.where, migration, now: what });
  }
  if (left === 'hold') {
    const held = entry as NonNullable<typeof entry>;
    const epoch = (held.value.epoch + 1) as SwitchEpoch;
    const undone = { ...held.value, writes: 'open', epoch, deadlineAt: null } as const;
    const outcome = await withRetry(engine, 'undo hold', () => primary.write(undone, held.version));
    const isSo = outcome.kind === 'written' || outcome.current?.value.epoch === undone.epoch;
    if (!isSo) throw new KeyferryError('switch.taken', { where: primary.where, migration, now: 'it moved' });
    engine.host.emit({ code: 'cutover.ended', data: { outcome: 'undone', heldMs: 0, why: 'left-behind' } });
    if (isResumed) await moveTo(over, session.after('undone', spec, ways[to].command));
    return null;
  }
  if (now !== null) await withRetry(engine, 'tell switch', () => primary.tell(now));
  if (left === 'flip') {
    const end: HoldEnd = { outcome: 'flipped', why: null, heldMs: 0, compared: 0, differing: [], missing: [] };
    const { attempt } = session.state as MigrationState;
    const kept = await readKeptKeys(engine, migration, attempt);
    const item = await readItem(engine, 'cutover', attemptScope(migration, attempt), currentId);
    return await settle(over, end, null, (item?.item.from ?? null) as Position | null, kept);
  }
  if (isResumed) await moveTo(over, session.after('undone', spec, ways[to].command));
  return null;
}

async function moveTo({ engine, session }: ChangeOver, phase: Phase): Promise<void> {
  const state = session.state as MigrationState;
  await session.write({ ...state, phase, run: session.run, changedAtMs: engine.clock.nowMs() });
}

async function settle(
  over: ChangeOver,
  end: HoldEnd,
  generation: Generation | null,
  from: Position | null,
  kept: ReadonlySet<Key>,
): Promise<ChangedOver> {
  const { engine, spec, session, to, options } = over;
  const { migration } = spec;
  const { command } = ways[to];
  const by = options.holder;
  if (end.outcome === 'undone') {
    const why = undoneText(end);
    await noteUndone(over, end);
    throw new KeyferryError('cutover.undone', { migration, why, heldMs: end.heldMs, primary: otherSide(to) });
  }
  // Past the flip applications write to the other store; whoever still writes to this one did not follow.
  const route = routeTo(to, engine, spec, kept);
  const { keys, ranges } = from === null ? { keys: [], ranges: [] } : await changedSince(engine, { route }, from);
  const strays = [...new Set([...keys, ...ranges.map(({ start }) => start)])];
  await moveTo(over, session.after('flipped', spec, command));
  // Nobody reads the former primary's changes from here on, and what it kept for that would grow. Finalize and rollback
  // end it once more, so that a failure costs nothing but the space until then.
  await withRetry(engine, 'end feed', async () => route.feed.end?.()).catch(() => undefined);
  const message =
    `${to} is primary, writes were held for ${end.heldMs} ms, ${end.compared} records compared in it` +
    (strays.length === 0 ? '' : `; ${strays.length} stray writes in the former primary`);
  await recordHistory(engine, migration, { type: `${command}.flipped`, message, run: session.run, by });
  return { ...end, generation, strays: strays.slice(0, straysNamed).map(keyToJson) };
}

const isNoted = (over: ChangeOver, end: HoldEnd): Promise<boolean> =>
  noteUndone(over, end).then(
    () => true,
    () => false,
  );

async function noteUndone(over: ChangeOver, end: HoldEnd): Promise<void> {
  const { engine, spec, session, to, options } = over;
  const { command } = ways[to];
  session.lock.assertHeld();
  await moveTo(over, session.after('undone', spec, command));
  const message = `${command} undone after ${end.heldMs} ms: ${undoneText(end)}`;
  const by = options.holder;
  await recordHistory(engine, spec.migration, { type: `${command}.undone`, message, run: session.run, by });
}

function undoneText({ why, differing, missing }: HoldEnd): string {
  switch (why) {
    case 'deadline':
      return 'it took longer than writes may be held';
    case 'unacknowledged':
      return `not every instance acknowledged that writes are held: ${missingWords(missing, 0)}`;
    case 'moved':
      return 'somebody wrote to the primary store although writes were held';
    case 'differs':
      return differing.length === 0
        ? 'what moved meanwhile could not be told'
        : `${differing.length} records differ, ${keyForDisplay(differing[0] as Key)} among them`;
    case 'failed':
      return 'it failed on the way';
    case 'left-behind':
    case null:
      return 'an earlier run had died in it';
  }
}
