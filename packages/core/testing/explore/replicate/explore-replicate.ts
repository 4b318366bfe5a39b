/**
 * The space of a cutover by `replicate`: instances of the application on one key, a tail, and a controller that leads them to
 * the target, back, or takes everything away; and what no state of it may be.
 *
 * It begins where `apply` has proven both sides equal. Time stands still: leases, deadlines and the lives of requests end by
 * steps of their own, as often as a scenario's budget allows.
 */
import { followSwitch, nothingKnown, primaryStanding, type InstanceId, type SwitchEpoch } from '../../../src/index.ts';
import { mayHold, newHistory, nothing } from '../history.ts';
import { search, type Found, type SearchOptions, type Step } from '../search.ts';
import { instanceSteps, newGate, servingGate } from './instance-steps.ts';
import { soundReplicate, type ReplicateProtocol } from './protocol.ts';
import { runSteps, type RunOptions } from './run-steps.ts';
import { followSteps, lateSteps } from './tail-steps.ts';
import { worldKeys, type Budget, type Instance, type OperationKind, type Run, type World } from './world.ts';

export type ReplicateGoal = 'cutover' | 'rollback';

export interface ReplicateScenario {
  readonly goals: readonly ReplicateGoal[];
  /** The last goal may take the place of any before it, whenever no command is under way. */
  readonly lastAtAnyTime?: boolean;
  /** Operations that each instance may begin. */
  readonly operations: readonly number[];
  readonly kinds: readonly OperationKind[];
  /** Instances that start only after everything has begun. */
  readonly late?: readonly number[];
  /** Those that follow the switch and tell nobody. */
  readonly unregistered?: readonly number[];
  /** Nobody is named gone by an operator. */
  readonly nobodyIsNamed?: boolean;
  /** What the configuration says of who registers; null: nothing. */
  readonly instances?: RunOptions['instances'];
  readonly budget?: Partial<Budget>;
  readonly protocol?: Partial<ReplicateProtocol>;
}

export function exploreReplicate(scenario: ReplicateScenario, options?: SearchOptions): Found {
  const protocol = { ...soundReplicate, ...scenario.protocol };
  return search<World>(
    {
      first: [firstWorld(scenario)],
      keyOf: worldKeys(),
      stepsFrom: (world) => stepsOf(world, scenario, protocol),
      wrongWith: (world, isIdle) => wrongWith(world, scenario, isIdle),
      isSpoilt: ({ history }) => history.possible.length === 0,
      atRest: (world) => atRest(world),
    },
    options,
  );
}

/**
 * The same world for all that matters. One that has done its last operation follows the switch at once, as when it does can
 * matter to the controller alone, which may be late itself; not so where a hold may be given up, for which somebody must be
 * behind, or an instance may lapse.
 */
function atRest(world: World): World {
  const { announced, budget } = world;
  if (budget.deadlines > 0 || budget.lapses > 0) return world;
  const isBehind = (one: Instance): boolean =>
    one.status === 'serving' &&
    one.life === 'running' &&
    one.left === 0 &&
    one.running === null &&
    one.strays.length === 0 &&
    (one.gate.epoch < announced.epoch || one.gate.mustLook || (one.registers && one.acknowledged < announced.epoch));
  if (!world.instances.some(isBehind)) return world;
  const { epoch, primary, writes } = announced;
  const instances = world.instances.map((one): Instance => {
    if (!isBehind(one)) return one;
    const gate = followSwitch(one.gate, epoch);
    return { ...one, gate, seen: { primary, writes }, acknowledged: one.registers ? epoch : one.acknowledged };
  });
  return { ...world, instances };
}

function stepsOf(world: World, scenario: ReplicateScenario, protocol: ReplicateProtocol): Step<World>[] {
  const { kinds, instances = null, nobodyIsNamed = false } = scenario;
  return [
    ...world.instances.flatMap((_, at) => instanceSteps(world, at, { kinds, nobodyIsNamed, protocol })),
    ...operatorSteps(world, scenario),
    ...world.runs.flatMap((_, at) => runSteps(world, at, { instances, protocol })),
    ...followSteps(world, protocol),
    ...lateSteps(world, protocol),
  ];
}

/** Commands are begun, again and again until they have come to their end; one that is at work may be taken for dead. */
function operatorSteps(world: World, { goals, lastAtAnyTime = false }: ReplicateScenario): Step<World>[] {
  const goal = goals[world.goal];
  if (goal === undefined) return [];
  const { runs, budget, isUnderWay } = world;
  const steps: Step<World>[] = [];
  const current = runs.find(({ isCurrent }) => isCurrent);
  const last = goals.length - 1;
  if (current === undefined) {
    const run = newRun(world, goal);
    steps.push({ label: `${goal} begins`, world: { ...world, runs: [...runs, run] } });
    if (lastAtAnyTime && world.goal < last && !isUnderWay)
      steps.push({ label: `the operator wants ${goals[last] ?? ''}`, world: { ...world, goal: last } });
  } else if (runs.length > 1) {
    steps.push({ label: 'the controller of before is dead', world: { ...world, runs: [current] } });
  } else if (budget.takeovers > 0 && current.stage !== 'begun') {
    const others = runs.map((run) => ({ ...run, isCurrent: false }));
    const next = { ...world, budget: { ...budget, takeovers: budget.takeovers - 1 } };
    steps.push({
      label: `${goal} begins again, for the one at work is taken for dead`,
      world: { ...next, pending: null, runs: [...others, newRun(world, goal)] },
    });
  }
  return steps;
}

function newRun({ announced, isUnderWay, stateEpoch }: World, goal: ReplicateGoal): Run {
  const turnsBack = goal === 'rollback' && (isUnderWay || announced.primary === 'target');
  return {
    to: goal === 'cutover' ? 'target' : 'source',
    stage: goal === 'cutover' || turnsBack ? 'begun' : 'clearing',
    isCurrent: true,
    epoch: stateEpoch,
    fence: 0,
    touched: false,
    entry: announced,
    ourEpoch: null,
    proof: null,
    barrier: null,
    known: nothingKnown,
    drainLeft: null,
    movedInDrain: false,
    lookedLast: false,
    isStale: false,
  };
}

/** What no state may be. */
function wrongWith(world: World, { goals }: ReplicateScenario, isIdle: boolean): string | null {
  const { history, announced, source, target, wrong } = world;
  if (history.possible.length === 0) return 'an answer that no order of the operations explains';
  if (wrong !== null) return wrong;
  if (isIdle && announced.writes === 'held') return 'writes are held, and nobody will end it';
  if (world.goal < goals.length) return isIdle && !hasExcuse(world) ? 'it goes no further' : null;
  if (!mayHold(history, world[announced.primary].value, [])) return 'at the end, a value that no order explains';
  const isBack = announced.primary === 'source';
  if (isBack && target.value !== nothing) return 'rolled back, and the target is not empty';
  if (isIdle && !isBack && source.value !== target.value && !world.refused) return 'at the end, the stores differ';
  return null;
}

/** An instance that nobody named gone is waited for without end; and what a store refuses is not led over. */
function hasExcuse({ instances, refused }: World): boolean {
  return refused || instances.some(({ life }) => life === 'lapsed' || life === 'dead');
}

function firstWorld({ operations, late = [], unregistered = [], budget = {} }: ReplicateScenario): World {
  const instances = operations.map((left, at): Instance => ({
    instance: `instance ${at + 1}` as InstanceId,
    registers: !unregistered.includes(at),
    status: late.includes(at) ? 'new' : 'serving',
    gate: late.includes(at) ? newGate : servingGate,
    seen: primaryStanding(null),
    acknowledged: 0 as SwitchEpoch,
    left,
    running: null,
    strays: [],
    life: 'running',
  }));
  const before = 1;
  const none = { unknowns: 0, lapses: 0, deadlines: 0, takeovers: 0, lateCarries: 0, refusals: 0 };
  return {
    source: { value: before, ahead: [], epoch: 0, fence: 0 },
    target: { value: before, ahead: null, epoch: 1, fence: 1 },
    announced: { ...primaryStanding(null), epoch: 0 as SwitchEpoch, version: 0 },
    isUnderWay: false,
    goesBack: false,
    stateEpoch: 1,
    instances,
    runs: [],
    late: null,
    pending: null,
    refused: false,
    goal: 0,
    operations: 0,
    budget: { ...none, ...budget },
    history: newHistory(before),
    wrong: null,
  };
}
