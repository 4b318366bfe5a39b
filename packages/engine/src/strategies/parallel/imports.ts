/**
 * What is brought into 3.x, and when: all of it within the freeze, or a base before it and within it only what came since.
 *
 *     foresee   export ─► import ─► carry ─► 3.x walked, equal to that export: the base
 *     import    ├ the base is known, and nothing was tried: delta        what differs between both exports, and 3.x is not read
 *               ├ something was begun before: again                      3.x is walked and mended, whatever it holds
 *               └ nothing was begun: whole                               into an empty one
 *     compare   after a delta by an export of 3.x, and where something came by its API; else by a walk of all of it, which takes
 *               the bytes of contents from an export of 3.x where all was imported at once
 *
 * A delta is tried once (SPEC R161): who finds that one was begun, or that it is refused, brings all of it `again`.
 */
import {
  KeyferryError,
  type ArchiveReceipt,
  type BesidesArchive,
  type Delta,
  type DeltaOutcome,
  type RegistryComparison,
  type WalkOptions,
} from '@keyferry/core';
import { calling, type PhaseContext } from './check.ts';
import { exportInUse } from './export-in-use.ts';
import { foreseeArchive } from './foresee-archive.ts';
import { files } from './workspace-files.ts';

/** EVIDENCE `foresee/base`. */
interface Base {
  /** Of the export: what was imported of it. */
  readonly imported: ArchiveReceipt;
  /** SHA-256 of the file of what was carried beside it. */
  readonly besides: string | null;
  readonly comparison: RegistryComparison;
}

/** EVIDENCE `foresee/contents`: of the export before the freeze. */
interface ReadContents {
  readonly sha256: string;
  /** Nothing of a content was missing or another when it was held against a walk of 2.x. */
  readonly proven: boolean;
}

/** EVIDENCE `import/way`. */
interface ImportWay {
  readonly way: 'delta' | 'again';
  /** null: nothing stood against a delta. */
  readonly why: string | null;
}

/** Before the freeze. Repeated, it brings 3.x to a newer export. */
export async function importBase(context: PhaseContext): Promise<void> {
  const { engine, course, signal } = context;
  const { source, target, workspace } = engine.parallel;
  const archive = await exportBefore(context);
  const besides = await calling(context, 'read what no archive holds', () => source.readBesides(signal));
  await workspace.writeJson(files.foreseenBesides, besides);
  const imported = await foreseeArchive(context, archive, files.foreseenRepaired);
  await importArchive(context, imported);
  await calling(context, 'carry what no archive holds', () => target.carry(besides, signal));
  const comparison = await calling(context, 'compare', () => target.compare(imported.file, besides, signal));
  await course.keep('foresee', 'base', {
    imported,
    besides: await workspace.sha256(files.foreseenBesides),
    comparison,
  } satisfies Base);
}

/** Of a registry in use, as whole as that can be. Contents that were read for it are not read again within the freeze. */
export async function exportBefore({ engine, course, signal }: PhaseContext): Promise<ArchiveReceipt> {
  const { workspace } = engine.parallel;
  const { archive, completeness, contentsProven } = await exportInUse(engine, workspace.path(files.foreseen), signal);
  await course.keep('foresee', 'archive', archive);
  await course.keep('foresee', 'completeness', completeness);
  await course.keep('foresee', 'contents', { sha256: archive.sha256, proven: contentsProven } satisfies ReadContents);
  return archive;
}

/** For walks of 2.x within the freeze: contents that were read before it. undefined: all are read. */
export async function knownContents({ engine, course }: PhaseContext): Promise<WalkOptions | undefined> {
  const { workspace } = engine.parallel;
  const read = await course.evidence<ReadContents>('foresee', 'contents');
  if (read?.proven !== true) return undefined;
  if ((await workspace.sha256(files.foreseen)) !== read.sha256) return undefined;
  return { contentsOf: workspace.path(files.foreseen) };
}

/** The import of the freeze. */
export async function bringAll(context: PhaseContext, archive: ArchiveReceipt, besides: BesidesArchive): Promise<void> {
  if (await bringDelta(context, archive, besides)) return;
  const { engine, course, signal } = context;
  await importArchive(context, archive);
  const carried = await calling(context, 'carry what no archive holds', () =>
    engine.parallel.target.carry(besides, signal),
  );
  await course.keep('import', 'carried', carried);
}

/** @returns false: none was to be had, which is in the state with the reason */
async function bringDelta(context: PhaseContext, archive: ArchiveReceipt, besides: BesidesArchive): Promise<boolean> {
  const { course, settings } = context;
  if (!settings.bulk) return false;
  const way = (why: string | null): Promise<void> =>
    course.keep('import', 'way', { way: why === null ? 'delta' : 'again', why } satisfies ImportWay);
  const delta = await deltaAtHand(context, archive, besides);
  const tried = await course.evidence<ImportWay>('import', 'way');
  if (typeof delta === 'string' || tried !== null) {
    await way(typeof delta === 'string' ? delta : (tried?.why ?? 'one was begun, and nobody knows how far it came'));
    return false;
  }
  await way(null);
  const outcome = await importDelta(context, delta);
  if (outcome.kind === 'refused') {
    await way(outcome.why);
    return false;
  }
  await course.keep('import', 'delta', outcome.receipt);
  return true;
}

/** One that failed for a while is not tried again: how far it came, nobody knows. */
async function importDelta({ engine, signal }: PhaseContext, delta: Delta): Promise<DeltaOutcome> {
  const { target, workspace } = engine.parallel;
  try {
    return await target.importDelta(delta, workspace.path(files.delta), signal);
  } catch (error) {
    if (!(error instanceof KeyferryError) || error.retry !== 'backoff' || signal.aborted) throw error;
    return { kind: 'refused', why: `it was begun and not answered: ${error.message}` };
  }
}

/** @returns why there is none */
async function deltaAtHand(
  { engine, course, settings }: PhaseContext,
  { file }: ArchiveReceipt,
  besides: BesidesArchive,
): Promise<Delta | string> {
  const { workspace } = engine.parallel;
  const base = await course.evidence<Base>('foresee', 'base');
  if (base === null) return 'nothing was imported before the freeze';
  const { imported, comparison } = base;
  if (!comparison.equal) return `3.x differed from what was imported in ${comparison.differencesTotal} entities`;
  const name = settings.repair ? files.foreseenRepaired : files.foreseen;
  const isThere =
    (await workspace.sha256(name)) === imported.sha256 &&
    (await workspace.sha256(files.foreseenBesides)) === base.besides;
  if (!isThere) return 'what was imported before the freeze is not on this machine';
  const baseBesides = (await workspace.readJson(files.foreseenBesides)) as BesidesArchive;
  return { base: workspace.path(name), baseBesides, file, besides };
}

/**
 * 3.x against the archive. Leaves its snapshot, before 3.x takes a first write: what is written later is known by it. It is made
 * before 3.x is read, so what came between the two would be a difference.
 */
export async function compareImported(
  context: PhaseContext,
  archive: ArchiveReceipt,
  besides: BesidesArchive,
): Promise<RegistryComparison> {
  const { engine, course, signal } = context;
  const { target, workspace } = engine.parallel;
  const way = await course.evidence<ImportWay>('import', 'way');
  const byExport = way?.way === 'delta' ? await compareDelta(context, archive, besides) : null;
  if (byExport !== null) return byExport;
  const file = workspace.path(files.snapshot);
  const snapshot = await calling(context, 'export 3.x', () => target.exportTo(file, signal));
  await course.keep('compare', 'snapshot', snapshot);
  // What an export did not show, or nobody knows how it came there, is for the API alone to say.
  const options = way === null ? { contentsOf: file } : {};
  return await calling(context, 'compare', () => target.compare(archive.file, besides, signal, options));
}

/** @returns null: the export of 3.x does not show what is expected, so that the API has to */
async function compareDelta(
  context: PhaseContext,
  archive: ArchiveReceipt,
  besides: BesidesArchive,
): Promise<RegistryComparison | null> {
  const { engine, course, signal } = context;
  const { target, workspace } = engine.parallel;
  const delta = await deltaAtHand(context, archive, besides);
  if (typeof delta === 'string') return null;
  const { comparison, snapshot, walkedArtifacts } = await calling(context, 'compare', () =>
    target.compareByExport(delta, workspace.path(files.snapshot), signal),
  );
  await course.keep('compare', 'by-export', { ...comparison, walkedArtifacts });
  if (!comparison.equal) return null;
  await course.keep('compare', 'snapshot', snapshot);
  return comparison;
}

/** That it was begun is in the state before it is: afterwards 3.x may hold a part of it, and is asked to take the rest. */
async function importArchive(context: PhaseContext, archive: ArchiveReceipt): Promise<void> {
  const { engine, course, phase, signal } = context;
  const begun = await course.evidence<{ readonly sha256: string }>('import', 'begun');
  await course.keep('import', 'begun', { sha256: archive.sha256 });
  const into = begun === null ? 'empty' : 'again';
  const receipt = await calling(context, 'import', () =>
    engine.parallel.target.importFrom(archive.file, { into }, signal),
  );
  await course.keep(phase, 'import', receipt);
}
