/**
 * What an instance may do next: start, follow the switch and acknowledge it, begin an operation in the store that is primary,
 * have it answered, fall behind. Its gate is core's own (operation-gate.ts), as the follower of the client package runs it.
 */
import {
  acknowledgeable,
  beginOperation,
  closedGate,
  endOperation,
  followSwitch,
  isCertain,
  renewLease,
  type Gate,
  type OpenOperation,
  type SwitchEpoch,
} from '../../../src/index.ts';
import { answered, asked, nothing, settled, withdrawn, type Asked, type History, type Id } from '../history.ts';
import type { Step } from '../search.ts';
import type { ReplicateProtocol } from './protocol.ts';
import { changeStore } from './store-changes.ts';
import type { Instance, OperationKind, Running, World } from './world.ts';

/** The clock stands still: leases and lives are ended by steps of their own. */
const nowMs = 0;
export const requestLifeMs = 1;
const leaseMs = 1;

export interface InstanceOptions {
  readonly kinds: readonly OperationKind[];
  readonly nobodyIsNamed: boolean;
  readonly protocol: ReplicateProtocol;
}

interface Context extends InstanceOptions {
  readonly world: World;
  readonly at: number;
  readonly one: Instance;
  readonly steps: Step<World>[];
}

/** @param at index of the instance */
export function instanceSteps(world: World, at: number, options: InstanceOptions): Step<World>[] {
  const one = world.instances[at] as Instance;
  const context: Context = { ...options, world, at, one, steps: [] };
  if (one.status !== 'serving') startUp(context);
  else {
    if (one.running !== null) runOn(context, one.running);
    else if (one.life === 'running') begin(context);
    if (one.life === 'running') follow(context);
    fallBehind(context);
  }
  strayOn(context);
  return context.steps;
}

function step({ world, at, one, steps }: Context, label: string, change: Partial<Instance>, rest: Partial<World> = {}) {
  const instances = world.instances.with(at, { ...one, ...change });
  steps.push({ label: `${one.instance} ${label}`, world: { ...world, ...rest, instances } });
}

function startUp(context: Context): void {
  const { world, one, protocol } = context;
  const { epoch, primary, writes } = world.announced;
  const seen = { primary, writes };
  if (one.status === 'new' && protocol.registersFirst) {
    step(context, 'registers', { status: 'registered', gate: renewed(one.gate) });
  } else if (one.status === 'new') {
    step(context, `reads ${primary}, ${writes}`, { status: 'read', seen, gate: followSwitch(one.gate, epoch) });
  } else if (one.status === 'registered') {
    step(context, `starts with ${primary}, ${writes}`, {
      status: 'serving',
      seen,
      gate: followSwitch(one.gate, epoch),
    });
  } else {
    const gate = followSwitch(renewed(one.gate), one.gate.epoch);
    step(context, 'registers, and starts', { status: 'serving', gate, acknowledged: gate.epoch });
  }
}

function begin(context: Context): void {
  const { world, one, kinds, protocol } = context;
  if (one.left === 0) return;
  const number = world.operations + 1;
  const side = protocol.followsPrimary ? one.seen.primary : 'source';
  for (const kind of kinds) {
    if (kind !== 'get' && one.seen.writes === 'held' && protocol.holdsWrites) continue;
    const begun = beginOperation(one.gate, nowMs);
    if (begun === null) continue;
    const isRead = kind === 'get';
    const running: Running = { number, kind, side, begun: begun.begun };
    step(
      context,
      `begins ${kind} (${number}) in the ${side}`,
      { running, left: one.left - 1, ...(!isRead && { gate: begun.gate }) },
      { operations: number, history: asked(world.history, number, askedBy(running)) },
    );
  }
}

const renewed = (gate: Gate): Gate => renewLease(gate, { askedAtMs: nowMs, nowMs, leaseMs });

export const newGate: Gate = closedGate(0 as SwitchEpoch);
/** Of an instance that serves from the beginning. */
export const servingGate: Gate = followSwitch(renewed(newGate), null);

/** What a write puts there. 1 is what was there before. */
const idOf = ({ kind, number }: Running): Id => (kind === 'delete' ? nothing : number + 1);

function askedBy(running: Running): Asked {
  const { kind } = running;
  return kind === 'put' ? { kind, id: idOf(running) } : { kind };
}

function runOn(context: Context, running: Running): void {
  const { world, one, protocol } = context;
  const { number, kind, side, begun } = running;
  const name = `(${number}) ${kind} in the ${side}`;
  if (kind === 'get') return readOn(context, running);
  const effect = changeStore(world, side, idOf(running), 'an instance');
  const { gate, certain } = ended(one.gate, begun, true);
  const isTold = certain || !protocol.checksAfter;
  const history = isTold ? answered(world.history, number, 'done', []) : settled(world.history, number, []); // it has had its moment, and nobody is told when
  step(
    { ...context, world: effect },
    `${name}, ${isTold ? 'is answered' : 'tells nobody'}`,
    { running: null, gate },
    { history },
  );
  if (world.budget.unknowns > 0) {
    const known = !protocol.unknownBlocksAcknowledgement;
    const budget = { ...world.budget, unknowns: world.budget.unknowns - 1 };
    const late = ended(one.gate, begun, known).gate;
    step(context, `${name}, times out`, { running: null, gate: late, strays: [...one.strays, running] }, { budget });
  }
}

function ended(gate: Gate, begun: OpenOperation, known: boolean): ReturnType<typeof endOperation> {
  return endOperation(gate, begun, { known, nowMs, requestLifeMs });
}

/** Nobody writes the former primary but a tail, and until it has seen the flip an instance reads there (SPEC, known limits). */
function readOn(context: Context, { number, side, begun }: Running): void {
  const { world, one, protocol } = context;
  const isExcused = side !== world.announced.primary;
  const isTold = !isExcused && (isCertain(one.gate, begun, nowMs) || !protocol.checksAfter);
  const { value } = world[side];
  const history = isTold ? answered(world.history, number, value, []) : withdrawn(world.history, number);
  step(
    context,
    `(${number}) get in the ${side}, ${isTold ? `answers ${value}` : 'tells nobody'}`,
    { running: null },
    { history },
  );
}

function follow(context: Context): void {
  const { world, one, protocol } = context;
  const { epoch, primary, writes } = world.announced;
  const gate = followSwitch(one.gate, epoch);
  const open = protocol.runningBlocksAcknowledgement ? gate : { ...gate, open: [] };
  const acknowledged = one.registers ? acknowledgeable(open, nowMs) : one.acknowledged;
  if (gate === one.gate && acknowledged <= one.acknowledged) return;
  const label =
    acknowledged > one.acknowledged
      ? `follows to ${primary}, ${writes}, acknowledges ${acknowledged}`
      : `follows to ${primary}, ${writes}`;
  step(context, label, { gate, seen: { primary, writes }, acknowledged });
}

function fallBehind(context: Context): void {
  const { world, at, one, protocol, nobodyIsNamed } = context;
  const { budget } = world;
  if (at === 0 && one.life === 'running' && budget.lapses > 0) {
    const lapses = budget.lapses - 1;
    step(
      context,
      'is past its lease',
      { life: 'lapsed', gate: { ...one.gate, leaseEndsAtMs: nowMs } },
      { budget: { ...budget, lapses } },
    );
  }
  if (one.life === 'lapsed') {
    step(context, 'renews again', { life: 'running', gate: renewed(one.gate) });
    if (!protocol.namedIsGone) step(context, 'is named gone', { life: 'named' });
    dies(context);
  }
  if (one.life === 'dead' && !nobodyIsNamed) step(context, 'is named gone', { life: 'named' });
}

function dies(context: Context): void {
  const { world, one } = context;
  const { running } = one;
  const isSent = running !== null && running.kind !== 'get';
  const strays = isSent ? [...one.strays, running] : one.strays;
  const history: History = running !== null && !isSent ? withdrawn(world.history, running.number) : world.history;
  step(context, 'dies', { life: 'dead', running: null, strays }, { history });
}

/** Requests whose sender waits no longer: they take effect, or the longest life of a request is over. */
function strayOn(context: Context): void {
  const { world, one } = context;
  one.strays.forEach((stray, index) => {
    const strays = one.strays.toSpliced(index, 1);
    const gate = { ...one.gate, open: withoutUnknown(one.gate.open, stray) };
    const over = settled(world.history, stray.number, []);
    step(context, `(${stray.number}) a stray ${stray.kind} is over`, { strays, gate }, { history: over });
    const effect = changeStore(world, stray.side, idOf(stray), 'an instance');
    const had = settled(effect.history, stray.number, []);
    step(
      { ...context, world: effect },
      `(${stray.number}) a stray ${stray.kind} takes effect`,
      { strays, gate },
      { history: had },
    );
  });
}

/** Its life is over, by the own clock as well. */
function withoutUnknown(open: readonly OpenOperation[], { begun }: Running): readonly OpenOperation[] {
  const at = open.findIndex(({ epoch, overAtMs }) => overAtMs !== null && epoch === begun.epoch);
  return at < 0 ? open : open.toSpliced(at, 1);
}
