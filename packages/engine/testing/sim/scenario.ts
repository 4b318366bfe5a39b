/**
 * What happens in one seed, in phases:
 *
 *     plan ─► storm: commands, faults, applications ─► calm: one last command to its end ─► drain ─► judge
 *                └── perhaps a rollback, or the loss of the state and a new plan, in the middle of it
 *
 * In the storm everything fails that can; afterwards nothing does, and then all must come to a good end. Requests of
 * the storm may still arrive, and sleepers of the storm still wake, while the last command runs and after it.
 */
import { Functions, functionsToTheEnd } from './functions.ts';
import { isUndisturbed } from './judge-applied.ts';
import { judgeEnd, phaseOf } from './judge-end.ts';
import { codeOf, Operators } from './operators.ts';
import type { Ending } from './process.ts';
import { calm, drawClimate } from './weather.ts';
import type { Planned, World } from './world.ts';

/** How the story ends. */
export type Finale = 'apply' | 'rollback' | 'rollback-and-again';

export interface Story {
  readonly operators: number;
  readonly stormMs: number;
  readonly breaksLocks: boolean;
  readonly rollsBackInStorm: boolean;
  readonly losesState: boolean;
  /** Somebody finalizes as soon as it is verified, in the storm. */
  readonly finalizesInStorm: boolean;
  readonly finale: Finale;
  /** Somebody at another terminal pauses, resumes and throttles while runs work. */
  readonly controls: boolean;
  /** And cancels one, at last. */
  readonly cancels: boolean;
  /** Whether dead letters are tried again at the end. */
  readonly retries: boolean;
  /** Functions that work at once, and how long each may take; null: people apply from terminals alone. */
  readonly functions: { readonly concurrency: number; readonly timeoutMs: number } | null;
}

const lastTriesMax = 30;
const drainMs = 300_000;
/** The target more often: that is where late requests do harm. */
const stores = ['source', 'state', 'target', 'target'] as const;

export async function play(world: World): Promise<void> {
  const draw = world.prng.fork('story');
  const drawn: Story = {
    operators: draw.pick([1, 1, 2, 3]),
    stormMs: draw.pick([5_000, 60_000, 150_000]),
    breaksLocks: draw.chance(0.3),
    rollsBackInStorm: draw.chance(0.25),
    losesState: draw.chance(0.2),
    finale: draw.pick(['apply', 'apply', 'rollback', 'rollback-and-again']),
    finalizesInStorm: false,
    controls: draw.chance(0.35),
    cancels: draw.chance(0.08),
    retries: draw.chance(0.5),
    functions: null,
  };
  // Drawn apart, so that the stories of older seeds stay what they were.
  const ends = world.prng.fork('finalize');
  const serverless = world.prng.fork('functions');
  const functions = serverless.chance(0.3)
    ? { concurrency: serverless.pick([1, 3, 8]), timeoutMs: serverless.pick([2000, 8000, 30_000]) }
    : null;
  const story: Story = { ...drawn, finalizesInStorm: !drawn.losesState && ends.chance(0.3), functions };
  const finalizesAtLast = story.finale === 'apply' && ends.chance(0.5);
  world.kernel.trace(`story ${JSON.stringify(story)}`);
  const operators = new Operators(world);
  let planned = await operators.plan();
  world.application.become({
    inTarget: draw.pick([0, 0, 0.1, 0.4]),
    inSource: draw.pick([0, 0, 0, 0.02]),
  });
  if (draw.chance(0.05)) world.application.touchSource();
  if (draw.chance(0.05)) world.application.touchTarget();
  await storm(world, operators, story, planned);
  world.weather.change(calm);
  world.application.become({ inTarget: 0, inSource: 0 });
  if (story.losesState) {
    world.wipeState();
    planned = await newPlan(world, operators);
  }
  if (functions !== null) {
    await functionsToTheEnd(world, operators, new Functions(world, operators, planned, 60_000));
  }
  planned = await applyToTheEnd(world, operators, planned);
  if (story.retries) await retryToTheEnd(world, operators, planned);
  if (story.finale === 'apply') {
    if (finalizesAtLast) {
      // What was verified may be so no more by then.
      if (world.prng.fork('late').chance(0.2)) world.application.touchTarget();
      world.weather.change(drawClimate(ends.fork('climate')));
      for (let tries = ends.below(6); tries > 0; tries -= 1) {
        const ending = await operators.finalize(planned.id);
        if (ending.kind === 'returned') break;
        await world.kernel.sleep(20_000);
      }
      world.weather.change(calm);
      await finalizeToTheEnd(world, operators, planned);
    }
  } else {
    const rolledBack = await rollBackToTheEnd(world, operators, planned);
    if (rolledBack && story.finale === 'rollback-and-again') {
      planned = await newPlan(world, operators);
      planned = await applyToTheEnd(world, operators, planned);
    }
  }
  await world.kernel.sleep(drainMs);
  await judgeEnd(world, planned, story.finale);
}

async function newPlan(world: World, operators: Operators): Promise<Planned> {
  const planned = await operators.plan();
  world.application.wroteSource = false;
  world.application.wroteTarget = false;
  return planned;
}

async function storm(world: World, operators: Operators, story: Story, planned: Planned): Promise<void> {
  const { kernel, weather } = world;
  const endMs = kernel.nowMs + story.stormMs;
  weather.change(drawClimate(world.prng.fork('climate')));
  const draw = world.prng.fork('storm');
  for (let outages = draw.pick([0, 0, 1, 3]); outages > 0; outages -= 1) {
    const fromMs = kernel.nowMs + draw.below(Math.min(story.stormMs, 20_000));
    const toMs = fromMs + draw.between(1000, 40_000);
    weather.addOutage({ store: draw.pick(stores), kind: draw.pick(['down', 'jammed', 'jammed']), fromMs, toMs });
  }
  // Beside functions somebody's own apply comes now and then.
  const appliers = story.functions === null || world.prng.fork('beside').chance(0.3) ? story.operators : 0;
  const actors = Array.from({ length: appliers }, (_, i) => applyAgainAndAgain(world, operators, planned, i, endMs));
  if (story.functions !== null) actors.push(callAgainAndAgain(world, operators, planned, story.functions, endMs));
  if (story.controls) actors.push(askAgainAndAgain(world, operators, planned, story.cancels, endMs));
  if (story.breaksLocks) actors.push(breakLocks(world, operators, endMs));
  if (story.rollsBackInStorm)
    actors.push(rollBackAgainAndAgain(world, operators, planned, kernel.nowMs + draw.below(story.stormMs), endMs));
  if (story.finalizesInStorm) actors.push(finalizeAgainAndAgain(world, operators, planned, endMs));
  await Promise.race([kernel.sleep(story.stormMs), Promise.all(actors)]);
}

/** Starts an apply, and another one whenever it died or failed; a few times over. */
async function applyAgainAndAgain(
  world: World,
  operators: Operators,
  planned: Planned,
  index: number,
  endMs: number,
): Promise<void> {
  const draw = world.prng.fork(`operator ${index}`);
  await world.kernel.sleep(draw.below(2000));
  while (world.kernel.nowMs < endMs) {
    const ending = await operators.apply(planned);
    if (ending.kind === 'returned' && draw.chance(0.7)) return;
    await world.kernel.sleep(draw.pick([1, 10, 1000, 30_000]));
  }
}

/** A schedule that submits and calls functions, while people may apply the same plan. */
async function callAgainAndAgain(
  world: World,
  operators: Operators,
  planned: Planned,
  { concurrency, timeoutMs }: NonNullable<Story['functions']>,
  endMs: number,
): Promise<void> {
  const draw = world.prng.fork('schedule');
  const functions = new Functions(world, operators, planned, timeoutMs);
  while (world.kernel.nowMs < endMs) {
    await functions.submit();
    void functions.tick(concurrency); // the next one comes whether or not this one has ended
    await world.kernel.sleep(draw.pick([500, 3000, 10_000]));
  }
}

/** Another terminal: pauses and takes them back, other rates, dead letters tried again; perhaps a cancel at the end. */
async function askAgainAndAgain(
  world: World,
  operators: Operators,
  planned: Planned,
  cancels: boolean,
  endMs: number,
): Promise<void> {
  const draw = world.prng.fork('terminal');
  const cancelAtMs = cancels ? world.kernel.nowMs + draw.below(20_000) : Infinity;
  while (world.kernel.nowMs < endMs) {
    await world.kernel.sleep(draw.pick([100, 1000, 5000]));
    if (world.kernel.nowMs >= cancelAtMs) await operators.request({ kind: 'cancel' });
    switch (draw.pick(['pause', 'resume', 'resume', 'throttle', 'retry'] as const)) {
      case 'pause':
        await operators.request({ kind: 'pause' });
        break;
      case 'resume':
        await operators.request({ kind: 'resume' });
        break;
      case 'throttle': {
        const override = draw.pick([null, { ratePerSecond: 1 }, { ratePerSecond: 100 }, { targetP99Ms: 10 }]);
        await operators.request({ kind: 'throttle', override });
        break;
      }
      case 'retry':
        await operators.retry(planned);
        break;
    }
  }
}

async function breakLocks(world: World, operators: Operators, endMs: number): Promise<void> {
  const draw = world.prng.fork('breaker');
  while (world.kernel.nowMs < endMs) {
    await world.kernel.sleep(draw.between(200, 8000));
    await operators.breakSomeLock();
  }
}

/** Rolls back, and once more whenever it died or failed: often in the middle of what others write. */
async function rollBackAgainAndAgain(
  world: World,
  operators: Operators,
  planned: Planned,
  fromMs: number,
  endMs: number,
): Promise<void> {
  const draw = world.prng.fork('rollback');
  await world.kernel.sleep(Math.max(0, fromMs - world.kernel.nowMs));
  while (world.kernel.nowMs < endMs) {
    if (draw.chance(0.5)) await operators.breakSomeLock();
    const ending = await operators.rollBack(planned.id);
    if (ending.kind === 'returned' && draw.chance(0.5)) return;
    await world.kernel.sleep(draw.pick([1, 1000, 15_000]));
  }
}

/** Finalizes, and once more whenever it died or was refused: often while others still apply. */
async function finalizeAgainAndAgain(
  world: World,
  operators: Operators,
  planned: Planned,
  endMs: number,
): Promise<void> {
  const draw = world.prng.fork('finalizer');
  while (world.kernel.nowMs < endMs) {
    await world.kernel.sleep(draw.pick([100, 1000, 3000]));
    const ending = await operators.finalize(planned.id);
    if (ending.kind === 'returned') return;
  }
}

/** Ends that only mean: somebody else is at it, or something of the storm is not over yet. */
const passing = new Set([
  'lease.held',
  'lease.lost',
  'state.conflict',
  'epoch.lost',
  'store.position-compacted',
  'fence.lost',
  'run.stopped',
  'dead-letters.over-budget',
]);

/** Repeats a command until it ends in a way that repeating will not change. */
async function toTheEnd<T>(world: World, what: string, command: () => Promise<Ending<T>>): Promise<Ending<T> | null> {
  for (let tries = 1; tries <= lastTriesMax; tries += 1) {
    const ending = await command();
    const code = codeOf(ending);
    if (ending.kind === 'returned') return ending;
    if (code !== null && !passing.has(code)) return ending;
    await world.kernel.sleep(5000);
  }
  world.violate({ property: 'stuck', detail: `${what} did not come to its end in ${lastTriesMax} tries` });
  return null;
}

/** @returns the plan that was applied in the end: after a cancel it is another one. */
async function applyToTheEnd(world: World, operators: Operators, first: Planned): Promise<Planned> {
  let planned = first;
  for (let tries = 1; tries <= 8; tries += 1) {
    const ending = await toTheEnd(world, 'apply', () => operators.apply(planned));
    if (ending === null) return planned;
    const code = codeOf(ending);
    if (code === 'run.paused') {
      await operators.request({ kind: 'resume' });
      continue;
    }
    if (code === 'run.cancelled') {
      planned = await newPlan(world, operators);
      continue;
    }
    if (code === 'phase.not-allowed') {
      // A rollback or a finalize was begun in the storm: it comes first.
      if ((await phaseOf(world)) === 'finalizing') await finalizeToTheEnd(world, operators, planned);
      else await rollBackToTheEnd(world, operators, planned);
      continue;
    }
    if (code === 'migration.finalized') {
      world.note('last apply finds it finalized');
      return planned;
    }
    const outcome = ending.kind === 'returned' ? ending.value.outcome : (code ?? ending.kind);
    world.note(`last apply ${outcome}`);
    // An older plan can get in between, from a process that started in the storm and waited for the lock.
    const isRivals = code === 'plan.other-in-progress';
    if (isUndisturbed(world, planned) && outcome !== 'done' && !isRivals) {
      const why = ending.kind === 'returned' ? ending.value.deviations.join('; ') : '';
      world.violate({ property: 'not-done', detail: `the last apply ended in ${outcome} ${why}` });
    }
    return planned;
  }
  world.violate({ property: 'stuck', detail: 'apply and rollback keep each other from their ends' });
  return planned;
}

/** The cause is mended: no letter may be left behind that the target would take now. */
async function retryToTheEnd(world: World, operators: Operators, planned: Planned): Promise<void> {
  const ending = await toTheEnd(world, 'retry', () => operators.retry(planned));
  const left = ending?.kind === 'returned' ? ending.value.tried.deadLetters : 0;
  if (left > 0) world.violate({ property: 'not-done', detail: `the last retry left ${left} dead letters` });
}

/** What was proven can be finalized; what nobody disturbed is proven. */
async function finalizeToTheEnd(world: World, operators: Operators, planned: Planned): Promise<void> {
  const before = await phaseOf(world);
  const ending = await toTheEnd(world, 'finalize', () => operators.finalize(planned.id));
  if (ending === null) return;
  const code = codeOf(ending);
  world.note(`last finalize ${code ?? ending.kind}`);
  const mayFail = before === 'finalizing' ? false : before !== 'verified' || !isUndisturbed(world, planned);
  if (ending.kind !== 'returned' && code !== 'migration.finalized' && !mayFail) {
    world.violate({ property: 'not-done', detail: `the last finalize ended in ${code ?? ending.kind} from ${before}` });
  }
}

async function rollBackToTheEnd(world: World, operators: Operators, planned: Planned): Promise<boolean> {
  const ending = await toTheEnd(world, 'rollback', () => operators.rollBack(planned.id));
  world.note(`last rollback ${ending?.kind ?? 'stuck'}`);
  return ending?.kind === 'returned';
}
