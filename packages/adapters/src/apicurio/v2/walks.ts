/**
 * Walks of one registry of 2.x, timed and told by their census; the one that was kept is what an export is held against.
 *
 *     walk (kept) ──► records on disk ──► prove: an export held against them     nothing is asked of 2.x
 *     walk        ──► closed              prove: walks first
 *
 * While writers wait a walk is most of what they wait for, so none is made whose answer is known. That nobody wrote between a walk
 * and its export is the next proof's to say (./stillness.ts), as it is for everything after the export (SPEC R165).
 */
import {
  registryNamedMax,
  type CompletenessProof,
  type ProofOptions,
  type RegistryCensus,
  type RegistryDifference,
  type StopSignal,
  type WalkOptions,
} from '@keyferry/core';
import type { RegistryApi } from '../api/registry-api.ts';
import { archivedRecords, walkedContents } from '../archive/archived-records.ts';
import { artifactName } from '../archive/entities.ts';
import { readArchive, type RegistryArchive } from '../archive/read-archive.ts';
import { compareRecords, describeDifference } from '../records/compare-records.ts';
import type { RecordSet } from '../records/record-set.ts';
import { walkOld } from './walk.ts';

interface Walked {
  /** Sealed; to be closed. */
  readonly records: RecordSet;
  readonly census: RegistryCensus;
}

export class Walks {
  private readonly api: RegistryApi;
  private kept: Walked | null = null;

  constructor(api: RegistryApi) {
    this.api = api;
  }

  async walk(signal: StopSignal, options: WalkOptions = {}): Promise<RegistryCensus> {
    this.close();
    const walked = await this.walked(signal, options);
    if (options.kept === true) this.kept = walked;
    else walked.records.close();
    return walked.census;
  }

  /** The export leaves out what it cannot write, and answers 200: only the registry itself can say what should be there. */
  async prove(file: string, signal: StopSignal, options: ProofOptions = {}): Promise<CompletenessProof> {
    const archive = await readArchive(file);
    const { records, census } = this.takeKept(options.walked) ?? (await this.walked(signal, options));
    try {
      const archived = await archivedRecords(archive);
      try {
        const { named: missing, total: missingTotal } = await differencesOf(
          records,
          archived,
          faultsOf(archive),
          unlistedIn(archive),
        );
        return { complete: missingTotal === 0, census, missing, missingTotal };
      } finally {
        archived.close();
      }
    } finally {
      records.close();
    }
  }

  /** Harmless to repeat. */
  close(): void {
    this.kept?.records.close();
    this.kept = null;
  }

  /** Once, as whoever asks a second time was not content with it. */
  private takeKept(wanted: RegistryCensus | undefined): Walked | null {
    const { kept } = this;
    if (kept === null || kept.census.sha256 !== wanted?.sha256) return null;
    this.kept = null;
    return kept;
  }

  private async walked(signal: StopSignal, { contentsOf }: WalkOptions): Promise<Walked> {
    const [startedAtMs, requestsBefore] = [performance.now(), this.api.requests];
    const known = contentsOf === undefined ? undefined : walkedContents(await readArchive(contentsOf));
    const records = await walkOld(this.api, signal, known);
    try {
      const tookMs = Math.round(performance.now() - startedAtMs);
      return { records, census: await records.census(this.api.requests - requestsBefore, tookMs) };
    } catch (error) {
      records.close();
      throw error;
    }
  }
}

/**
 * @param first what is named before them
 * @param unlisted names of artifacts that no API lists
 */
export async function differencesOf(
  expected: RecordSet,
  found: RecordSet,
  first: readonly RegistryDifference[],
  unlisted: ReadonlySet<string> = new Set(),
): Promise<{ readonly named: readonly RegistryDifference[]; readonly total: number }> {
  const named = [...first];
  let total = named.length;
  for await (const difference of compareRecords(expected, found)) {
    const said = describeDifference(difference).map((each) =>
      difference.kind === 'extra' && each.kind === 'artifact' && unlisted.has(each.name)
        ? { ...each, what: unlistedWhat }
        : each,
    );
    total += said.length;
    named.push(...said.slice(0, registryNamedMax - named.length));
  }
  return { named, total };
}

const unlistedWhat =
  'is exported and not listed by 2.6, as none of its versions is marked latest: DELETE one of several that nobody needs ' +
  '(/groups/GROUP/artifacts/ARTIFACT/versions/VERSION), which marks the newest that is left, or put the highest globalId of ' +
  'its versions into the column latest of its row in the table artifacts';

/** Imports of older releases left artifacts without a latest version: 2.6 exports them, and lists nothing of them. */
function unlistedIn({ versions }: RegistryArchive): ReadonlySet<string> {
  const unlisted = new Set(versions.map(artifactName));
  for (const version of versions) if (version.isLatest) unlisted.delete(artifactName(version));
  return unlisted;
}

/** Entries that cannot be read: what they were of is said by the difference that they make, if they make one. */
export function faultsOf({ faults }: RegistryArchive): readonly RegistryDifference[] {
  return faults.slice(0, registryNamedMax).map(({ entry, detail }) => ({
    kind: entry.startsWith('content/') ? 'content' : 'version',
    name: entry,
    what: `cannot be read from the archive: ${detail}`,
  }));
}
