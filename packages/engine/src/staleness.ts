/**
 * Does the plan still hold? Asked once, before the first write. Positions that did not move answer it; else both
 * sides are read again, chunk by chunk, and what moved is named.
 */
import {
  ChunkRecheck,
  instantMs,
  KeyferryError,
  keyFromJson,
  prefixEnd,
  staleKeys,
  type KeyRange,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanReader,
  type StaleKey,
  type StoreView,
} from '@keyferry/core';
import type { Engine, MigrationSpec } from './migration.ts';
import { joinViews } from './pages.ts';
import { diffRules } from './plan.ts';

/** Keys named in the error; the rest is counted. */
const staleKeysNamed = 20;

export function chunkRange(chunk: PlannedChunk, spec: MigrationSpec): KeyRange {
  const end = chunk.end === null ? prefixEnd(spec.rule.sourcePrefix) : keyFromJson(chunk.end);
  return { start: keyFromJson(chunk.start), end };
}

/** @throws {KeyferryError} `plan.expired`, `plan.mismatch`. Needs no store. */
export function assertPlanFits(plan: PlanDocument, spec: MigrationSpec, nowMs: number, resuming: boolean): void {
  const what: string[] = [];
  if (plan.migration !== spec.migration) what.push(`it is for ${plan.migration}`);
  if (plan.configDigest !== spec.configDigest) what.push('the configuration of the migration or its stores');
  if (plan.rulesDigest !== spec.rulesDigest) what.push('the rules');
  if (plan.keyferryVersion.split('.')[0] !== spec.keyferryVersion.split('.')[0]) {
    what.push(`keyferry ${plan.keyferryVersion}, this is ${spec.keyferryVersion}`);
  }
  if (what.length > 0) throw new KeyferryError('plan.mismatch', { plan: plan.plan, migration: plan.migration, what });
  if (!resuming && instantMs(plan.expiresAt) <= nowMs) {
    throw new KeyferryError('plan.expired', {
      plan: plan.plan,
      migration: plan.migration,
      expiredAt: plan.expiresAt,
    });
  }
}

/** @throws {KeyferryError} `plan.stale`, naming the keys; nothing was written then. */
export async function assertPlanHolds(
  engine: Engine,
  spec: MigrationSpec,
  reader: PlanReader,
  views: { readonly source: StoreView; readonly target: StoreView },
): Promise<void> {
  const { plan } = reader;
  if (views.source.position === plan.source.position && views.target.position === plan.target.position) return;
  const rules = diffRules(engine, spec, plan.salt);
  const rows = new RowsByChunk(reader.readChanges());
  const stale: StaleKey[] = [];
  let keysTotal = 0;
  let index = 0;
  for await (const chunks of reader.readChunks()) {
    for (const chunk of chunks) {
      const range = chunkRange(chunk, spec);
      const recheck = new ChunkRecheck(rules, index, chunk.listed);
      await joinViews(engine, spec.rule, views, range, recheck);
      const planned = await rows.of(chunk);
      const moved = staleKeys(chunk, planned, recheck.finish(range.start, range.end), engine.clock.nowMs());
      keysTotal += moved.length;
      stale.push(...moved.slice(0, staleKeysNamed - stale.length));
      index += 1;
      engine.host.emit({ code: 'apply.checking', data: { chunksDone: index, chunksTotal: plan.chunks } });
    }
  }
  if (keysTotal > 0) {
    throw new KeyferryError('plan.stale', { plan: plan.plan, migration: plan.migration, keys: stale, keysTotal });
  }
}

/** Rows and chunks come in the same order, so one pass over the rows serves all chunks. */
class RowsByChunk {
  private readonly pages: AsyncIterator<readonly PlannedChange[]>;
  private page: readonly PlannedChange[] = [];
  private at = 0;

  constructor(pages: AsyncIterable<readonly PlannedChange[]>) {
    this.pages = pages[Symbol.asyncIterator]();
  }

  async of(chunk: PlannedChunk): Promise<readonly PlannedChange[]> {
    const rows: PlannedChange[] = [];
    for (;;) {
      const row = this.page[this.at];
      if (row === undefined) {
        const next = await this.pages.next();
        if (next.done === true) return rows;
        [this.page, this.at] = [next.value, 0];
      } else if (row.chunk === chunk.chunk) {
        rows.push(row);
        this.at += 1;
      } else return rows;
    }
  }
}
