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
import { describeError, MemoryPlan, Stuck, type SimProcess } from '@keyferry/engine/testing';
import { Instances } from './instances.ts';
import { idOf, migration, OnlineWorld, type OnlineWorldOptions } from './online-world.ts';

export interface OnlineSeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly seen: ReadonlyMap<string, number>;
  readonly traceHash: string;
  readonly events: number;
  readonly histories: number;
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
    trace: kernel.lines,
  };
}

export function describeOnlineFailure({ seed, violations }: OnlineSeedResult): string {
  const lines = violations.slice(0, 5).map((violation) => `  ${violation}`);
  return [`seed ${seed} broke something:`, ...lines, `  npm run test:sim -- --seed ${seed} tools/online`].join('\n');
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
]);

const placesMax = 3;
const triesUnderFaults = 6;
const triesInAll = 14;

class Scenario {
  private readonly world: OnlineWorld;
  private archive: MemoryPlan | null = null;

  constructor(world: OnlineWorld) {
    this.world = world;
  }

  async play(): Promise<void> {
    const { world } = this;
    const instances = new Instances(world);
    const places = Array.from({ length: 2 + world.prng.fork('places').below(placesMax - 1) }, (_, i) =>
      instances.keepOne(`app${i}`),
    );
    const end = await this.walk();
    world.calmDown();
    await world.kernel.sleep(300);
    instances.end();
    await Promise.all(places);
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
    const { world } = this;
    const process = world.startProcess(command);
    const ending = await process.run(() => this.do(command, process));
    world.note(`${command} ${ending.kind === 'failed' ? describeError(ending.error) : ending.kind}`);
    if (ending.kind === 'returned') return ending.value;
    if (ending.kind === 'crashed') return false;
    const code = ending.error instanceof KeyferryError ? ending.error.code : null;
    if (code === null || !expectedCodes.has(code)) {
      world.violate(`${process.name} failed: ${describeError(ending.error)} ${String((ending.error as Error).stack)}`);
    }
    // It came to its end behind a lost answer: what a repeat says is that there is nothing left to do.
    if (command === 'finalize') return code === 'migration.finalized';
    if (command !== 'rollback' || !(await this.isBack(code))) return false;
    this.archive = null;
    return true;
  }

  private async isBack(code: Code | null): Promise<boolean> {
    return code === 'phase.not-allowed' && ((await this.world.place().read())?.value.mode ?? 'legacy') === 'legacy';
  }

  private async do(command: Command, process: SimProcess): Promise<boolean> {
    const { world } = this;
    const { spec } = world;
    const engine = world.engineIn(process);
    const registered = (await engine.online?.place.registrations()) ?? [];
    // An operator who looked knows whose process is dead.
    const confirmGone = [...world.dead].filter((name) => registered.some(({ value }) => value.instance === name));
    if (confirmGone.length > 0) world.note('named gone');
    const options = {
      holder: process.name,
      command: process.name,
      lockTimeoutMs: 0,
      holderIsGone: ({ holder }: { readonly holder: string }) => world.processes.get(holder)?.isDead === true,
      signal: process.signal,
      confirmGone,
    };
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
        await finalizeDualRead(engine, spec, { ...options, by: process.name });
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
    const marker = await world.target.control(migration).readDone();
    if ((marker === null) !== back) world.violate('the done marker is not what it should be');
  }
}

async function planned(engine: Engine, spec: OnlineWorld['spec']): Promise<MemoryPlan> {
  const archive = new MemoryPlan();
  await makePlan(engine, spec, archive);
  return archive;
}
