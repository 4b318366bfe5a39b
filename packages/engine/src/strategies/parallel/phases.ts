/**
 * The phases up to the soak: what each does, checks and leaves. Every one may be repeated from its beginning, because
 * whoever did it before may have been killed anywhere in it.
 */
import {
  isKeyferryError,
  type ArchiveReceipt,
  type BalancerOrigin,
  type BesidesArchive,
  type CompletenessProof,
  type FrontReceipt,
  type ParallelPhase,
  type ProofOptions,
  type RegistryCensus,
  type RegistryComparison,
  type RegistryKind,
} from '@keyferry/core';
import { calling, failCheck, leadTo, onEach, probeFronts, together, type PhaseContext } from './check.ts';
import { foreseeArchive } from './foresee-archive.ts';
import { bringAll, compareImported, exportBefore, importBase, knownContents } from './imports.ts';
import { files } from './workspace-files.ts';

const [reachedTriesMax, reachedEveryMs] = [10, 1000];

type Doing = (context: PhaseContext) => Promise<void>;

/** soak and decommission have commands of their own. */
export const phaseActs: Readonly<Record<Exclude<ParallelPhase, 'soak' | 'decommission'>, Doing>> = {
  prepare,
  foresee,
  freeze: lead,
  baseline,
  export: exportWhole,
  import: importAll,
  compare,
  'read-on-3': readOnThree,
  switch: lead,
  verify,
  smoke,
};

async function prepare(context: PhaseContext): Promise<void> {
  const { engine, course, signal } = context;
  const { source, target } = engine.parallel;
  const old = await calling(context, 'ask 2.x', () => source.system(signal));
  if (!old.version.startsWith('2.')) failCheck(context, `${source.where} is release ${old.version}, and no 2.x`);
  await course.keep('prepare', 'source', old);
  const fresh = await calling(context, 'ask 3.x', () => target.system(signal));
  if (!fresh.version.startsWith('3.')) failCheck(context, `${target.where} is release ${fresh.version}, and no 3.x`);
  if (fresh.ready === false) failCheck(context, `${target.where} does not say that it is ready`);
  await assertTargetEmpty(context);
  await course.keep('prepare', 'target', fresh);
  await adoptBalancers(context);
  // What is wrong with a certificate or a user is found here, and not while writers wait.
  const { front } = engine.parallel;
  await onEach(context, 'ask 2.x through', ({ url }) => front.sample(url, signal));
}

/** The bytes that are there now go into the state before anything is written, and are never replaced there. */
async function adoptBalancers(context: PhaseContext): Promise<void> {
  const { course, signal } = context;
  const adopted = await onEach(context, 'adopt', async (balancer) => {
    const name = originName(balancer.name);
    const kept = await course.evidence<BalancerOrigin>('prepare', name);
    const origin = kept ?? (await balancer.readOrigin());
    if (kept === null) await course.keep('prepare', name, origin);
    return await balancer.adopt(origin, signal);
  });
  await course.keep('prepare', 'adopted', adopted);
}

export const originName = (balancer: string): string => `origins ${balancer}`;

async function foresee(context: PhaseContext): Promise<void> {
  if (context.settings.bulk) return await importBase(context);
  await foreseeArchive(context, await exportBefore(context), files.foreseenRepaired);
}

/** The act of the phases that do nothing but move traffic; where it goes is in the table of phases. */
async function lead(context: PhaseContext): Promise<void> {
  const { course, phase } = context;
  const led = await leadTo(context, phase === 'freeze' ? 'v2-ro' : 'v3-rw');
  await keepLed(course, phase, led);
}

/**
 * Before a freeze or a switch is begun: hours may lie between the phase before and a person's yes, and nobody is to wait for, or be led to,
 * a 3.x that takes nothing, or that a balancer does not reach (its own health check may say so later than 3.x does).
 * @throws {KeyferryError} `parallel.check-failed`, `store.…`: nothing was moved
 */
export async function assertTargetFit(context: PhaseContext): Promise<void> {
  const { target } = context.engine.parallel;
  const { ready } = await calling(context, 'ask 3.x', () => target.system(context.signal));
  if (ready === false) failCheck(context, `${target.where} does not say that it is ready`);
  if (context.phase === 'freeze' && !context.settings.bulk) await assertTargetEmpty(context);
  if (context.phase === 'switch') await assertReached(context);
}

/** A 3.x that was just started is there for a balancer's own health check some seconds after it is for us. */
async function assertReached(context: PhaseContext): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await assertAsBaseline(context, await probeFronts(context, 'clients', 3));
      return;
    } catch (error) {
      if (!isKeyferryError(error, 'parallel.check-failed') || tries === reachedTriesMax) throw error;
    }
    if (context.signal.aborted) failCheck(context, 'it was stopped while a balancer did not reach 3.x');
    await context.engine.clock.sleep(reachedEveryMs, context.signal);
  }
}

async function assertTargetEmpty(context: PhaseContext): Promise<void> {
  const { target } = context.engine.parallel;
  const { counts } = await calling(context, 'walk 3.x', () => target.walk(context.signal));
  const held = Object.entries(counts).filter(([, count]) => count > 0);
  if (held.length === 0) return;
  const holds = held.map(([kind, count]) => `${count} ${kind}`).join(', ');
  const cure = 'give it an empty database, schema or topic, then run the command again';
  failCheck(context, `${target.where} is not empty: it holds ${holds}; ${cure}`);
}

async function keepLed(
  course: PhaseContext['course'],
  phase: ParallelPhase,
  { shifts, drains, leaks }: Awaited<ReturnType<typeof leadTo>>,
): Promise<void> {
  await course.keep(phase, 'shifts', shifts);
  await course.keep(phase, 'drains', drains);
  await course.keep(phase, 'leaks', leaks);
}

async function baseline(context: PhaseContext): Promise<void> {
  const { engine, course, signal } = context;
  const { source } = engine.parallel;
  const known = await knownContents(context);
  const census = await calling(context, 'walk 2.x', () => source.walk(signal, { ...known, kept: true }));
  await course.keep('baseline', 'census', census);
  const [balancer] = engine.parallel.balancers;
  const { front } = engine.parallel;
  const sample = await calling(context, 'take a sample', () => front.sample(balancer?.url ?? '', signal));
  await course.keep('baseline', 'sample', sample);
  await course.keep('baseline', 'reads', await probeFronts(context, 'clients', 2));
}

async function exportWhole(context: PhaseContext): Promise<void> {
  const { engine, course } = context;
  const { source, workspace } = engine.parallel;
  const file = workspace.path(files.exported);
  const [archive, besides] = await together(
    context,
    (each) => calling(each, 'export', () => source.exportTo(file, each.signal)),
    (each) => calling(each, 'read what no archive holds', () => source.readBesides(each.signal)),
  );
  const proof = await proveExport(context, file);
  await course.keep('export', 'completeness', proof);
  await assertStill(context, proof.census);
  if (!proof.complete) {
    const [first] = proof.missing;
    const named = first === undefined ? '' : `: ${first.kind} ${first.name} ${first.what}`;
    failCheck(context, `the export differs from what the registry shows in ${proof.missingTotal} facts${named}`);
  }
  await workspace.writeJson(files.besides, besides);
  await course.keep('export', 'exported', archive);
  await course.keep('export', 'archive', await foreseeArchive(context, archive, files.repaired));
}

/** Against the walk of the baseline. Where that does not fit, a walk of now says whether it is the export that lacks something. */
async function proveExport(context: PhaseContext, file: string): Promise<CompletenessProof> {
  const { engine, course, signal } = context;
  const walked = await course.needed<RegistryCensus>('baseline', 'census');
  const known = await knownContents(context);
  const prove = (options?: ProofOptions) =>
    calling(context, 'prove the export', () => engine.parallel.source.proveComplete(file, signal, options));
  const proof = await prove({ ...known, walked });
  return proof.complete ? proof : await prove(known);
}

async function assertStill(context: PhaseContext, now: RegistryCensus): Promise<void> {
  const before = await context.course.needed<RegistryCensus>('baseline', 'census');
  if (now.sha256 === before.sha256) return;
  failWritten(context, `since the baseline, past the balancers (${countsThatMoved(before, now)})`);
}

function failWritten(context: PhaseContext, since: string): never {
  const { where } = context.engine.parallel.source;
  const cure =
    context.phase === 'verify'
      ? 'stop whoever does; 3.x lacks it, and rollback carries what 3.x accepted into a 2.x that has both'
      : 'stop whoever does';
  failCheck(context, `${where} was written to ${since}: ${cure}`);
}

function countsThatMoved(before: RegistryCensus, now: RegistryCensus): string {
  const moved = Object.entries(now.counts).filter(([kind, count]) => before.counts[kind as RegistryKind] !== count);
  if (moved.length === 0) return 'as many of each kind, with other facts';
  return moved.map(([kind, count]) => `${kind}: ${before.counts[kind as RegistryKind]}, now ${count}`).join('; ');
}

/** What was exported, as it was; exported once more where this machine does not have it. 2.x stands still, so it is the same. */
async function archiveAtHand(context: PhaseContext): Promise<ArchiveReceipt> {
  const { engine, course, settings } = context;
  const { workspace } = engine.parallel;
  const name = settings.repair ? files.repaired : files.exported;
  const kept = await course.needed<ArchiveReceipt>('export', 'archive');
  const exported = await course.evidence<ArchiveReceipt>('export', 'exported');
  const isThere =
    (await workspace.sha256(name)) === kept.sha256 &&
    (await workspace.sha256(files.exported)) === exported?.sha256 &&
    (await workspace.readJson(files.besides)) !== null;
  if (isThere) return { ...kept, file: workspace.path(name) };
  await exportWhole({ ...context, phase: 'export' });
  return await course.needed<ArchiveReceipt>('export', 'archive');
}

async function besidesAtHand({ engine }: PhaseContext): Promise<BesidesArchive> {
  return (await engine.parallel.workspace.readJson(files.besides)) as BesidesArchive;
}

async function importAll(context: PhaseContext): Promise<void> {
  const archive = await archiveAtHand(context);
  await bringAll(context, archive, await besidesAtHand(context));
}

async function compare(context: PhaseContext): Promise<void> {
  const { engine, course } = context;
  const { source, workspace } = engine.parallel;
  const archive = await archiveAtHand(context);
  const besides = await besidesAtHand(context);
  const [exported, again] = [workspace.path(files.exported), workspace.path(files.exportedAgain)];
  const [, stillness] = await together(
    context,
    async (each) => await keepComparison(each, await compareImported(each, archive, besides)),
    (each) => calling(each, 'export 2.x again', () => source.stoodStillSince(exported, again, each.signal)),
  );
  await course.keep('compare', 'stillness', stillness);
  if (stillness.still) return;
  const [first] = stillness.changes;
  const named = first === undefined ? '' : `, the first: ${first.kind} ${first.name} ${first.what}`;
  failWritten(context, `since the export, past the balancers (${stillness.changesTotal} facts${named})`);
}

async function keepComparison(context: PhaseContext, compared: RegistryComparison): Promise<void> {
  await context.course.keep('compare', 'comparison', compared);
  if (compared.equal) return;
  const [first] = compared.differences;
  const named = first === undefined ? '' : `, the first: ${first.kind} ${first.name} ${first.what}`;
  failCheck(
    context,
    `3.x differs from the archive in ${compared.differencesTotal} entities that nobody foresaw${named}`,
  );
}

async function readOnThree(context: PhaseContext): Promise<void> {
  const { course, phase } = context;
  await keepLed(course, phase, await leadTo(context, 'v3-ro'));
  const reads = await probeFronts(context, 'clients', 3);
  await course.keep(phase, 'reads', reads);
  await assertAsBaseline(context, reads);
}

/** The export beside the comparison cannot show what was written behind it; with writers on 3.x, a walk costs nobody. */
async function verify(context: PhaseContext): Promise<void> {
  const { engine, course, signal } = context;
  await course.keep('verify', 'probes', await probeFronts(context, 'core', 3));
  const known = await knownContents(context);
  const now = await calling(context, 'walk 2.x', () => engine.parallel.source.walk(signal, known));
  const before = await course.needed<RegistryCensus>('baseline', 'census');
  await course.keep('verify', 'stillness', { before: before.sha256, now: now.sha256 });
  await assertStill(context, now);
}

async function smoke(context: PhaseContext): Promise<void> {
  const { engine, settings, course, signal } = context;
  const probes = await probeFronts(context, 'clients', 3);
  await course.keep('smoke', 'probes', probes);
  await assertAsBaseline(context, probes);
  if (settings.smokeCommand === null) return;
  const outcome = await engine.parallel.runCommand(settings.smokeCommand, signal);
  await course.keep('smoke', 'command', outcome);
  if (outcome.exitCode !== 0) {
    failCheck(
      context,
      `${settings.smokeCommand.join(' ')} ended with ${outcome.exitCode ?? 'a signal'}: ${outcome.output.slice(-500)}`,
    );
  }
}

/** The same request gets the same answer as before the freeze, successes and failures alike. */
async function assertAsBaseline(context: PhaseContext, now: readonly FrontReceipt[]): Promise<void> {
  const before = await context.course.needed<readonly FrontReceipt[]>('baseline', 'reads');
  for (const { balancer, probes } of now) {
    const known = new Map(before.find((each) => each.balancer === balancer)?.probes.map((each) => [each.name, each]));
    for (const { name, status, sha256 } of probes) {
      const was = known.get(name);
      if (was === undefined || (was.status === status && was.sha256 === sha256)) continue;
      const changed = was.status === status ? 'with other bytes' : `${String(status)} and not ${String(was.status)}`;
      failCheck(context, `"${name}" through ${balancer} is not answered as by 2.x: ${changed}`);
    }
  }
}
