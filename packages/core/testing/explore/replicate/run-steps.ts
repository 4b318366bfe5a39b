/**
 * What a run of `cutover` or `rollback` does next, as the engine's change-over and hold do it: begin from what it finds at the
 * switch, claim the tail, prove, call the roll, and then the step that core's `cutoverStep` says; after a turn back, take the
 * copies away. A run that was taken for dead goes on like any other, on what it remembers.
 */
import {
  acknowledgedBy,
  afterHoldEvent,
  barrierAt,
  cutoverStep,
  leftAtSwitch,
  nothingKnown,
  otherSide,
  rollCall,
  writersAreStill,
  type Barrier,
  type CutoverFacts,
  type HoldEvent,
  type HoldProof,
  type MigrationId,
  type SwitchEpoch,
} from '../../../src/index.ts';
import { nothing } from '../history.ts';
import type { Step } from '../search.ts';
import { requestLifeMs } from './instance-steps.ts';
import type { ReplicateProtocol } from './protocol.ts';
import { withSide } from './store-changes.ts';
import { carrySteps, claimed } from './tail-steps.ts';
import type { Instance, Run, Standing, World } from './world.ts';

export interface RunOptions {
  /** As `replicate.instances` of a configuration: what is said of who registers. */
  readonly instances: { readonly min: number } | 'none' | null;
  readonly protocol: ReplicateProtocol;
}

export const migration = 'shop' as MigrationId;

interface Context extends RunOptions {
  readonly world: World;
  readonly at: number;
  readonly run: Run;
  readonly name: string;
  readonly steps: Step<World>[];
}

/** @param at index of the run */
export function runSteps(world: World, at: number, options: RunOptions): Step<World>[] {
  const run = world.runs[at] as Run;
  const name = run.isCurrent ? 'the controller' : 'the controller of before';
  const context: Context = { ...options, world, at, run, name, steps: [] };
  switch (run.stage) {
    case 'begun':
      beginFromSwitch(context);
      break;
    case 'proving':
      prove(context);
      break;
    case 'calling':
      call(context);
      break;
    case 'holding':
      hold(context);
      break;
    case 'clearing':
      fenceTarget(context);
      break;
    case 'removing':
      takeCopiesAway(context);
  }
  return context.steps;
}

function step(
  { world, at, run, name, steps }: Context,
  label: string,
  change: Partial<Run>,
  rest: Partial<World> = {},
): void {
  const before: World = { ...world, ...rest };
  const runs = before.runs.with(at, { ...(before.runs[at] ?? run), entry: run.entry, ...change });
  steps.push({ label: `${name} ${label}`, world: { ...before, runs } });
}

/** It meets what a run that took its place has done, or has come to its end. */
function end(context: Context, label: string, rest: Partial<World> = {}): void {
  const { world, at, name, steps, protocol } = context;
  const given =
    holdsItself(context) && protocol.failureUndoes
      ? announcement(context, { ...world.announced, writes: 'open' })
      : null;
  const before: World = { ...world, ...given, ...rest };
  steps.push({ label: `${name} ${label}`, world: { ...before, runs: before.runs.toSpliced(at, 1) } });
}

/** Writes are held by it. */
const holdsItself = ({ run: { stage, entry, ourEpoch } }: Context): boolean =>
  stage === 'holding' && entry.writes === 'held' && entry.epoch === ourEpoch;

/** Compare-and-set on what it saw last. Null: somebody else moved the switch. */
function announcement({ world, run, protocol }: Context, standing: Standing): Pick<World, 'announced'> | null {
  const { announced } = world;
  if (protocol.compareAndSet && announced.version !== run.entry.version) return null;
  const epoch = (run.entry.epoch + 1) as SwitchEpoch;
  return { announced: { ...standing, epoch, version: announced.version + 1 } };
}

function beginFromSwitch(context: Context): void {
  const { world, run, protocol } = context;
  const { announced } = world;
  const here = { ...context, run: { ...run, entry: announced } };
  const left = leftAtSwitch({ migration, ...announced }, { migration, to: run.to, isResumed: world.isUnderWay });
  if (left === 'hold') {
    const undone = announcement(here, { ...announced, writes: 'open' });
    if (undone !== null && protocol.leftBehindIsUndone) {
      step(context, 'undoes a hold that was left behind', {}, { ...undone, isUnderWay: false });
    }
  } else if (left === 'flip') settle(context, 'finds that it was flipped');
  else if (left === 'nothing') {
    const claim = claimed(withEpoch(world, run.to, world.stateEpoch), run.to);
    const { fence } = claim;
    step(
      context,
      'claims the tail',
      { stage: 'proving', fence, epoch: world.stateEpoch, isStale: false },
      { ...claim.world, isUnderWay: false },
    );
  }
}

const withEpoch = (world: World, side: 'source' | 'target', epoch: number): World =>
  withSide(world, side, { epoch: Math.max(world[side].epoch, epoch) });

/** Whether it still owns the tail that it claimed. */
const owns = ({ world, run }: Context): boolean =>
  world[run.to].fence === run.fence && world[run.to].epoch === run.epoch;

function carry(context: Context): boolean {
  const { world, run, name, protocol, steps } = context;
  const { ahead } = world[otherSide(run.to)];
  if ((ahead ?? []).length === 0 && !run.isStale) return false;
  if (owns(context)) steps.push(...carrySteps(world, run.to, name, protocol));
  else end(context, 'finds that its tail has another owner');
  return true;
}

function prove(context: Context): void {
  const { world } = context;
  if (carry(context)) return;
  if (world.pending === null && world.source.value === world.target.value)
    step(context, 'proves both sides equal', { stage: 'calling', touched: false });
}

function call(context: Context): void {
  const { run, world, instances, protocol } = context;
  // The state, which says that it is under way, is the current run's to write; it has read the switch by then.
  if (!run.isCurrent) return end(context, 'finds that another one took its place');
  carry(context);
  const said = protocol.noneIsRespected || instances !== 'none' ? instances : null;
  const called = registered(world).map(({ instance, life }) => ({
    instance,
    sighting: life === 'running' ? ('alive' as const) : ('lapsed' as const),
    goneAtMs: life === 'named' ? 0 : null,
  }));
  const terms = { instances: said, nowMs: clockOf(world, protocol), requestLifeMs } as const;
  const roll = rollCall(called, terms);
  const proof: HoldProof | null = roll.kind === 'complete' ? roll.proof : protocol.rollCall ? null : 'acknowledgements';
  if (proof === null) return;
  const wrong =
    roll.kind === 'refused' ? 'writes are held, although it was known that somebody would not acknowledge' : null;
  step(
    context,
    `has called the roll: ${proof}`,
    { stage: 'holding', proof, entry: world.announced, known: nothingKnown, barrier: null, drainLeft: null },
    { isUnderWay: true, wrong },
  );
}

const registered = (world: World): readonly Instance[] =>
  world.instances.filter(({ registers, status }) => registers && (status === 'registered' || status === 'serving'));

/** Its clock: whether the longest life of a request has passed since an instance was named gone. */
function clockOf({ instances }: World, protocol: ReplicateProtocol): number {
  const isOver = instances.every(({ life, strays }) => life !== 'named' || strays.length === 0);
  return isOver || !protocol.requestLifeIsWaitedFor ? requestLifeMs + 1 : requestLifeMs;
}

function hold(context: Context): void {
  const { world, run, protocol } = context;
  if (run.ourEpoch === null && !protocol.readsSwitchFirst) {
    return act({ ...context, run: { ...run, entry: world.announced } }, false);
  }
  act(context, false);
  if (holdsItself(context) && world.budget.deadlines > 0) {
    const budget = { ...world.budget, deadlines: world.budget.deadlines - 1 };
    act({ ...context, world: { ...world, budget }, name: `${context.name}, past the deadline,` }, true);
  }
}

function act(context: Context, pastDeadline: boolean): void {
  const { run, protocol, world } = context;
  const next = cutoverStep(factsOf(context, pastDeadline), protocol.cutover);
  if (pastDeadline && next.kind !== 'undo') return;
  switch (next.kind) {
    case 'hold':
      return announceHold(context);
    case 'wait':
      return wait(context);
    case 'drain':
      return drain(context);
    case 'compare': {
      const isEqual = !run.touched || world.source.value === world.target.value;
      return came(context, isEqual ? 'finds them equal' : 'finds a difference', { kind: 'compared', isEqual });
    }
    case 'grant':
      return came(context, 'has nothing to grant', { kind: 'granted' });
    case 'fence':
      return raiseEpoch(context);
    case 'anchor':
      return anchor(context);
    case 'flip':
      return flip(context);
    case 'undo': {
      const primary = protocol.undoKeepsPrimary ? run.entry.primary : otherSide(run.to);
      const undone = announcement(context, { primary, writes: 'open' });
      const isUnderWay = run.isCurrent ? false : world.isUnderWay;
      if (undone === null) return end(context, 'finds that the switch has moved');
      return end(context, `undoes the hold: ${next.why}`, { ...undone, isUnderWay });
    }
    case 'done':
      return run.isCurrent ? settle(context, 'is done') : end(context, 'finds that another one took its place');
  }
}

function factsOf({ run, protocol }: Context, pastDeadline: boolean): CutoverFacts {
  const { entry, to, known, ourEpoch } = run;
  const acknowledged = acknowledgedBy(run.barrier);
  return {
    to,
    announced: entry,
    isOurs: entry.epoch === ourEpoch,
    pastDeadline,
    acknowledged: acknowledged === 'lapsed' && !protocol.missingUndoes ? 'waiting' : acknowledged,
    ...known,
  };
}

function came(
  context: Context,
  label: string,
  event: HoldEvent,
  change: Partial<Run> = {},
  rest: Partial<World> = {},
): void {
  step(context, label, { ...change, known: afterHoldEvent(context.run.known, event) }, rest);
}

function announceHold(context: Context): void {
  const { run, world, protocol } = context;
  const held = announcement(context, { primary: otherSide(run.to), writes: 'held' });
  if (held === null) return end(context, 'finds that the switch has moved');
  const entry = held.announced;
  const drainLeft = protocol.headBehindHold ? null : (world[otherSide(run.to)].ahead ?? []).length;
  step(context, 'holds writes', { entry, ourEpoch: entry.epoch, known: nothingKnown, barrier: null, drainLeft }, held);
}

/** One look: at what is still coming, and at who has acknowledged. */
function wait(context: Context): void {
  const { world, run, protocol } = context;
  carry(context);
  if (registered(world).some(({ acknowledged }) => acknowledged > run.entry.epoch))
    return end(context, 'finds that a later epoch was announced');
  const proof = proofOf(context);
  const barrier = proof === 'silence' ? null : barrierOf(context);
  const silentForMs = isSilent(world, run) ? requestLifeMs : 0;
  const isStill = writersAreStill({ proof, barrier, silentForMs, requestLifeMs }, protocol.cutover);
  const isSame = !isStill && JSON.stringify(barrier) === JSON.stringify(run.barrier);
  if (!isSame)
    came(context, isStill ? 'finds it quiet' : 'looks who is missing', { kind: 'looked', isStill }, { barrier });
}

function proofOf({ world, run, protocol }: Context): HoldProof {
  const isLate = !protocol.proofStays && registered(world).length > 0;
  return isLate ? 'acknowledgements' : (run.proof ?? 'silence');
}

function barrierOf({ world, run, instances, protocol }: Context): Barrier {
  const registrations = registered(world).map(({ instance, acknowledged, life }) => ({
    instance,
    acknowledged,
    lapsed: life !== 'running',
    harmless: !protocol.cutover.lapsed,
    goneAtMs: life === 'named' ? 0 : null,
  }));
  const instancesMin = instances === 'none' || instances === null ? 1 : instances.min;
  return barrierAt(run.entry.epoch, registrations, { instancesMin, nowMs: clockOf(world, protocol), requestLifeMs });
}

/**
 * That nothing changed for the longest life of a request says that all who follow the switch have seen the hold, and that
 * nothing of theirs is on its way any more: it is what that time is said to be for (SPEC R43).
 */
function isSilent(world: World, run: Run): boolean {
  const { epoch } = world.announced;
  const isDry = (world[otherSide(run.to)].ahead ?? []).length === 0;
  const isDone = ({ status, gate, running, strays }: Instance): boolean =>
    strays.length === 0 &&
    (running === null || running.kind === 'get') &&
    (status !== 'serving' || gate.epoch >= epoch);
  return isDry && world.instances.every((one) => isDone(one));
}

function drain(context: Context): void {
  const { world, run } = context;
  const ahead = (world[otherSide(run.to)].ahead ?? []).length;
  if (run.drainLeft === null) step(context, 'reads the head to drain to', { drainLeft: ahead, movedInDrain: false });
  else if (run.drainLeft === 0 && !run.isStale && world.pending === null) {
    const event = { kind: 'drained', proof: proofOf(context), hasMoved: run.movedInDrain } as const;
    came(context, 'has drained', event, { drainLeft: null });
  } else carry(context);
}

/** The state, and with it the next epoch, is the current run's to write. */
function raiseEpoch(context: Context): void {
  const { run, world } = context;
  if (!run.isCurrent || !owns(context)) return end(context, 'finds that another one took its place');
  const stateEpoch = world.stateEpoch + 1;
  const next = withSide(world, run.to, { epoch: stateEpoch });
  came({ ...context, world: next }, 'raises the epoch', { kind: 'fenced' }, { epoch: stateEpoch }, { stateEpoch });
}

/** The tail the other way gets its position, in the store that it will fill and under its epoch. */
function anchor(context: Context): void {
  const { run, world } = context;
  if (run.to === 'source') return came(context, 'has nothing to anchor', { kind: 'anchored' });
  if (world.source.epoch > run.epoch) return end(context, 'finds a later epoch in the source');
  const claim = claimed(withEpoch(world, 'source', run.epoch), 'source');
  const next = withSide(claim.world, 'target', { ahead: [] });
  return came({ ...context, world: next }, 'anchors the reverse tail', { kind: 'anchored' });
}

function flip(context: Context): void {
  const { run, world, protocol } = context;
  const from = otherSide(run.to);
  if (!run.lookedLast && protocol.cutover.quiet && protocol.looksOnceMore) {
    const hasMoved = (world[from].ahead ?? []).length > 0;
    if (hasMoved) came(context, 'finds that it moved', { kind: 'moved' });
    else step(context, 'looks once more', { lookedLast: true });
    return;
  }
  const flipped = announcement(context, { primary: run.to, writes: 'open' });
  if (flipped === null) return end(context, 'finds that the switch has moved');
  const isEqual = world.source.value === world.target.value;
  // Behind it the former primary is read by nobody; what the source changes after the way back tells copies apart.
  const left = withSide(world, from, { ahead: null });
  const next = run.to === 'source' ? withSide(left, 'source', { ahead: [] }) : left;
  const wrong = isEqual ? world.wrong : 'the stores differ at the flip';
  step(
    { ...context, world: next },
    `flips: the ${run.to} is primary`,
    { entry: flipped.announced },
    { ...flipped, wrong, goesBack: run.to === 'source' },
  );
}

function settle(context: Context, label: string): void {
  const { run, world } = context;
  if (run.to === 'target') end(context, label, { isUnderWay: false, goal: world.goal + 1 });
  else step(context, label, { stage: 'clearing' }, { isUnderWay: false });
}

/** Nothing of the migration writes to the target any more. */
function fenceTarget(context: Context): void {
  const { run, world, protocol } = context;
  if (!run.isCurrent) return end(context, 'finds that another one took its place');
  const stateEpoch = world.stateEpoch + 1;
  const epoch = protocol.fenceFirst ? stateEpoch : world.target.epoch;
  const next = withSide(world, 'target', { epoch });
  step({ ...context, world: next }, 'shuts the target', { stage: 'removing', epoch }, { stateEpoch, goesBack: true });
}

function takeCopiesAway(context: Context): void {
  const { run, world, protocol } = context;
  const { source, target } = world;
  if (target.epoch !== run.epoch) return end(context, 'finds that another one took its place');
  if (target.value === nothing) {
    if (run.isCurrent) end(context, 'has taken the copies away', { goal: world.goal + 1 });
    return;
  }
  const isCopy = target.value === source.value || ((source.ahead ?? []).length > 0 && protocol.movedIsCopy);
  if (isCopy) step({ ...context, world: withSide(world, 'target', { value: nothing }) }, 'takes a copy away', {});
  else if (run.isCurrent) end(context, 'leaves what is no copy', { goal: world.goal + 1 });
}
