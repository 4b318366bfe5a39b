/** An export of a 2.x that takes writes: as whole as it can be, and what it lacks named. */
import type { ArchiveReceipt, CompletenessProof, StopSignal } from '@keyferry/core';
import { withRetry } from '../../retry.ts';
import type { ParallelEngine } from './ports.ts';

const exportTriesMax = 3;

export interface ExportInUse {
  readonly archive: ArchiveReceipt;
  /** What is lacking in each export that was made. Of lists that were all cut: what the last one says. */
  readonly completeness: CompletenessProof;
  /** Nothing of a content is missing or another in the archive that is kept: walks may take its contents (SPEC R164). */
  readonly contentsProven: boolean;
}

/**
 * Of a registry that is in use, so what the walk shows may be newer than the archive: what is lacking counts only where it is
 * lacking each time.
 */
export async function exportInUse(engine: ParallelEngine, file: string, signal: StopSignal): Promise<ExportInUse> {
  const { source } = engine.parallel;
  let lacking: CompletenessProof['missing'] | null = null;
  for (let tries = 1; ; tries += 1) {
    const archive = await withRetry(engine, 'export', () => source.exportTo(file, signal), signal);
    const proof = await withRetry(engine, 'prove the export', () => source.proveComplete(file, signal), signal);
    // What a list that was cut does not name may be lacking too.
    if (isWhole(proof)) lacking = lacking === null ? proof.missing : inBoth(lacking, proof.missing);
    if (!proof.complete && tries < exportTriesMax) continue;
    const completeness = lacking === null ? proof : { ...proof, missing: lacking, missingTotal: lacking.length };
    return { archive, completeness, contentsProven: areContentsProven(proof) };
  }
}

function isWhole({ missing, missingTotal }: CompletenessProof): boolean {
  return missing.length === missingTotal;
}

function inBoth(
  some: CompletenessProof['missing'],
  others: CompletenessProof['missing'],
): CompletenessProof['missing'] {
  const names = new Set(others.map(({ kind, name }) => `${kind} ${name}`));
  return some.filter(({ kind, name }) => names.has(`${kind} ${name}`));
}

/** Of the proof of that very archive; what is not named may be a content too. */
function areContentsProven(proof: CompletenessProof): boolean {
  return isWhole(proof) && proof.missing.every(({ kind }) => kind !== 'content');
}
