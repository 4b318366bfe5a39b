/**
 * The people and schedules that run keyferry: they plan, apply, apply again after a crash or an error, break locks,
 * roll back. Each command is a process of its own; what it ends with is judged here.
 */
import { keyFromJson, KeyferryError, type Key, type LockState, type Code } from '@keyferry/core';
import {
  applyOffline,
  breakLock,
  finalize,
  listLocks,
  makePlan,
  requestControl,
  retryDeadLetters,
  rollBack,
  type ApplyResult,
  type FinalizeResult,
  type ControlChange,
  type ControlRequest,
  type RetryResult,
  type RollbackResult,
} from '../../src/index.ts';
import { judgeApplied, judgeRetried } from './judge-applied.ts';
import { MemoryPlan } from './memory-plan.ts';
import { describeError, type Ending, type SimProcess } from './process.ts';
import type { PlannedGuards } from './target-witness.ts';
import type { Planned, World } from './world.ts';

/** How a command may end while faults happen: by codes that tell its user what to do, and by no others. */
const expectedCodes: ReadonlySet<Code> = new Set<Code>([
  'lease.held',
  'lease.lost',
  'state.conflict',
  'epoch.lost',
  'state.busy',
  'run.interrupted',
  'store.timeout',
  'store.unreachable',
  'store.position-compacted',
  'fence.lost',
  'plan.stale',
  'plan.other-in-progress',
  'phase.not-allowed',
  'lock.not-found',
  'migration.finalized',
  'plan.not-applyable', // a start that lost its lock meets the marker of the run that took it
  'finalize.not-proven',
  'run.stopped',
  'run.paused',
  'run.cancelled',
  'dead-letters.over-budget',
  'slices.not-fit',
]);

export class Operators {
  private readonly world: World;
  private started = 0;

  constructor(world: World) {
    this.world = world;
  }

  async plan(): Promise<Planned> {
    const { world } = this;
    const archive = new MemoryPlan();
    const creationsBefore = world.witness.creations.length;
    const changesBefore = world.witness.guardedChanges.length;
    const removalsBefore = world.witness.removals;
    const ending = await this.command('plan', '', (engine) => makePlan(engine, world.spec, archive));
    if (ending.kind !== 'returned') throw new Error(`a plan without faults ended in ${ending.kind}`);
    const { plan, source, target } = ending.value;
    const sourceThen = world.snapshots.source.get(source.position);
    const targetThen = world.snapshots.target.get(target.position);
    if (sourceThen === undefined || targetThen === undefined) throw new Error('a plan at a position nobody saw');
    const guards = await guardsOf(archive);
    world.witness.planned(plan, guards);
    return {
      archive,
      guards,
      id: plan,
      source: sourceThen,
      target: targetThen,
      creationsBefore,
      changesBefore,
      removalsBefore,
    };
  }

  async apply(planned: Planned): Promise<Ending<ApplyResult>> {
    const { world } = this;
    const { creations, guardedChanges } = world.witness;
    const [putsBefore, changesBefore] = [creations.length, guardedChanges.length];
    let name = '';
    const ending = await this.command('apply', planned.id, (engine, process) => {
      name = process.name;
      const options = { ...this.runOptions(process), accept: [], appliedAs: 'shop.kfplan', chunksMax: null };
      return applyOffline(engine, world.spec, planned.archive.reader(), options);
    });
    if (ending.kind === 'returned') {
      world.note(`apply ${ending.value.outcome}`);
      if (ending.value.resumed) world.note('apply resumed');
      const { overwritten, changed, deleted, deletesChanged } = ending.value.counts;
      if (overwritten > 0) world.note('apply overwrote');
      if (deleted > 0) world.note('apply deleted');
      if (changed + deletesChanged > 0) world.note('apply met a change');
      await judgeApplied(world, planned, ending.value);
    }
    const code = codeOf(ending);
    const writes = [...creations.slice(putsBefore), ...guardedChanges.slice(changesBefore)];
    const wrote = writes.some(({ by }) => by === name);
    if (code === 'plan.stale' && wrote) world.violate({ property: 'wrote-when-stale', detail: name });
    if (code === 'run.paused' && wrote) world.violate({ property: 'wrote-when-stopped', detail: name });
    return ending;
  }

  /** On a target that takes what apply's refused: the cause has been mended. */
  async retry(planned: Planned): Promise<Ending<RetryResult>> {
    const ending = await this.command('retry', '', (engine, process) =>
      retryDeadLetters(engine, this.world.spec, this.runOptions(process)),
    );
    if (ending.kind === 'returned') {
      this.world.note(`retry ${ending.value.outcome}`);
      if (ending.value.tried.written > 0) this.world.note('letter written');
      judgeRetried(this.world, planned, ending.value);
    }
    return ending;
  }

  async request(request: ControlRequest): Promise<Ending<ControlChange>> {
    const { migration } = this.world.spec;
    return await this.command(request.kind, '', (engine, process) =>
      requestControl(engine, migration, request, process.name),
    );
  }

  async rollBack(plan: string): Promise<Ending<RollbackResult>> {
    const { world } = this;
    const ending = await this.command('rollback', plan, (engine, process) =>
      rollBack(engine, world.spec, this.runOptions(process)),
    );
    if (ending.kind === 'returned') {
      const { restored, notRestored } = ending.value.counts;
      if (restored > 0) world.note('rollback restored');
      if (notRestored > 0) world.note('rollback left a change');
    }
    return ending;
  }

  async finalize(plan: string): Promise<Ending<FinalizeResult>> {
    const ending = await this.command('finalize', plan, (engine, process) =>
      finalize(engine, this.world.spec, { ...this.runOptions(process), by: process.name }),
    );
    if (ending.kind === 'returned') this.world.note(ending.value.resumed ? 'finalize resumed' : 'finalized');
    return ending;
  }

  async breakSomeLock(): Promise<void> {
    await this.command('locks-break', '', async (engine) => {
      const [first] = await listLocks(engine);
      if (first === undefined) return;
      await breakLock(engine, first.item.lock);
      this.world.note('lock broken');
    });
  }

  runOptions(process: SimProcess) {
    const { world } = this;
    // On one machine a dead holder's lock need not be waited for; across machines nobody can tell.
    const sameMachine = world.prng.fork(`machine of ${process.name}`).chance(0.5);
    return {
      holder: process.name,
      command: process.name,
      lockTimeoutMs: process.random.pick([0, 0, 10_000]),
      holderIsGone: (lock: LockState) => sameMachine && world.processes.get(lock.holder)?.isDead === true,
      signal: process.signal,
    };
  }

  /** A process of its own, whose ending is judged. */
  async command<T>(
    what: string,
    plan: string,
    work: (engine: ReturnType<World['engineFor']>, process: SimProcess) => Promise<T>,
  ): Promise<Ending<T>> {
    const { world } = this;
    this.started += 1;
    const process = world.startProcess(`${what}-${this.started}`);
    const ending = await process.run(() => work(world.engineFor(process, plan), process));
    world.note(`${what} ${ending.kind === 'failed' ? describeError(ending.error) : ending.kind}`);
    if (ending.kind !== 'crashed') this.judgeEnding(process.name, ending);
    return ending;
  }

  private judgeEnding<T>(name: string, ending: Ending<T>): void {
    const { world } = this;
    const code = codeOf(ending);
    if (ending.kind === 'failed' && (code === null || !expectedCodes.has(code))) {
      world.violate({ property: 'unexpected-error', detail: `${name}: ${describeError(ending.error)}` });
    }
    const left = world.viewsLeft.get(name) ?? 0;
    if (left !== 0) world.violate({ property: 'leak', detail: `${name} left ${left} views open` });
  }
}

async function guardsOf(archive: MemoryPlan): Promise<PlannedGuards> {
  const guards = new Map<Key, { action: 'overwrite' | 'delete'; version: string }>();
  for await (const rows of archive.reader().readChanges()) {
    for (const { action, targetKey, target } of rows) {
      if ((action !== 'overwrite' && action !== 'delete') || target === null) continue;
      guards.set(keyFromJson(targetKey), { action, version: target.version });
    }
  }
  return guards;
}

export function codeOf(ending: Ending<unknown>): Code | null {
  return ending.kind === 'failed' && ending.error instanceof KeyferryError ? ending.error.code : null;
}
