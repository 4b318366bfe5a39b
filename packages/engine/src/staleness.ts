/**
 * Does the plan still hold? Asked once, before the first write. Positions that did not move answer it, where both stores
 * say who they are and are who they were: another store can stand at the same number. Else both sides are read again,
 * chunk by chunk, and what moved is named. So they are where a program stands among the rules: only its answers show that
 * it still makes the same of the same records.
 */
import {
  ChunkRecheck,
  imageRule,
  KeyferryError,
  keyFromJson,
  prefixEnd,
  staleKeysNamed,
  type KeyRange,
  type PlannedChange,
  type PlannedChunk,
  type PlannedSide,
  type PlanReader,
  type ReadableStore,
  type StaleKey,
  type StoreView,
  type MigrationSpec,
} from '@keyferry/core';
import type { Engine } from './migration.ts';
import { joinViews } from './pages.ts';
import { diffRules } from './plan.ts';
import { withRetry } from './retry.ts';

/** A second for stores that estimate when a record ends, the rest for the clocks of two machines and of the server. */
const clockSkewMs = 5000;

export function chunkRange(chunk: PlannedChunk, spec: MigrationSpec): KeyRange {
  const end = chunk.end === null ? prefixEnd(imageRule(spec).rule.sourcePrefix) : keyFromJson(chunk.end);
  return { start: keyFromJson(chunk.start), end };
}

/** @throws {KeyferryError} `plan.stale` or `program.unsteady`, naming the keys; nothing was written then. */
export async function assertPlanHolds(
  engine: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  views: { readonly source: StoreView; readonly target: StoreView },
): Promise<void> {
  const { plan } = reader;
  const stands = await Promise.all([
    standsStill(engine, engine.source, plan.source, views.source),
    standsStill(engine, engine.target, plan.target, views.target),
  ]);
  if (stands.every(Boolean) && spec.program === null) return;
  const rules = diffRules(engine, spec, plan.salt);
  const rows = new RowsByChunk(reader.readChanges());
  const stale: StaleKey[] = [];
  let keysTotal = 0;
  let index = 0;
  for await (const chunks of reader.readChunks()) {
    for (const chunk of chunks) {
      const range = chunkRange(chunk, spec);
      const clock = { nowMs: engine.clock.nowMs(), clockSkewMs };
      const recheck = new ChunkRecheck(rules, chunk, await rows.of(chunk), clock);
      await joinViews(engine, imageRule(spec).rule, views, range, recheck);
      const { keys, total } = recheck.finish();
      keysTotal += total;
      stale.push(...keys.slice(0, staleKeysNamed - stale.length));
      index += 1;
      engine.host.emit({ code: 'apply.checking', data: { chunksDone: index, chunksTotal: plan.chunks } });
    }
  }
  if (keysTotal === 0) return;
  const details = { plan: plan.plan, migration: plan.migration, keys: stale, keysTotal };
  // With nothing that points to a store, it is the program that makes something else.
  const moved = [movedFrom(plan.source, views.source), movedFrom(plan.target, views.target)];
  if (spec.program !== null && !moved.includes(true)) {
    throw new KeyferryError('program.unsteady', { program: spec.program.program.name, ...details });
  }
  throw new KeyferryError('plan.stale', details);
}

const movedFrom = (planned: PlannedSide, { position }: StoreView): boolean => planned.position !== position;

/** Whether a side is as the plan saw it, without a record being read. False may only mean that nobody can tell. */
async function standsStill(
  engine: Engine,
  store: ReadableStore,
  planned: PlannedSide,
  view: StoreView,
): Promise<boolean> {
  return view.position === planned.position && (await isSameStore(engine, store, planned));
}

/** The same of a store of which no view is open. */
export async function isWhereItWas(engine: Engine, store: ReadableStore, planned: PlannedSide): Promise<boolean> {
  const position = await withRetry(engine, `head of ${planned.store}`, () => store.head());
  return position === planned.position && (await isSameStore(engine, store, planned));
}

async function isSameStore(engine: Engine, store: ReadableStore, planned: PlannedSide): Promise<boolean> {
  if (store.capabilities.positionIsContent) return true;
  if (planned.description.identity === null) return false;
  const { identity } = await withRetry(engine, `describe ${planned.store}`, () => store.describe());
  return identity === planned.description.identity;
}

/** Rows and chunks come in the same order, so one pass over the rows serves all chunks. */
export class RowsByChunk {
  private readonly pages: AsyncIterator<readonly PlannedChange[]>;
  private page: readonly PlannedChange[] = [];
  private at = 0;

  constructor(pages: AsyncIterable<readonly PlannedChange[]>) {
    this.pages = pages[Symbol.asyncIterator]();
  }

  /** The rows of a chunk; those of chunks before it that nobody asked for are passed by. */
  async of({ chunk }: PlannedChunk): Promise<readonly PlannedChange[]> {
    const rows: PlannedChange[] = [];
    for (;;) {
      const row = this.page[this.at];
      if (row === undefined) {
        const next = await this.pages.next();
        if (next.done === true) return rows;
        [this.page, this.at] = [next.value, 0];
        continue;
      }
      if (row.chunk > chunk) return rows;
      if (row.chunk === chunk) rows.push(row);
      this.at += 1;
    }
  }
}
