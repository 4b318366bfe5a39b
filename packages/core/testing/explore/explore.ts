/**
 * Looks at every state that a scenario can come to, nearest first, and says what is wrong with the first bad one.
 *
 *     take a state ─► every step that anybody may take ─► its histories still have an explanation? ─► new? put it in line
 *
 * Breadth first, so a counterexample is a shortest one. Ends only when nothing is left: the result is for all
 * interleavings, not for a sample.
 */
import { firstRung, type InstanceId, type Mode, type Version } from '../../src/index.ts';
import { clientSteps, type OperationKind, type Step } from './client-steps.ts';
import { mayHold, newHistory, nothing } from './history.ts';
import { firstEpoch, noTail } from './model-stores.ts';
import { controllerSteps, copierSteps, tailSteps, timeSteps, type Course } from './other-steps.ts';
import { soundProtocol, type Protocol } from './protocol.ts';
import { worldKeys, type Budget, type Cell, type Client, type World } from './world.ts';

export interface Scenario extends Course {
  /** Operations that each client may begin; a client with none is not there. */
  readonly operations: readonly number[];
  readonly kinds: readonly OperationKind[];
  /** Clients that start only after everything has begun. */
  readonly late?: readonly number[];
  readonly initially?: readonly ('record' | 'record-ttl' | 'nothing')[];
  readonly copiers?: number;
  readonly tail?: boolean;
  readonly budget?: Partial<Budget>;
  readonly protocol?: Partial<Protocol>;
}

export interface Counterexample {
  readonly what: string;
  readonly steps: readonly string[];
}

export interface Exploration {
  readonly states: number;
  /** Modes in which the ladder stood in any of them. */
  readonly modesSeen: ReadonlySet<Mode>;
  /** States in which nothing can follow. */
  readonly ends: number;
  readonly counterexample: Counterexample | null;
}

interface Seen {
  readonly world: World;
  readonly label: string;
  readonly from: Seen | null;
}

export interface ExploreOptions {
  /** Only what is wrong in these words counts; by default anything. */
  readonly looksFor?: RegExp;
  /** More states than this are an error: an exploration that nobody waits for proves nothing. */
  readonly statesMax?: number;
}

export function explore(
  scenario: Scenario,
  { looksFor = /^/, statesMax = 2_000_000 }: ExploreOptions = {},
): Exploration {
  const protocol = { ...soundProtocol, ...scenario.protocol };
  const known = new Set<string>();
  const keyOf = worldKeys();
  const modesSeen = new Set<Mode>();
  let line: Seen[] = [];
  let ends = 0;
  const meet = (met: World, label: string, from: Seen | null): void => {
    const world = atRest(met);
    const key = keyOf(world);
    if (known.has(key)) return;
    known.add(key);
    modesSeen.add(world.rung.mode);
    line.push({ world, label, from });
  };
  for (const world of firstWorlds(scenario, protocol)) meet(world, 'the beginning', null);
  while (line.length > 0) {
    const now = line;
    line = [];
    for (const seen of now) {
      if (known.size > statesMax) throw new RangeError(`more than ${statesMax} states`);
      const steps = stepsOf(seen.world, scenario, protocol);
      const what = wrongWith(seen.world, scenario, steps.length === 0);
      if (what !== null && looksFor.test(what)) {
        return { states: known.size, modesSeen, ends, counterexample: { what, steps: pathTo(seen) } };
      }
      if (seen.world.history.possible.length === 0) continue;
      if (steps.length === 0) ends += 1;
      for (const { label, world } of steps) meet(world, label, seen);
    }
  }
  return { states: known.size, modesSeen, ends, counterexample: null };
}

function stepsOf(world: World, scenario: Scenario, protocol: Protocol): Step[] {
  const { kinds } = scenario;
  return [
    ...world.clients.flatMap((_, at) => clientSteps(world, at, { kinds, protocol })),
    ...controllerSteps(world, scenario, protocol),
    ...world.copiers.flatMap((_, at) => copierSteps(world, at, protocol)),
    ...tailSteps(world, protocol),
    ...timeSteps(world),
  ];
}

/**
 * The same world for all that matters. A client that has done its last operation follows the switch at once: when it does
 * can matter to the controller alone, which may be late itself. Not so where a barrier may be given up, for which
 * somebody must be behind. And what it read is forgotten: it will not compare with it.
 */
function atRest(world: World): World {
  const { rung, epoch, budget } = world;
  if (!world.clients.some(isThrough)) return world;
  const clients = world.clients.map((client) => {
    if (!isThrough(client)) return client;
    const isBehind = budget.giveUps === 0 && client.epoch < epoch;
    if (!isBehind && client.seen === null) return client;
    return { ...client, seen: null, ...(isBehind && { rung, epoch, acknowledged: epoch }) };
  });
  return { ...world, clients };

  function isThrough(client: Client): boolean {
    const { status, left, running, strays, life } = client;
    return status === 'serving' && left === 0 && running === null && strays.length === 0 && life === 'running';
  }
}

/** What no state may be. */
function wrongWith(world: World, scenario: Scenario, isIdle: boolean): string | null {
  const { history, rung, over } = world;
  if (history.possible.length === 0) return 'an answer that no order of the operations explains';
  if (world.goal < scenario.goals.length) {
    return isIdle && !hasExcuse(world) ? `it goes no further in ${rung.mode}` : null;
  }
  const holds = rung.mode === 'legacy' ? world.source : rung.mode === 'normal' ? world.target : null;
  const isEnd = rung.mode === 'legacy' || rung.mode === 'normal';
  if (isEnd && !mayHold(history, holds?.id ?? nothing, over)) return 'at the end, a value that no order explains';
  if (rung.mode === 'normal' && world.tombstone) return 'finalized, and a tombstone is left';
  if (rung.mode === 'legacy' && (world.target !== null || world.tombstone))
    return 'rolled back, and the target is not empty';
  return null;
}

/** An instance that nobody named gone, and that no store refuses, is waited for without end. */
function hasExcuse({ clients }: World): boolean {
  return clients.some(({ life, running }) => (life !== 'running' && life !== 'named') || running?.request === null);
}

function pathTo(seen: Seen): readonly string[] {
  const path: string[] = [];
  for (let at: Seen | null = seen; at !== null; at = at.from) path.unshift(at.label);
  return path;
}

function firstWorlds(scenario: Scenario, protocol: Protocol): readonly World[] {
  const { operations, late = [], initially = ['record', 'nothing'], copiers = 1, tail = false, budget = {} } = scenario;
  const clients = operations.map((left, at): Client => ({
    instance: `client ${at + 1}` as InstanceId,
    status: late.includes(at) ? 'new' : 'serving',
    rung: firstRung,
    epoch: firstEpoch,
    acknowledged: firstEpoch,
    left,
    running: null,
    strays: [],
    seen: null,
    life: 'running',
    revoked: false,
  }));
  return initially.map((what): World => {
    const source: Cell | null =
      what === 'nothing' ? null : { id: 1, ttl: what === 'record-ttl', version: 's1' as Version, copiedFrom: null };
    const foreign: Cell = { id: -1, ttl: false, version: 't-1' as Version, copiedFrom: null };
    return {
      source,
      sourceBefore: null,
      target: protocol.targetIsEmpty ? null : foreign,
      tombstone: false,
      targetEpoch: 0,
      attemptEpoch: 0,
      rung: firstRung,
      epoch: firstEpoch,
      goal: 0,
      backfilled: false,
      verified: false,
      cleaned: false,
      clients,
      copiers: Array.from({ length: copiers }, () => ({ read: undefined, fence: 0 })),
      untailed: tail ? [] : noTail,
      over: [],
      operations: 0,
      budget: { giveUps: 0, unknowns: 0, lapses: 0, ...budget },
      history: newHistory(source?.id ?? nothing),
    };
  });
}
