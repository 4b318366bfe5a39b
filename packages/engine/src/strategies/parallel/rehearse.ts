/**
 * The whole migration on throw-away servers: filled with a copy of an export, led over, written to, and led back.
 *
 *     fill 2.x ─► plan ─► apply, phase by phase ─► one write through each balancer ─► rollback ─► are the writes in 2.x?
 *                            └ a failure: its phase, why, and the way back that it took by itself
 *
 * These are the very functions that move the real one, with no phase left out. Who is rehearsed on, the caller decides: this file
 * would do the same to a production registry, so the ports that it gets must be of servers that nobody misses.
 */
import {
  didPass,
  isKeyferryError,
  KeyferryError,
  type ArchiveReceipt,
  type CarriedReceipt,
  type DeltaReceipt,
  type Finding,
  type FrontWrite,
  type ImportReceipt,
  type ParallelPlan,
  type ParallelSettings,
  type ParallelState,
  type RegistryComparison,
  type Rehearsal,
  type RehearsedLosses,
  type RehearsedWayBack,
  type StopSignal,
} from '@keyferry/core';
import { withRetry } from '../../retry.ts';
import type { RunOptions } from '../../session.ts';
import { applyParallel } from './apply.ts';
import { rollBackParallel } from './ends.ts';
import { planParallel } from './plan.ts';
import type { ParallelEngine } from './ports.ts';
import { readParallelStatus, type ParallelStatus } from './status.ts';

export interface RehearsalOptions extends RunOptions {
  /** What 2.x is filled with. */
  readonly archive: ArchiveReceipt;
  /** Into the throw-away 2.x, which has to be empty. @returns what it did not take, each a fact for people */
  readonly fill: (file: string, signal: StopSignal) => Promise<readonly string[]>;
  /** Of the migration's own load balancers. */
  readonly findings: readonly Finding[];
  readonly accept: readonly string[];
  readonly by: string;
  readonly notRehearsed: readonly string[];
}

/**
 * What fails in a phase is a finding of the rehearsal and no error.
 * @throws {KeyferryError} `registry.not-empty`, `registry.import-refused`; `plan.not-applyable`, `plan.unaccepted`; `store.…`
 */
export async function rehearseParallel(
  engine: ParallelEngine,
  settings: ParallelSettings,
  options: RehearsalOptions,
): Promise<Rehearsal> {
  const { clock } = engine;
  const startedAtMs = clock.nowMs();
  const notFilled = await options.fill(options.archive.file, options.signal);
  const plan = await planParallel(engine, settings, { archive: null, signal: options.signal });
  const failure = await applyWhole(engine, settings, plan, options);
  const there = await readParallelStatus(engine, settings, []);
  const wayBack = failure === null ? await goBack(engine, settings, options) : undoneBy(there);
  const losses = lossesOf(there);
  const findings = [...plan.findings, ...options.findings];
  const { file, bytes, sha256, counts } = options.archive;
  return {
    migration: settings.migration,
    atMs: startedAtMs,
    tookMs: clock.nowMs() - startedAtMs,
    archive: { file, bytes, sha256, counts },
    source: plan.source,
    target: { where: plan.target.where, system: plan.target.system },
    findings,
    phases: (there.state?.passed ?? []).map(({ phase, beganAtMs, atMs }) => ({ phase, tookMs: atMs - beganAtMs })),
    freeze: freezeOf(there, plan),
    besides: carriedOf(there),
    losses,
    wayBack,
    failure,
    notRehearsed: [...notFilled, ...options.notRehearsed],
    passed: didPass({ findings, failure, losses, wayBack }),
  };
}

/** @returns what a phase failed with; null: all of them were passed */
async function applyWhole(
  engine: ParallelEngine,
  settings: ParallelSettings,
  plan: ParallelPlan,
  options: RehearsalOptions,
): Promise<Rehearsal['failure']> {
  const { migration } = settings;
  try {
    const whole = { ...options, appliedAs: migration, confirm: [], follow: true };
    const { soak, state } = await applyParallel(engine, settings, plan, whole);
    if (soak?.kind !== 'breached') return null;
    return { phase: 'soak', code: 'soak.breached', message: state.soak.breaches[0]?.what ?? 'a limit was passed' };
  } catch (error) {
    if (!(error instanceof KeyferryError) || options.signal.aborted) throw error;
    const { state } = await readParallelStatus(engine, settings, []);
    const failure = state?.failure ?? null;
    // Before a phase was begun the plan was refused; a failure that was undone is in the error alone.
    if (isKeyferryError(error, 'parallel.undone')) {
      const { phase, why } = error.details;
      return { phase: phase as ParallelState['phase'], code: codeOfCause(error), message: why };
    }
    if (failure === null) throw error;
    const { phase, code, message } = failure;
    return { phase, code, message };
  }
}

const codeOfCause = ({ cause, code }: KeyferryError): string => (cause instanceof KeyferryError ? cause.code : code);

/** With one write through each balancer, which 3.x took and 2.x has to have afterwards. */
async function goBack(
  engine: ParallelEngine,
  settings: ParallelSettings,
  options: RehearsalOptions,
): Promise<RehearsedWayBack> {
  const { balancers, front } = engine.parallel;
  const written: { readonly url: string; readonly write: FrontWrite }[] = [];
  for (const { url, name } of balancers) {
    // Sent once: one whose answer was lost may have happened.
    written.push({ url, write: await front.write(url, `through-${name}`, options.signal) });
  }
  const startedAtMs = engine.clock.nowMs();
  await rollBackParallel(engine, settings, options);
  const tookMs = engine.clock.nowMs() - startedAtMs;
  let cameBack = 0;
  for (const { url, write } of written) {
    const look = () => front.holds(url, write, options.signal);
    cameBack += (await withRetry(engine, 'look for a write', look, options.signal)) ? 1 : 0;
  }
  return { kind: 'replayed', tookMs, written: written.length, cameBack };
}

/** A failure within the freeze went back by itself. */
function undoneBy({ state }: ParallelStatus): RehearsedWayBack | null {
  if (state?.course !== 'rolled-back') return null;
  return {
    kind: 'undone',
    tookMs: state.changedAtMs - (state.freeze?.toMs ?? state.changedAtMs),
    written: 0,
    cameBack: 0,
  };
}

function evidenceOf({ evidence }: ParallelStatus, phase: string, name: string): unknown {
  return evidence.find((each) => each.phase === phase && each.name === name)?.data ?? null;
}

function freezeOf(there: ParallelStatus, plan: ParallelPlan): Rehearsal['freeze'] {
  const of = (name: string) => evidenceOf(there, 'import', name) as Pick<ImportReceipt, 'tookMs'> | null;
  const imported = of('import') ?? of('delta');
  const compared = there.state?.passed.find(({ phase }) => phase === 'compare');
  if (there.frozenMs === null || imported === null || compared === undefined) return null;
  return {
    estimatedMs: plan.freeze.totalMs,
    measuredMs: there.frozenMs,
    importMs: imported.tookMs,
    compareMs: compared.atMs - compared.beganAtMs,
    versions: plan.archive.counts.version,
  };
}

function carriedOf(there: ParallelStatus): CarriedReceipt | null {
  const delta = evidenceOf(there, 'import', 'delta') as DeltaReceipt | null;
  return delta?.carried ?? (evidenceOf(there, 'import', 'carried') as CarriedReceipt | null);
}

function lossesOf(there: ParallelStatus): RehearsedLosses | null {
  const compared = evidenceOf(there, 'compare', 'comparison') as RegistryComparison | null;
  if (compared === null) return null;
  const { expected, found, lostAsForeseen, differences, differencesTotal } = compared;
  return {
    expected,
    found,
    asForeseen: lostAsForeseen,
    unforeseen: differences,
    unforeseenTotal: differencesTotal,
  };
}
