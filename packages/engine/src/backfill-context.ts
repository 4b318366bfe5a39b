/** What all workers of one run share, and how long they may hold a chunk without renewing. */
import type {
  ChunkCounts,
  ChunkId,
  Fence,
  PlanDocument,
  RunId,
  StopSignal,
  TargetControl,
  MigrationSpec,
} from '@keyferry/core';
import type { Engine } from './migration.ts';
import type { Pace } from './pace.ts';
import type { SharedView } from './shared-view.ts';

export const chunkLeaseMs = 20_000;

/** What is told of the work while it is done: a run keeps it for its report, a slice measures its own pace by it. */
export interface BackfillRecorder {
  /** Counted when it happens; the checkpoint's counts follow when it is settled in its turn. */
  dealtWith(added: ChunkCounts): void;
  /** One request that writes. */
  timed<T>(request: () => Promise<T>): Promise<T>;
  /** A worker is on a chunk until what is returned is called. */
  onChunk(worker: number, chunk: ChunkId): () => void;
}

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
  readonly recorder: BackfillRecorder;
  readonly pace: Pace;
  /** Called with what a batch added, as soon as it is settled. */
  readonly onSettled: (added: ChunkCounts) => void;
  readonly onChunkDone: (chunk: ChunkId) => void;
}
