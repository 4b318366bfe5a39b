/** Makes a plan of strategy `parallel`: reads both registries and the balancers, and writes an archive on this machine, and nothing else. */
import {
  apisGone,
  clientFindings,
  estimateFreeze,
  finding,
  judgedFindings,
  planId,
  plannedPhases,
  plannedRollback,
  registryNamedMax,
  type ApiUse,
  type BesidesArchive,
  type CompletenessProof,
  type Finding,
  type ParallelPlan,
  type ParallelSettings,
  type RehearsedFigures,
  type StopSignal,
} from '@keyferry/core';
import { withRetry } from '../../retry.ts';
import { exportInUse } from './export-in-use.ts';
import type { ParallelEngine } from './ports.ts';

export interface ParallelPlanOptions {
  /** An export that was made before; null: it is made now. */
  readonly archive: string | null;
  /** How long it took where it was rehearsed; by default nobody knows. */
  readonly rehearsed?: RehearsedFigures | null;
  readonly signal: StopSignal;
}

/** How far back access logs are read. */
const apiUseMs = 30 * 24 * 3_600_000;

export async function planParallel(
  engine: ParallelEngine,
  settings: ParallelSettings,
  { archive: given, rehearsed = null, signal }: ParallelPlanOptions,
): Promise<ParallelPlan> {
  const { source, target, archives, balancers, workspace } = engine.parallel;
  const calling = <T>(what: string, call: () => Promise<T>): Promise<T> => withRetry(engine, what, call, signal);
  const nowMs = engine.clock.nowMs();
  const old = await calling('ask 2.x', () => source.system(signal));
  const fresh = await calling('ask 3.x', () => target.system(signal));
  const held = await calling('walk 3.x', () => target.walk(signal));
  const file = given ?? workspace.path('planned.zip');
  const { archive, completeness, contentsProven } =
    given === null
      ? await exportInUse(engine, file, signal)
      : { archive: await archives.receipt(given), completeness: null, contentsProven: false };
  const besidesAtMs = engine.clock.monotonicMs();
  const besides = await calling('read what no archive holds', () => source.readBesides(signal));
  const besidesMs = engine.clock.monotonicMs() - besidesAtMs;
  const foresight = await archives.foresee(await chosenArchive(engine, settings, file), fresh.version);
  const used: ApiUse[] = [];
  let hasLogs = false;
  const unfit: Finding[] = [];
  for (const balancer of balancers) {
    const seen = await calling(`access log of ${balancer.name}`, () => balancer.apiUse(nowMs - apiUseMs));
    used.push(...(seen ?? []));
    hasLogs ||= seen !== null;
    unfit.push(...balancerFindings(balancer.name, await calling(`check ${balancer.name}`, () => balancer.rehearse())));
  }
  const deletions = await calling('ask 3.x what may be deleted', () => target.deletions(signal));
  const translation =
    (await engine.parallel.settings?.translate(
      workspace.path('settings-3'),
      fresh.version,
      foresight.expected.version,
    )) ?? null;
  // As it will be within the freeze: contents that were read before it, and found equal, are not read again.
  const walk = contentsProven
    ? await calling('walk 2.x', () => source.walk(signal, { contentsOf: file }))
    : (completeness?.census ?? null);
  const freeze = estimateFreeze({
    walk,
    exportMs: given === null ? archive.tookMs : null,
    besidesMs: Math.round(besidesMs),
    counts: archive.counts,
    balancers: balancers.length,
    rehearsed,
    bulk: settings.bulk,
  });
  const findings = [
    ...usedFindings(held.counts),
    ...completenessFindings(completeness),
    ...judgedFindings(foresight.findings, settings.losses, { inUse: completeness?.complete === false }),
    ...clientFindings({ used: hasLogs ? used : null, deletions, settings: translation, target: fresh }),
    ...freezeFindings(freeze.totalMs, settings),
    ...unfit,
  ];
  const { random } = engine;
  return {
    strategy: 'parallel',
    plan: planId(nowMs, [random.uint32(), random.uint32()]),
    migration: settings.migration,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + settings.planMaxAgeMs,
    configDigest: settings.configDigest,
    keyferryVersion: settings.keyferryVersion,
    source: { where: source.where, system: old },
    target: { where: target.where, system: fresh, holds: held.counts },
    balancers: balancers.map(({ name, kind, where, url }) => ({ name, kind, where, url })),
    archive,
    completeness,
    foresight,
    besides: besidesOf(besides),
    gone: used.filter(({ prefix }) => apisGone.includes(prefix)),
    settings: translation,
    deletions,
    freeze,
    phases: plannedPhases(settings.confirm),
    rollback: plannedRollback(settings.bulk),
    findings,
    applyable: !findings.some(({ level }) => level === 'blocking'),
  };
}

async function chosenArchive(
  { parallel }: ParallelEngine,
  { repair }: ParallelSettings,
  file: string,
): Promise<string> {
  if (!repair) return file;
  const name = 'planned-repaired.zip';
  await parallel.workspace.remove(name);
  const { into } = await parallel.archives.repair(file, parallel.workspace.path(name));
  return into.file;
}

function besidesOf({ roles, settings, owners, groupLabels, unreadable }: BesidesArchive): ParallelPlan['besides'] {
  return {
    roles: roles.length,
    settings: settings.length,
    owners: owners.length,
    groupLabels: groupLabels.length,
    unreadable: unreadable.slice(0, registryNamedMax),
  };
}

function usedFindings(counts: Readonly<Record<string, number>>): readonly Finding[] {
  const held = Object.entries(counts).filter(([, count]) => count > 0);
  if (held.length === 0) return [];
  return [
    finding('registry.target-used', {
      count: held.reduce((sum, [, count]) => sum + count, 0),
      detail: `it holds ${held.map(([kind, count]) => `${count} ${kind}`).join(', ')}`,
      fix: 'give it an empty database, schema or topic',
    }),
  ];
}

function completenessFindings(proof: CompletenessProof | null): readonly Finding[] {
  if (proof === null || proof.missing.length === 0) return [];
  const [first] = proof.missing;
  const named = first === undefined ? '' : `, the first: ${first.kind} ${first.name} ${first.what}`;
  return [
    finding('registry.incomplete', {
      count: proof.missingTotal,
      detail: `${proof.missingTotal} entities${named}`,
      fix: 'it was so each time: cure what is named, or see the log of 2.x, which names what it could not export',
    }),
  ];
}

function freezeFindings(totalMs: number, { freeze: { maxMs }, bulk }: ParallelSettings): readonly Finding[] {
  if (totalMs <= maxMs) return [];
  return [
    finding('registry.freeze-long', {
      count: 1,
      detail: `about ${totalMs} ms, and freeze.max is ${maxMs} ms: it would be undone then`,
      fix: bulk
        ? 'raise freeze.max'
        : 'raise freeze.max, or set freeze.bulk to import before the freeze what is there already',
    }),
  ];
}

/** @param complaints of `LoadBalancer.rehearse` */
export function balancerFindings(name: string, complaints: readonly string[]): readonly Finding[] {
  if (complaints.length === 0) return [];
  return [
    finding('balancer.unfit', {
      count: complaints.length,
      detail: `${name}: ${complaints.join('; ')}`,
      fix: 'mend its configuration, then plan again',
    }),
  ];
}
