/**
 * Plan archives: where a plan's rows go while it is being made, and come from when it is applied. Rows are streamed,
 * so that a plan of ten million keys needs no more memory than one of ten.
 */
import type { PlanDocument, PlannedChange, PlannedChunk } from '../plan/plan.ts';

export interface PlanWriter {
  /** In ascending order of the target keys. */
  writeChanges(rows: readonly PlannedChange[]): Promise<void>;
  writeChunks(rows: readonly PlannedChunk[]): Promise<void>;
  /** After this the archive is whole; before it, there is none. */
  finish(plan: PlanDocument): Promise<void>;
  /** Throws away what was written. */
  abort(): Promise<void>;
}

export interface PlanReader {
  readonly plan: PlanDocument;
  readChunks(): AsyncIterable<readonly PlannedChunk[]>;
  readChanges(): AsyncIterable<readonly PlannedChange[]>;
}
