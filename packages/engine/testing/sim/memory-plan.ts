/** A plan archive in memory: what the engine writes as a plan file, kept as JSON so that nothing else can get through. */
import {
  KeyferryError,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanReader,
  type PlanWriter,
} from '@keyferry/core';

export class MemoryPlan implements PlanWriter {
  private readonly changes: string[] = [];
  private readonly chunks: string[] = [];
  private plan: string | null = null;
  aborted = false;

  async writeChanges(rows: readonly PlannedChange[]): Promise<void> {
    for (const row of rows) this.changes.push(JSON.stringify(row));
  }

  async writeChunks(rows: readonly PlannedChunk[]): Promise<void> {
    for (const row of rows) this.chunks.push(JSON.stringify(row));
  }

  async finish(plan: PlanDocument): Promise<void> {
    this.plan = JSON.stringify(plan);
  }

  async abort(): Promise<void> {
    this.aborted = true;
  }

  /** @param rowsMax rows in one page of it. */
  reader(rowsMax = 7): PlanReader {
    const { plan, changes, chunks } = this;
    if (plan === null) throw new KeyferryError('plan.file-invalid', { file: 'memory', why: 'it was never finished' });
    return {
      plan: JSON.parse(plan) as PlanDocument,
      readChanges: () => pages<PlannedChange>(changes, rowsMax),
      readChunks: () => pages<PlannedChunk>(chunks, rowsMax),
    };
  }
}

async function* pages<T>(rows: readonly string[], rowsMax: number): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < rows.length; at += rowsMax) {
    yield rows.slice(at, at + rowsMax).map((row) => JSON.parse(row) as T);
  }
}
