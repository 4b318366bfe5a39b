/**
 * Functions on a schedule that never stops: dispatch, backfill and verify are called again and again, several at once and
 * some twice, whatever the application and its operators do meanwhile.
 *
 *     tick ─► environments ─► one to three events each, warm in between ─► ended, or killed at the deadline of an event
 *                    └─ asleep in the middle of a chunk or of a change of mode, for longer than leases last
 *
 * What an event leaves on the wire may come through when its successors are at work; one that slept goes on where it was.
 */
import { KeyferryError, type Code, type Message } from '@keyferry/core';
import {
  backfillSlice,
  Deadline,
  dispatchSlice,
  SliceHome,
  verifySlice,
  type Engine,
  type SliceEnd,
} from '@keyferry/engine';
import { describeError, type Prng, type SimProcess } from '@keyferry/engine/testing';
import type { OnlineWorld } from './online-world.ts';

export type FunctionName = 'dispatch' | 'backfill' | 'verify';

/** What an invocation may fail with while faults happen. */
const expectedCodes: ReadonlySet<Code> = new Set<Code>([
  'store.timeout',
  'store.unreachable',
  'state.busy',
  'state.conflict',
  'lease.lost',
  'fence.lost',
  'epoch.lost',
  'run.interrupted',
]);

/** Where sleeping does harm, if anything does: with a claim in hand, and between two steps of a change of mode. */
const sleepyAt: ReadonlySet<Message['code']> = new Set(['chunk.claimed', 'mode.announced', 'barrier.held']);
/** Longer than the leases of chunks and of the lock. */
const sleepMs = { from: 23_000, to: 45_000 } as const;
/** Of dispatch: the barrier, what it has to be given up in, and a reserve. */
const dispatchTimeoutsMs = [18_000, 40_000] as const;
const timeoutsMs = [2000, 6000, 20_000] as const;

export class Schedule {
  private readonly world: OnlineWorld;
  private readonly draw: Prng;
  private readonly everyMs: number;
  private readonly concurrency: number;
  private readonly timeoutMs: Readonly<Record<FunctionName, number>>;
  private readonly sleepShare: number;
  private readonly running = new Set<Promise<void>>();
  private sleepsLeft = 3;
  private ticking: Promise<void> | null = null;
  private isOver = false;

  constructor(world: OnlineWorld) {
    this.world = world;
    this.draw = world.prng.fork('schedule');
    this.everyMs = this.draw.pick([500, 1500, 4000]);
    this.concurrency = this.draw.pick([1, 2, 3]);
    this.timeoutMs = {
      dispatch: this.draw.pick(dispatchTimeoutsMs),
      backfill: this.draw.pick(timeoutsMs),
      verify: this.draw.pick(timeoutsMs),
    };
    this.sleepShare = this.draw.pick([0, 0.05, 0.4]);
  }

  start(): void {
    this.ticking = this.tick();
  }

  /** Resolves once nobody sleeps any more, and nobody works. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.ticking;
    while (this.running.size > 0) await Promise.all(this.running);
  }

  private async tick(): Promise<void> {
    const { world, draw } = this;
    while (!this.isOver) {
      const copiers = Array.from({ length: this.concurrency }, () => 'backfill' as const);
      for (const name of ['dispatch', ...copiers, 'verify'] as const) {
        this.begin(name);
        if (!draw.chance(0.1) || !world.faults.happens()) continue;
        world.note('delivered twice');
        this.begin(name);
      }
      await world.kernel.sleep(draw.between(this.everyMs / 2, this.everyMs * 1.5));
    }
  }

  private begin(name: FunctionName): void {
    const environment = this.environment(name);
    this.running.add(environment);
    void environment.finally(() => this.running.delete(environment));
  }

  /** One process, with what it keeps between its events. */
  private async environment(name: FunctionName): Promise<void> {
    const { world } = this;
    const process = world.startProcess(name, false);
    const home = new SliceHome();
    const events = process.random.between(1, 3);
    const ending = await process.run(async () => {
      for (let event = 1; event <= events; event += 1) {
        if (event > 1) await process.clock.sleep(process.random.below(800));
        await this.invoke(name, process, home);
      }
      await home.close();
    });
    if (ending.kind === 'crashed') world.note(`${name} crashed`);
    if (ending.kind === 'failed') world.violate(`${process.name} failed: ${describeError(ending.error)}`);
  }

  private async invoke(name: FunctionName, process: SimProcess, home: SliceHome): Promise<void> {
    const { world } = this;
    const { kernel } = world;
    const timeoutMs = this.timeoutMs[name];
    const event = { isOver: false, asleepUntilMs: 0 };
    const engine = world.engineIn(process, name, ({ code }) => {
      if (!sleepyAt.has(code) || event.isOver || !this.fallsAsleep(process)) return;
      const ms = process.random.between(sleepMs.from, sleepMs.to);
      // What it asks next is answered when it wakes up, with what was true when it fell asleep.
      event.asleepUntilMs = kernel.nowMs + ms;
      process.stall(ms);
    });
    const kill = (): void => {
      if (event.isOver) return;
      // Nobody kills what stands still; it comes to a little of its work before somebody does.
      if (kernel.nowMs < event.asleepUntilMs) {
        kernel.at(event.asleepUntilMs + process.random.between(1, 2000), kill);
        return;
      }
      if (!process.isDead) world.note('killed at its deadline');
      process.crash();
    };
    kernel.at(kernel.nowMs + timeoutMs, kill);
    const deadline = new Deadline(process.clock, timeoutMs);
    try {
      const { outcome } = await this.slice(name, engine, { deadline, holder: process.name, home });
      world.note(`${name} ${outcome}`);
    } catch (error) {
      const code = error instanceof KeyferryError ? error.code : null;
      world.note(`${name} failed`);
      if (code !== null && expectedCodes.has(code)) return;
      world.violate(`${process.name} failed: ${describeError(error)} ${String((error as Error).stack)}`);
    } finally {
      event.isOver = true;
      await deadline.close();
    }
  }

  private fallsAsleep(process: SimProcess): boolean {
    if (this.world.isCalm || this.sleepsLeft === 0 || !process.random.chance(this.sleepShare)) return false;
    this.sleepsLeft -= 1;
    if (!this.world.faults.happens()) return false;
    this.world.note('slept past its leases');
    return true;
  }

  private slice(
    name: FunctionName,
    engine: Engine,
    request: { readonly deadline: Deadline; readonly holder: string; readonly home: SliceHome },
  ): Promise<SliceEnd> {
    const { spec } = this.world;
    const command = request.holder;
    switch (name) {
      case 'dispatch':
        return dispatchSlice(engine, spec, { ...request, command, spansMax: 3 });
      case 'backfill':
        return backfillSlice(engine, spec, { ...request, chunks: null });
      case 'verify':
        return verifySlice(engine, spec, { ...request, command, chunks: null, again: false });
    }
  }
}
