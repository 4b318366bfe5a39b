/**
 * The way back, step by step, as core's table says for the phase at hand. Each step may be repeated; what 3.x accepted is in
 * 2.x before 2.x takes a write (SPEC R92).
 */
import {
  invariant,
  isKeyferryError,
  KeyferryError,
  parallelStep,
  registryNamedMax,
  type ArchiveReceipt,
  type BackStep,
  type BalancerOrigin,
  type ParallelSettings,
  type RegistryChanges,
  type RegistryDifference,
  type StopSignal,
} from '@keyferry/core';
import { assertNotStopped } from '../../migration.ts';
import { calling, leadTo, onEach, type PhaseContext } from './check.ts';
import type { ParallelCourse } from './course.ts';
import { originName } from './phases.ts';
import type { ParallelEngine } from './ports.ts';
import { files } from './workspace-files.ts';

/** Named at rollback, it lets writes of 3.x be lost that 2.x cannot take, or that 3.x cannot tell any more. */
export const writesLost = 'registry.writes-lost';

export interface WalkBack {
  readonly engine: ParallelEngine;
  readonly settings: ParallelSettings;
  readonly course: ParallelCourse;
  readonly signal: StopSignal;
  readonly accept: readonly string[];
}

/** To the end. @throws {KeyferryError} `parallel.check-failed`, `parallel.writes-stranded`, `parallel.target-silent` */
export async function walkBack(back: WalkBack): Promise<void> {
  const { engine, course, settings, signal } = back;
  for (;;) {
    const step = parallelStep(course.state, []);
    if (step.kind === 'ended') return;
    invariant(step.kind === 'back', 'a way back is walked that was never turned to');
    assertNotStopped(settings.migration, signal);
    engine.host.emit({ code: 'back.step', data: { step: step.step } });
    await course.take({ kind: 'back-begin', step: step.step, atMs: engine.clock.nowMs() });
    try {
      await backActs[step.step](back);
    } catch (error) {
      if (error instanceof KeyferryError && !signal.aborted) {
        await course.take({ kind: 'fail', code: error.code, message: error.message, atMs: engine.clock.nowMs() });
      }
      throw error;
    }
    await course.take({ kind: 'back-done', step: step.step, atMs: engine.clock.nowMs() });
  }
}

const backActs: Readonly<Record<BackStep, (back: WalkBack) => Promise<void>>> = {
  'refuse-writes': async (back) => {
    await back.course.keep(back.course.state.phase, 'back-refused', await leadTo(contextOf(back), 'v3-ro'));
  },
  collect: async (back) => {
    const changes = await collectChanges(back, files.collected, 'writes are refused, and reads go on from 3.x');
    await back.engine.parallel.workspace.writeJson(files.changes, changes);
    const { changes: all, notFitting, archive } = changes ?? { changes: [], notFitting: [], archive: null };
    await back.course.keep(back.course.state.phase, 'back-collected', {
      known: changes !== null,
      changes: all.length,
      notFitting: notFitting.slice(0, registryNamedMax),
      notFittingTotal: notFitting.length,
      archive,
    });
  },
  replay: replayChanges,
  'lead-back': async (back) => {
    await back.course.keep(back.course.state.phase, 'back-led', await leadTo(contextOf(back), 'v2-rw'));
  },
  restore: async (back) => {
    const { course, signal } = back;
    const context = contextOf(back);
    const restored = await onEach(context, 'restore', async (balancer) => {
      const origin = await course.evidence<BalancerOrigin>('prepare', originName(balancer.name));
      return origin === null ? null : await balancer.restore(origin, signal);
    });
    await course.keep(course.state.phase, 'back-restored', restored);
  },
};

async function replayChanges(back: WalkBack): Promise<void> {
  const { engine, course, signal, accept } = back;
  const { workspace, source } = engine.parallel;
  const collected = await course.needed<{ readonly known: boolean }>(course.state.phase, 'back-collected');
  // Taken anew where another machine has it: writes are refused, so it is the same.
  const found = (await workspace.readJson(files.changes)) as RegistryChanges | null;
  const isUsable = found !== null && (await workspace.sha256(files.collected)) === found.archive.sha256;
  const changes = isUsable
    ? found
    : collected.known
      ? await collectChanges(back, files.collected, 'writes are refused, and reads go on from 3.x')
      : null;
  if (changes === null) return;
  const receipt = await calling(contextOf(back), 'replay', () => source.replay(changes, workspace.path(''), signal));
  await course.keep(course.state.phase, 'back-replayed', receipt);
  if (receipt.refusedTotal > 0 && !accept.includes(writesLost)) {
    stranded(back, receipt.refused, receipt.refusedTotal, 'writes are refused until that is decided');
  }
}

/**
 * What 3.x accepted since the switch. null: nobody knows, and that was accepted.
 * @param changed for the error: what was changed so far
 */
async function collectChanges(back: WalkBack, into: string, changed: string): Promise<RegistryChanges | null> {
  const { engine, course, accept, signal } = back;
  const { target, workspace } = engine.parallel;
  const { migration } = course.state;
  const isAccepted = accept.includes(writesLost);
  try {
    const snapshot = await course.needed<ArchiveReceipt>('compare', 'snapshot');
    if ((await workspace.sha256(files.snapshot)) !== snapshot.sha256) {
      const detail = `the export of 3.x from before the switch is not on this machine (${files.snapshot})`;
      throw new KeyferryError('parallel.target-silent', { migration, detail, changed });
    }
    const file = workspace.path(into);
    const read = () => target.changesSince(workspace.path(files.snapshot), file, signal);
    const changes = await calling(contextOf(back), 'collect the writes of 3.x', read);
    const { notFitting } = changes;
    if (notFitting.length > 0 && !isAccepted) stranded(back, notFitting, notFitting.length, changed);
    return changes;
  } catch (error) {
    if (!(error instanceof KeyferryError) || isKeyferryError(error, 'parallel.writes-stranded')) throw error;
    if (signal.aborted) throw error;
    if (isAccepted) return null;
    if (isKeyferryError(error, 'parallel.target-silent')) throw error;
    const detail = error.message;
    throw new KeyferryError('parallel.target-silent', { migration, detail, changed }, { cause: error });
  }
}

/** Asked while 3.x still takes writes, so that nobody is stopped by something that could be known before. */
export async function assertMayTurnBack(back: WalkBack): Promise<void> {
  await collectChanges(back, 'preview-3.zip', 'nothing was changed');
}

function stranded(
  { course: { state } }: WalkBack,
  lost: readonly RegistryDifference[],
  count: number,
  changed: string,
): never {
  const names = lost.slice(0, 20).map(({ kind, name, what }) => `${kind} ${name} ${what}`);
  throw new KeyferryError('parallel.writes-stranded', { migration: state.migration, count, names, changed });
}

function contextOf({ engine, settings, course, signal }: WalkBack): PhaseContext {
  return { engine, settings, course, phase: course.state.phase, signal };
}
