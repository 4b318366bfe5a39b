/**
 * Plans without a plan file: one that is applied at once by the same process, and one that is only shown.
 *
 * The first keeps its rows in a private folder of the system's temporary ones, not in memory: a plan of ten million keys
 * has to fit there too. `close` removes it; a killed process leaves it to the system's own cleaning.
 */
import { createReadStream, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  invariant,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanReader,
  type PlanWriter,
} from '@keyferry/core';
import { readRowPages } from './row-pages.ts';
import { RowSpool } from './row-spool.ts';

/** Written first, read after `finish`, as often as wanted. */
export interface MemoryPlan extends PlanWriter, PlanReader {
  /** Removes its rows. Harmless to repeat. */
  close(): Promise<void>;
}

export function createMemoryPlan(): MemoryPlan {
  return new SpooledPlan();
}

/** Rows go nowhere: for a plan that is only shown. */
export function discardPlan(): PlanWriter {
  const nothing = (): Promise<void> => Promise.resolve();
  return { writeChanges: nothing, writeChunks: nothing, finish: nothing, abort: nothing };
}

class SpooledPlan implements MemoryPlan {
  private readonly folder = mkdtempSync(join(tmpdir(), 'keyferry-plan-'));
  private readonly changes = new RowSpool(join(this.folder, 'changes.ndjson'));
  private readonly chunks = new RowSpool(join(this.folder, 'chunks.ndjson'));
  private finished: PlanDocument | null = null;

  get plan(): PlanDocument {
    invariant(this.finished !== null, 'a plan was read before it was finished');
    return this.finished;
  }

  async writeChanges(rows: readonly PlannedChange[]): Promise<void> {
    await this.changes.write(rows);
  }

  async writeChunks(rows: readonly PlannedChunk[]): Promise<void> {
    await this.chunks.write(rows);
  }

  async finish(plan: PlanDocument): Promise<void> {
    await this.changes.finish();
    await this.chunks.finish();
    this.finished = plan;
  }

  readChanges(): AsyncIterable<readonly PlannedChange[]> {
    return this.readRows<PlannedChange>(this.changes);
  }

  readChunks(): AsyncIterable<readonly PlannedChunk[]> {
    return this.readRows<PlannedChunk>(this.chunks);
  }

  async abort(): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    await Promise.all([this.changes.close(), this.chunks.close()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  private readRows<Row>(spool: RowSpool): AsyncGenerator<readonly Row[]> {
    invariant(this.finished !== null, 'a plan was read before it was finished');
    return readRowPages(createReadStream(spool.path), (line) => JSON.parse(line) as Row);
  }
}
