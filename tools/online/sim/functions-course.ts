/**
 * Operators of a migration that functions do: they submit a plan and look at it from time to time, as `status` shows it.
 * What a barrier paused they resume, a dead instance that is waited for they name gone; now and then they help from a
 * machine, or change their mind.
 */
import { standingOf, type MigrationState } from '@keyferry/core';
import {
  applyDualRead,
  confirmGone,
  cutOverDualRead,
  followFunctions,
  makePlan,
  requestControl,
  submitPlan,
  type Engine,
  type OnlineOptions,
  type RunOptions,
} from '@keyferry/engine';
import { MemoryPlan, type Ending, type Prng } from '@keyferry/engine/testing';
import type { OnlineWorld } from './online-world.ts';

/** After so long it goes on in calm weather; after so long again it never ends. */
const stormMs = 90_000;
const patienceMs = 300_000;

export type CommandOptions = RunOptions & OnlineOptions;
/** Runs a command of an operator; what it fails with is judged there. */
export type RunCommand = <T>(
  name: string,
  work: (engine: Engine, options: CommandOptions) => Promise<T>,
) => Promise<Ending<T>>;

export class FunctionsCourse {
  private readonly world: OnlineWorld;
  private readonly command: RunCommand;
  private archive: MemoryPlan | null = null;

  constructor(world: OnlineWorld, command: RunCommand) {
    this.world = world;
    this.command = command;
  }

  /** What was submitted is over, by a rollback. */
  forget(): void {
    this.archive = null;
  }

  /**
   * Until functions have led applications to settled.
   * @param mindMs when somebody changes their mind; null: nobody does. @returns whether functions came to their end
   */
  async lead(draw: Prng, mindMs: number | null): Promise<boolean> {
    const { world } = this;
    const { kernel } = world;
    const startedAtMs = kernel.nowMs;
    const helps = draw.chance(0.2);
    for (let looks = 1; ; looks += 1) {
      if (await this.isSettled()) break;
      const elapsedMs = kernel.nowMs - startedAtMs;
      if (mindMs !== null && elapsedMs > mindMs && (await this.state()) !== null) return false;
      if (elapsedMs > stormMs) world.calmDown();
      if (elapsedMs > patienceMs) {
        world.violate('functions never came to their end');
        return true;
      }
      await this.look(draw, helps && looks === 2);
      await kernel.sleep(draw.between(500, 4000));
    }
    world.note('functions settled');
    await this.follow();
    return true;
  }

  private async look(draw: Prng, helps: boolean): Promise<void> {
    const { world } = this;
    const submission = await world.item('submission', world.spec.migration, 'current');
    const plan = this.archive?.reader().plan.plan ?? null;
    const answer = submission?.plan === plan ? submission.answer : null;
    // A submission of before, that came late, may have been taken up in the meantime: then that one is watched.
    if (answer?.kind === 'refused' && answer.code !== 'plan.other-in-progress') this.archive = null;
    if (this.archive === null || submission?.plan !== plan) return await this.submit();
    const state = await this.state();
    if (state === null) return;
    const scope = `${state.migration}/${String(state.attempt).padStart(10, '0')}`;
    const control = await world.item('run-control', scope, 'control');
    if (control !== null && standingOf(control) === 'paused') {
      world.note('paused by a barrier');
      // Resumed before that, the next tick would hold writes once more, for nothing.
      const named = await this.command('name', (engine, { confirmGone: gone }) => this.nameGone(engine, gone));
      if (named.kind !== 'returned') return;
      await this.command('resume', (engine) => requestControl(engine, state.migration, { kind: 'resume' }, 'ops'));
      return;
    }
    if (helps) await this.help(this.archive);
    else if ((await world.mode()) === 'settled' && world.dead.size > 0 && draw.chance(0.5)) {
      await this.command('cutover', (engine, options) => cutOverDualRead(engine, world.spec, options));
    }
  }

  private async submit(): Promise<void> {
    const { world } = this;
    await this.command('submit', async (engine, { holder }) => {
      const archive = this.archive ?? new MemoryPlan();
      if (this.archive === null) await makePlan(engine, world.spec, archive);
      this.archive = archive;
      await submitPlan(engine, archive.reader(), { by: holder, accept: [], appliedAs: 'shop.kfplan' });
    });
  }

  /** `apply` of the same plan from a machine: it joins. */
  private async help(archive: MemoryPlan): Promise<void> {
    const { world } = this;
    world.note('helped from a machine');
    await this.command('apply', (engine, options) =>
      applyDualRead(engine, world.spec, archive.reader(), {
        ...options,
        accept: [],
        appliedAs: 'shop.kfplan',
        chunksMax: null,
      }),
    );
  }

  private async nameGone(engine: Engine, gone: readonly string[]): Promise<void> {
    const { place } = engine.online ?? {};
    if (place !== undefined) await confirmGone(engine, place, place.where, gone);
  }

  /** Who follows learns that it is proven, and of no deviation. */
  private async follow(): Promise<void> {
    const { world, archive } = this;
    if (archive === null) return;
    const ending = await this.command('follow', (engine, { signal }) =>
      followFunctions(engine, archive.reader().plan, { signal, deadLettersMax: 1000 }),
    );
    if (ending.kind !== 'returned') return;
    const { outcome, deviations } = ending.value;
    if (outcome !== 'done') world.violate(`functions ended in ${outcome}: ${deviations.join('; ')}`);
  }

  /** Settled, and the epoch raised behind its barrier. */
  private async isSettled(): Promise<boolean> {
    const state = await this.state();
    return state?.phase === 'verified' && state.epochToken > 1 && (await this.world.mode()) === 'settled';
  }

  private state(): Promise<MigrationState | null> {
    return this.world.item('migration', 'migrations', this.world.spec.migration);
  }
}
