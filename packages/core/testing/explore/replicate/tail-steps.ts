/**
 * What a tail may do: carry the next change, its position with it; have a write of it come late; be begun on the way back. Who
 * owns it is told by the fence in the store that it fills, and by the epoch there.
 */
import { otherSide, type PrimarySide } from '../../../src/index.ts';
import type { Step } from '../search.ts';
import type { ReplicateProtocol } from './protocol.ts';
import { changeStore, withSide } from './store-changes.ts';
import type { Run, World } from './world.ts';

/** The first change that is not carried yet, as whoever owns the tail into `to` carries it. Empty: there is none. */
export function carrySteps(world: World, to: PrimarySide, who: string, protocol: ReplicateProtocol): Step<World>[] {
  if (world.pending !== null) return [];
  const { ahead } = world[otherSide(to)];
  const [id] = ahead ?? [];
  if (id === undefined) return [];
  const name = `${who} carries ${id} to the ${to}`;
  const steps: Step<World>[] = [];
  const moved = passed(world, to);
  if (protocol.positionFollowsEffect) steps.push({ label: name, world: changeStore(moved, to, id, 'a tail') });
  else steps.push({ label: `${name}: the position`, world: { ...moved, pending: { side: to, id } } });
  const { budget } = world;
  if (budget.lateCarries > 0 && world.late === null) {
    const { epoch, fence } = world[to];
    const late = { side: to, id, epoch, fence, isFirst: true };
    const next = { ...world, late, budget: { ...budget, lateCarries: budget.lateCarries - 1 } };
    steps.push({ label: `${name}, which times out`, world: next });
  }
  if (budget.refusals > 0) {
    const next = { ...moved, refused: true, budget: { ...budget, refusals: budget.refusals - 1 } };
    steps.push({ label: `${name}, which is refused`, world: next });
  }
  return steps;
}

/** One change further, for whoever reads the other store; what is on its way of a tail has been repeated by now. */
function passed(world: World, to: PrimarySide): World {
  const from = otherSide(to);
  const next = withSide(world, from, { ahead: (world[from].ahead ?? []).slice(1) });
  const late = world.late && world.late.side === to ? { ...world.late, isFirst: false } : world.late;
  const runs = world.runs.map((run) => carried(run, to, world[to].fence));
  return { ...next, late, runs };
}

function carried(run: Run, to: PrimarySide, fence: number): Run {
  if (run.to !== to) return run;
  if (run.fence !== fence) return { ...run, isStale: true };
  const drainLeft = run.drainLeft === null ? null : Math.max(0, run.drainLeft - 1);
  const movedInDrain = run.movedInDrain || run.drainLeft !== null;
  return { ...run, touched: true, drainLeft, movedInDrain };
}

/** Whoever follows while no command is at work: `apply`, and after a cutover the reverse tail. */
export function followSteps(world: World, protocol: ReplicateProtocol): Step<World>[] {
  const { announced, goesBack } = world;
  if (world.runs.some(({ isCurrent }) => isCurrent) || announced.writes === 'held') return [];
  const from = announced.primary;
  const to = otherSide(from);
  if (goesBack && from === 'source') return [];
  const { ahead } = world[from];
  // Nobody stored a position: it can begin no earlier than now.
  if (ahead === null && from === 'target')
    return [{ label: 'the reverse tail begins at the head', world: withSide(world, from, { ahead: [] }) }];
  return carrySteps(world, to, 'the tail', protocol);
}

/** What is on its way by itself: a late write of a tail, and an effect whose position was stored before it. */
export function lateSteps(world: World, protocol: ReplicateProtocol): Step<World>[] {
  const { late, pending } = world;
  const steps: Step<World>[] = [];
  if (pending !== null) {
    const { side, id } = pending;
    const effect = changeStore({ ...world, pending: null }, side, id, 'a tail');
    steps.push({ label: `${id} is carried to the ${side}: the effect`, world: effect });
  }
  if (late === null) return steps;
  const gone: World = { ...world, late: null };
  steps.push({ label: 'a late write of a tail is lost', world: gone });
  const store = world[late.side];
  const isOwn = store.fence === late.fence;
  const isIn = store.epoch === late.epoch && (isOwn || !protocol.tailFence);
  if (!isIn) return steps;
  const label = `a late write of a tail puts ${late.id} into the ${late.side}`;
  if (isOwn && late.isFirst)
    steps.push({ label, world: changeStore(passed(gone, late.side), late.side, late.id, 'a tail') });
  else if (!isOwn || !protocol.tailSequence)
    steps.push({ label, world: changeStore(gone, late.side, late.id, 'a tail') });
  return steps;
}

/** A run claims the tail into `to`, from the position that is stored. */
export function claimed(world: World, to: PrimarySide): { readonly world: World; readonly fence: number } {
  const fence = world[to].fence + 1;
  return { world: { ...withSide(world, to, { fence }), pending: null }, fence };
}
