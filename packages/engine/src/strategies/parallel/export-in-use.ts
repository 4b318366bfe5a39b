/** An export of a 2.x that takes writes: as whole as it can be, and what it lacks named. */
import type { ArchiveReceipt, CompletenessProof, StopSignal } from '@keyferry/core';
import { withRetry } from '../../retry.ts';
import type { ParallelEngine } from './ports.ts';

const exportTriesMax = 3;

/**
 * Of a registry that is in use, so what the walk shows may be newer than the archive: what is lacking counts only where it is
 * lacking each time.
 */
export async function exportInUse(
  engine: ParallelEngine,
  file: string,
  signal: StopSignal,
): Promise<{ readonly archive: ArchiveReceipt; readonly completeness: CompletenessProof }> {
  const { source } = engine.parallel;
  let lacking: CompletenessProof['missing'] | null = null;
  for (let tries = 1; ; tries += 1) {
    const archive = await withRetry(engine, 'export', () => source.exportTo(file, signal), signal);
    const proof = await withRetry(engine, 'prove the export', () => source.proveComplete(file, signal), signal);
    const names = new Set(proof.missing.map(({ kind, name }) => `${kind} ${name}`));
    const missing: CompletenessProof['missing'] =
      lacking?.filter(({ kind, name }) => names.has(`${kind} ${name}`)) ?? proof.missing;
    lacking = missing;
    if (proof.complete || tries === exportTriesMax) {
      return { archive, completeness: { ...proof, missing, missingTotal: missing.length } };
    }
  }
}
