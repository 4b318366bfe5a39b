/** What all workers of one run share, and how long they may hold a chunk without renewing. */
import type { ChunkCounts, Fence, PlanDocument, RunId, StopSignal, TargetControl, MigrationSpec } from '@keyferry/core';
import type { Engine } from './migration.ts';
import type { RunRecorder } from './run-record.ts';
import type { Pace } from './pace.ts';
import type { SharedView } from './shared-view.ts';

export const chunkLeaseMs = 20_000;

export interface Backfill {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly plan: PlanDocument;
  readonly attempt: number;
  readonly epoch: Fence;
  readonly control: TargetControl;
  readonly view: SharedView;
  readonly scope: string;
  readonly deadRuns: ReadonlySet<RunId>;
  readonly signal: StopSignal;
  /** What the run's report will show. */
  readonly recorder: RunRecorder;
  readonly pace: Pace;
  /** Most chunks that this run takes on; null: all of them. */
  readonly chunksMax: number | null;
  /** Called with what a batch added, as soon as it is settled. */
  readonly onSettled: (added: ChunkCounts) => void;
  readonly onChunkDone: () => void;
}
