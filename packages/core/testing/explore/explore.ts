/**
 * The space of a dual-read: two clients, copiers and a controller on one key, whose every state search.ts looks at; and what
 * no state of it may be.
 */
import { firstRung, type InstanceId, type Mode, type Version } from '../../src/index.ts';
import { clientSteps, type OperationKind } from './client-steps.ts';
import { mayHold, newHistory, nothing } from './history.ts';
import { firstEpoch, noTail } from './model-stores.ts';
import { controllerSteps, copierSteps, tailSteps, timeSteps, type Course } from './other-steps.ts';
import { soundProtocol, type Protocol } from './protocol.ts';
import { search, type Found, type SearchOptions, type Step } from './search.ts';
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

export interface Exploration extends Found {
  /** Modes in which the ladder stood in any of the states. */
  readonly modesSeen: ReadonlySet<Mode>;
}

export function explore(scenario: Scenario, options?: SearchOptions): Exploration {
  const protocol = { ...soundProtocol, ...scenario.protocol };
  const modesSeen = new Set<Mode>();
  const found = search<World>(
    {
      first: firstWorlds(scenario, protocol),
      keyOf: worldKeys(),
      stepsFrom: (world) => stepsOf(world, scenario, protocol),
      wrongWith: (world, isIdle) => wrongWith(world, scenario, isIdle),
      isSpoilt: ({ history }) => history.possible.length === 0,
      atRest,
      meet: ({ rung }) => modesSeen.add(rung.mode),
    },
    options,
  );
  return { ...found, modesSeen };
}

function stepsOf(world: World, scenario: Scenario, protocol: Protocol): Step<World>[] {
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
    if (!isBehind && client.seen === null && !client.mustLook) return client;
    return { ...client, seen: null, mustLook: false, ...(isBehind && { rung, epoch, acknowledged: epoch }) };
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
    mustLook: false,
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
