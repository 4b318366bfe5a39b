/**
 * One seed of an online migration: the application at work, a controller that walks it to the target, or part of the way
 * and back and again, dying where the weather has it; and what everybody was told and the stores hold, judged.
 */
import { keyFromText, KeyferryError, prefixRange, type Code } from '@keyferry/core';
import {
  applyDualRead,
  cutOverDualRead,
  finalizeDualRead,
  makePlan,
  rollBackDualRead,
  type Engine,
} from '@keyferry/engine';
import { describeError, MemoryPlan, Stuck, type Ending } from '@keyferry/engine/testing';
import { FunctionsCourse, type CommandOptions } from './functions-course.ts';
import { Instances } from './instances.ts';
import { idOf, OnlineWorld, type OnlineWorldOptions } from './online-world.ts';
import { Schedule } from './schedule.ts';

export interface OnlineSeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly seen: ReadonlyMap<string, number>;
  readonly traceHash: string;
  readonly events: number;
  readonly histories: number;
  /** Faults that were drawn. */
  readonly faults: number;
  readonly trace: readonly string[];
}

export async function runOnlineSeed(options: OnlineWorldOptions): Promise<OnlineSeedResult> {
  const world = new OnlineWorld(options);
  const { kernel } = world;
  try {
    await kernel.run(() => new Scenario(world).play());
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
    world.violate(`stuck: ${error.message}`);
  }
  return {
    seed: options.seed,
    violations: [...world.violations, ...world.tally.violations],
    seen: world.seen,
    traceHash: kernel.traceHash(),
    events: kernel.eventCount,
    histories: world.keys.length,
    faults: world.faults.count,
    trace: kernel.lines,
  };
}

/** With the command that runs it again, and brings it down to the faults that it needs. */
export function describeOnlineFailure(
  { seed, violations }: OnlineSeedResult,
  { work = 'keys', by = 'machine' }: Pick<OnlineWorldOptions, 'work' | 'by'> = {},
): string {
  const lines = violations.slice(0, 5).map((violation) => `  ${violation}`);
  const replay = `npm run sim:online -- --seed ${seed} --work ${work} --by ${by} --shrink`;
  return [`seed ${seed} broke something:`, ...lines, `  ${replay}`].join('\n');
}

type Command = 'apply' | 'cutover' | 'finalize' | 'rollback';

/** How a command may end while faults happen. */
const expectedCodes: ReadonlySet<Code> = new Set<Code>([
  'barrier.timed-out',
  'lease.held',
  'lease.lost',
  'state.conflict',
  'state.busy',
  'epoch.lost',
  'fence.lost',
  'store.timeout',
  'store.unreachable',
  'run.interrupted',
  'phase.not-allowed',
  'plan.other-in-progress',
  'instance.unknown',
  // What a controller that died had sent took effect after all.
  'switch.moved',
  'migration.finalized',
  // Who follows functions is told of another attempt, of a pause, or of what a refusal said.
  'run.stopped',
  'run.paused',
  'functions.refused',
]);

const placesMax = 3;
const triesUnderFaults = 6;
const triesInAll = 14;

class Scenario {
  private readonly world: OnlineWorld;
  private readonly functions: FunctionsCourse;
  private archive: MemoryPlan | null = null;

  constructor(world: OnlineWorld) {
    this.world = world;
    this.functions = new FunctionsCourse(world, (name, work) => this.command(name, work));
  }

  async play(): Promise<void> {
    const { world } = this;
    const instances = new Instances(world);
    const places = Array.from({ length: 2 + world.prng.fork('places').below(placesMax - 1) }, (_, i) =>
      instances.keepOne(`app${i}`),
    );
    const schedule = world.by === 'functions' ? new Schedule(world) : null;
    schedule?.start();
    const end = schedule === null ? await this.walk() : await this.walkByFunctions();
    world.calmDown();
    await world.kernel.sleep(300);
    instances.end();
    await Promise.all(places);
    await schedule?.end();
    await world.kernel.sleep(6 * world.requestLifeMs);
    await this.judge(end, instances);
  }

  /** @returns the last command that came to its end */
  private async walk(): Promise<Command> {
    const { world } = this;
    const prng = world.prng.fork('walk');
    for (let round = 1; ; round += 1) {
      await world.kernel.sleep(prng.below(500));
      for (const command of ['apply', 'cutover', 'finalize'] as const) {
        await this.bring(command);
        await world.kernel.sleep(prng.below(600));
        if (command === 'finalize' || round === 3 || !prng.chance(0.35)) continue;
        await this.bring('rollback');
        if (prng.chance(0.5)) return 'rollback';
        break;
      }
      if (this.archive !== null) return 'finalize';
    }
  }

  private async walkByFunctions(): Promise<Command> {
    const { world, functions } = this;
    for (let round = 1; ; round += 1) {
      const prng = world.prng.fork(`round ${round}`);
      await world.kernel.sleep(prng.below(500));
      const isLast = round === 3;
      const mindMs = !isLast && prng.chance(0.3) ? prng.between(1000, 30_000) : null;
      const isLed = await functions.lead(prng, mindMs);
      await world.kernel.sleep(prng.below(600));
      if (isLed && (isLast || prng.chance(0.65))) {
        await this.bring('finalize');
        return 'finalize';
      }
      await this.bring('rollback');
      functions.forget();
      if (prng.chance(0.5)) return 'rollback';
    }
  }

  /** Runs a command until it has come to its end; what dies is followed by another one. */
  private async bring(command: Command): Promise<void> {
    const { world } = this;
    for (let tries = 1; tries <= triesInAll; tries += 1) {
      if (tries === triesUnderFaults) world.calmDown();
      if (await this.run(command)) return;
      await world.kernel.sleep(world.prng.fork(`${command} ${tries} ${world.kernel.nowMs}`).below(300));
    }
    world.violate(`${command} never came to its end`);
    throw new Stuck(`${command} never came to its end`);
  }

  private async run(command: Command): Promise<boolean> {
    const ending = await this.command(command, (engine, options) => this.do(command, engine, options));
    if (ending.kind === 'returned') return ending.value;
    if (ending.kind === 'crashed') return false;
    const code = ending.error instanceof KeyferryError ? ending.error.code : null;
    // It came to its end behind a lost answer: what a repeat says is that there is nothing left to do.
    if (command === 'finalize') return code === 'migration.finalized';
    if (command !== 'rollback' || !(await this.isBack(code))) return false;
    this.archive = null;
    return true;
  }

  private async isBack(code: Code | null): Promise<boolean> {
    return code === 'phase.not-allowed' && (await this.world.mode()) === 'legacy';
  }

  /** One process of an operator's, who knows whose processes are dead. */
  private async command<T>(
    name: string,
    work: (engine: Engine, options: CommandOptions) => Promise<T>,
  ): Promise<Ending<T>> {
    const { world } = this;
    const process = world.startProcess(name);
    const ending = await process.run(async () => {
      const engine = world.engineIn(process);
      const registered = (await engine.online?.place.registrations()) ?? [];
      const confirmGone = [...world.dead].filter((dead) => registered.some(({ value }) => value.instance === dead));
      if (confirmGone.length > 0) world.note('named gone');
      const options = {
        holder: process.name,
        command: process.name,
        // Nobody knows of a function whether it lives: its lock is waited for.
        lockTimeoutMs: world.by === 'machine' ? 0 : 30_000,
        holderIsGone: ({ holder }: { readonly holder: string }) => world.processes.get(holder)?.isDead === true,
        signal: process.signal,
        confirmGone,
      };
      return await work(engine, options);
    });
    world.note(`${name} ${ending.kind === 'failed' ? describeError(ending.error) : ending.kind}`);
    const code = ending.kind === 'failed' && ending.error instanceof KeyferryError ? ending.error.code : null;
    if (ending.kind === 'failed' && (code === null || !expectedCodes.has(code))) {
      world.violate(`${process.name} failed: ${describeError(ending.error)} ${String((ending.error as Error).stack)}`);
    }
    return ending;
  }

  private async do(command: Command, engine: Engine, options: CommandOptions): Promise<boolean> {
    const { world } = this;
    const { spec } = world;
    switch (command) {
      case 'apply': {
        const archive = this.archive ?? (await planned(engine, spec));
        this.archive = archive;
        const apply = { ...options, accept: [], appliedAs: 'shop.kfplan', chunksMax: null };
        const { outcome } = await applyDualRead(engine, spec, archive.reader(), apply);
        return outcome === 'done';
      }
      case 'cutover':
        await cutOverDualRead(engine, spec, options);
        return true;
      case 'finalize':
        await finalizeDualRead(engine, spec, { ...options, by: options.holder });
        return true;
      case 'rollback':
        world.rollbacks += 1;
        await rollBackDualRead(engine, spec, options);
        this.archive = null;
        return true;
    }
  }

  private async judge(end: Command, { queue }: Instances): Promise<void> {
    const { world } = this;
    const back = end === 'rollback';
    const inCharge = (back ? world.source : world.target).snapshot();
    for (const key of world.keys) world.tally.ends(key, idOf(inCharge.get(keyFromText(key))?.value));
    queue.judge(new Map([...inCharge].map(([key, { value }]) => [key, idOf(value)])));
    const left: string[] = [];
    for await (const page of world.onlineTarget().list(prefixRange(keyFromText('app/'))))
      for (const { key, record } of page) if (back || record === null) left.push(key);
    if (left.length > 0) world.violate(`the target still holds, of keyferry's or of applications', ${left.join(', ')}`);
    const marker = await world.target.control(world.spec.migration).readDone();
    if ((marker === null) !== back) world.violate('the done marker is not what it should be');
  }
}

async function planned(engine: Engine, spec: OnlineWorld['spec']): Promise<MemoryPlan> {
  const archive = new MemoryPlan();
  await makePlan(engine, spec, archive);
  return archive;
}
