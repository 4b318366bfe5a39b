/**
 * Functions in the simulator: a plan is submitted, and slices work on it, called again and again, several at once, some of
 * them twice. Each is a process of its own with a deadline: it should end before it, and is crashed at it.
 */
import type { Submission } from '@keyferry/core';
import {
  backfillSlice,
  Deadline,
  dispatchSlice,
  SliceHome,
  submitPlan,
  sweepSlice,
  verifySlice,
  type BackfillSlice,
  type DispatchSlice,
  type Engine,
  type SliceRequest,
  type SweepSlice,
  type VerifySlice,
} from '../../src/index.ts';
import { judgeVerifiedNow } from './judge-applied.ts';
import type { Operators } from './operators.ts';
import type { Ending, SimProcess } from './process.ts';
import { calm } from './weather.ts';
import { ofTheAttempt, type Planned, type World } from './world.ts';

export class Functions {
  private readonly world: World;
  private readonly operators: Operators;
  private readonly planned: Planned;
  /** How long a function may take. */
  private readonly timeoutMs: number;

  constructor(world: World, operators: Operators, planned: Planned, timeoutMs: number) {
    this.world = world;
    this.operators = operators;
    this.planned = planned;
    this.timeoutMs = timeoutMs;
  }

  submit(): Promise<Ending<Submission>> {
    const { archive } = this.planned;
    return this.operators.command('submit', '', (engine, process) =>
      submitPlan(engine, archive.reader(), { by: process.name, accept: [], appliedAs: 'shop.kfplan' }),
    );
  }

  dispatch(): Promise<Ending<DispatchSlice>> {
    return this.slice('dispatch', (engine, request, process) =>
      dispatchSlice(engine, this.world.spec, {
        ...request,
        command: process.name,
        spansMax: 3,
      }),
    );
  }

  backfill(): Promise<Ending<BackfillSlice>> {
    return this.slice('backfill', (engine, request) =>
      backfillSlice(engine, this.world.spec, { ...request, chunks: null }),
    );
  }

  async verify(): Promise<Ending<VerifySlice>> {
    const ending = await this.slice('verify', (engine, request, process) =>
      verifySlice(engine, this.world.spec, { ...request, command: process.name, chunks: null, again: false }),
    );
    if (ending.kind === 'returned' && ending.value.phase === 'verified' && ending.value.verdict === 'agree') {
      this.world.note('functions verified');
      judgeVerifiedNow(this.world, this.planned);
    }
    return ending;
  }

  sweep(): Promise<Ending<SweepSlice>> {
    return this.slice('sweep', (engine, request) => sweepSlice(engine, this.world.spec, request));
  }

  /** One tick of a schedule: everything that is on it, at once; now and then something is delivered twice. */
  async tick(concurrency: number): Promise<void> {
    const { world } = this;
    const draw = world.prng.fork(`tick ${world.kernel.nowMs}`);
    const calls = [
      () => this.dispatch(),
      ...Array.from({ length: concurrency }, () => () => this.backfill()),
      () => this.verify(),
      ...(draw.chance(0.3) ? [() => this.verify()] : []),
      ...(draw.chance(0.5) ? [() => this.sweep()] : []),
    ];
    const all = calls.flatMap((call) => (draw.chance(0.1) ? [call, call] : [call]));
    await Promise.all(all.map((call) => call()));
  }

  private async slice<T extends { readonly outcome: string }>(
    name: string,
    work: (engine: Engine, request: SliceRequest, process: SimProcess) => Promise<T>,
  ): Promise<Ending<T>> {
    const { world, timeoutMs } = this;
    const ending = await this.operators.command(name, ofTheAttempt, async (engine, process) => {
      world.kernel.at(world.kernel.nowMs + timeoutMs, () => {
        if (!process.isDead) world.note('slice killed at its deadline');
        process.crash();
      });
      const home = new SliceHome();
      const deadline = new Deadline(process.clock, timeoutMs);
      try {
        return await work(engine, { deadline, holder: process.name, home }, process);
      } finally {
        await deadline.close();
        await home.close();
      }
    });
    if (ending.kind === 'returned') world.note(`${name} ${ending.value.outcome}`);
    return ending;
  }
}

const ticksMax = 60;

/** Ticks, in good weather, until functions have nothing left to do; whoever paused them lets them go on. */
export async function functionsToTheEnd(world: World, operators: Operators, functions: Functions): Promise<void> {
  world.weather.change(calm);
  for (let ticks = 1; ticks <= ticksMax; ticks += 1) {
    await functions.submit();
    await functions.tick(2);
    const swept = await functions.sweep();
    if (swept.kind !== 'returned') continue;
    const { outcome, next, why } = swept.value;
    world.note(`functions ${outcome}`);
    if (why?.startsWith('paused') === true) await operators.request({ kind: 'resume' });
    // Stopped for good, or nothing that functions may do: the people's commands come to the end of it.
    else if (outcome === 'stopped' || outcome === 'idle' || next === null) return;
    await world.kernel.sleep(25_000);
  }
  world.note('functions did not end');
}
