/** What happens beside the clients: the controller, the copiers, the reverse tail, and time. */
import {
  barrierAt,
  cannotWrite,
  dualReadStep,
  type Barrier,
  type DualReadFacts,
  type DualReadGoal,
  type Registration,
  type Rung,
  type SwitchEpoch,
  type Version,
} from '../../src/index.ts';
import { nothing } from './history.ts';
import { changeSource, noted } from './model-stores.ts';
import type { Protocol } from './protocol.ts';
import type { Step } from './search.ts';
import type { Cell, Copier, World } from './world.ts';

export interface Course {
  readonly goals: readonly DualReadGoal[];
  /** The last goal may take the place of any before it, at any time. */
  readonly lastAtAnyTime: boolean;
}

export function controllerSteps(world: World, { goals, lastAtAnyTime }: Course, protocol: Protocol): Step<World>[] {
  const steps: Step<World>[] = [];
  const last = goals.length - 1;
  const goal = goals[world.goal];
  if (goal === undefined) return steps;
  if (lastAtAnyTime && world.goal < last && world.rung.committed === null) {
    steps.push({ label: `the controller is told to ${goals[last] ?? ''}`, world: { ...world, goal: last } });
  }
  const facts = factsOf(world, protocol);
  act(goal, { ...facts, timedOut: false });
  if (facts.barrier.kind === 'waiting' && world.budget.giveUps > 0) act(goal, { ...facts, timedOut: true });
  return steps;

  function act(towards: DualReadGoal, known: DualReadFacts): void {
    const next = dualReadStep(towards, known, protocol.ladder);
    const push = (label: string, change: Partial<World>): void => {
      steps.push({ label: `the controller ${label}`, world: { ...world, ...change } });
    };
    switch (next.kind) {
      case 'announce':
        return push(`announces ${next.rung.mode}`, announced(world, next.rung, protocol));
      case 'give-up': {
        const budget = { ...world.budget, giveUps: world.budget.giveUps - 1 };
        return push(`gives up, back to ${next.rung.mode}`, { ...announced(world, next.rung, protocol), budget });
      }
      case 'verify':
        if (isCovered(world)) push('verifies', { verified: true });
        return undefined;
      case 'fence':
        return push('raises the epoch', { targetEpoch: world.targetEpoch + 1 });
      case 'clear':
        // Records and tombstones go page by page, each in its own time.
        if (world.target !== null) push('clears a record', { target: null });
        if (world.tombstone) push('drops a tombstone', { tombstone: false });
        return undefined;
      case 'clean-up':
        return push('cleans up', {
          tombstone: false,
          target: world.target === null ? null : { ...world.target, copiedFrom: null },
          cleaned: true,
        });
      case 'done':
        return push(`is done with ${towards}`, { goal: world.goal + 1 });
      // Others act: clients acknowledge, copiers copy, the tail drains. Nothing else follows a refusal.
      case 'wait':
      case 'backfill':
      case 'drain':
      case 'refused':
        return undefined;
    }
  }
}

function announced(world: World, rung: Rung, protocol: Protocol): Partial<World> {
  const epoch = (world.epoch + 1) as SwitchEpoch;
  if (rung.mode !== 'migrating' || world.rung.heldFrom !== 'legacy') return { rung, epoch };
  // A new attempt: nothing of it is done, and it takes a higher epoch than any before.
  const attemptEpoch = protocol.attemptsAreNew ? world.targetEpoch + 1 : 1;
  return { rung, epoch, attemptEpoch, targetEpoch: attemptEpoch, backfilled: false, verified: false, cleaned: false };
}

function factsOf(world: World, protocol: Protocol): Omit<DualReadFacts, 'timedOut'> {
  const { backfilled, verified, cleaned, target, tombstone } = world;
  const isFenced = world.targetEpoch > world.attemptEpoch;
  return {
    rung: world.rung,
    barrier: barrierOf(world, protocol),
    backfilled: backfilled || !protocol.backfillFirst,
    verified: verified || !protocol.backfillFirst,
    fenced: isFenced || !protocol.fenceFirst,
    drained: world.untailed.length === 0 || !protocol.drainFirst,
    cleared: (target === null && !tombstone) || !protocol.clearFirst,
    cleaned,
  };
}

const requestLifeMs = 1;

function barrierOf({ clients, rung, epoch }: World, protocol: Protocol): Barrier {
  const registrations = clients
    .filter(({ status }) => status === 'registered' || status === 'serving')
    .map((client): Registration => ({
      instance: client.instance,
      acknowledged: client.acknowledged,
      lapsed: client.life !== 'running',
      harmless:
        client.revoked ||
        !protocol.lapsedIsWaitedFor ||
        cannotWrite(rung, epoch, client.acknowledged, protocol.passesByEpoch),
      goneAtMs: client.life === 'named' ? 0 : null,
    }));
  const isOver = clients.every(({ life, strays }) => life !== 'named' || strays.length === 0);
  const nowMs = isOver || !protocol.requestLifeIsWaitedFor ? requestLifeMs + 1 : requestLifeMs;
  return barrierAt(epoch, registrations, { instancesMin: 1, nowMs, requestLifeMs });
}

/** Every key of the source is in the target, or has its tombstone there. */
function isCovered({ source, target, tombstone }: World): boolean {
  return source === null || target !== null || tombstone;
}

export function copierSteps(world: World, at: number, protocol: Protocol): Step<World>[] {
  const copier = world.copiers[at] as Copier;
  const steps: Step<World>[] = [];
  const push = (label: string, change: Partial<World>): void => {
    steps.push({ label: `copier ${at} ${label}`, world: { ...world, ...change } });
  };
  const { read, fence } = copier;
  // One that holds nothing of this attempt yet has no reason to be late.
  const isWanted = world.rung.mode === 'migrating' && world.attemptEpoch === world.targetEpoch && !world.backfilled;
  if (isWanted && (read === undefined || fence !== world.targetEpoch)) {
    const reads = (cell: Cell | null): void => {
      const copiers = world.copiers.with(at, { read: cell, fence: world.targetEpoch });
      push(`reads ${cell?.id ?? nothing}`, { copiers, backfilled: cell === null });
    };
    reads(world.source);
    if (!protocol.readsAreCurrent) reads(world.sourceBefore);
  }
  if (read === undefined || read === null || (protocol.fencing && fence !== world.targetEpoch)) return steps;
  // Any number of times: the request may have been sent twice, and the second one may be late.
  const isOver = read.ttl && world.over.includes(read.id);
  const keyIsFree = world.target === null || !protocol.absentGuard;
  const isFree = keyIsFree && !(world.tombstone && protocol.tombstoneGuard);
  if (isFree && !isOver) {
    const target = { ...read, version: `c${read.version}` as Version, copiedFrom: read.version };
    push(`puts ${read.id}`, { target, backfilled: true });
  } else if (!world.backfilled) push('finds it taken care of', { backfilled: true });
  return steps;
}

const tailed = new Set(['migrating', 'settled', 'draining']);

export function tailSteps(world: World, protocol: Protocol): Step<World>[] {
  const [change, ...untailed] = world.untailed;
  const isOn = tailed.has(world.rung.mode) && world.rung.heldFrom !== 'legacy';
  if (change === undefined || !isOn) return [];
  const { id, ttl } = change;
  const cell: Cell | null = id === nothing ? null : { id, ttl, version: `r${id}` as Version, copiedFrom: null };
  return [
    { label: `the reverse tail carries ${id} back`, world: { ...changeSource(world, cell, protocol), untailed } },
  ];
}

/** Time: TTLs end, and stores drop what they ended, each when it comes to it. */
export function timeSteps(world: World): Step<World>[] {
  const { source, target, over } = world;
  const steps: Step<World>[] = [];
  for (const cell of new Set([source, target])) {
    if (cell?.ttl === true && !over.includes(cell.id)) {
      steps.push({
        label: `the time of ${cell.id} is over`,
        world: { ...world, over: [...over, cell.id].toSorted((a, b) => a - b) },
      });
    }
  }
  const isOver = (cell: Cell | null): boolean => cell !== null && cell.ttl && over.includes(cell.id);
  if (isOver(source)) steps.push({ label: 'the source drops it', world: { ...world, source: null } });
  if (isOver(target)) steps.push({ label: 'the target drops it', world: noted({ ...world, target: null }, null) });
  return steps;
}
