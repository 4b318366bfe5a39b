/** A migration's own side of a target: epoch, fences, marks, done marker, and the way back. */
import {
  keyFromBytes,
  keyToBytes,
  type BeforeImage,
  type ChunkId,
  type ClaimOutcome,
  type CreatedRecord,
  type Fence,
  type Key,
  type KeyRange,
  type MigrationId,
  type RaiseOutcome,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type TargetControl,
  type Version,
} from '@keyferry/core';
import { chunkWriter } from './chunk-writer.ts';
import { controlTables, type ControlContext } from './control-tables.ts';
import { assertEpoch, readEpoch, readFence, sameFence } from './fences.ts';
import { lookUpRows } from './look-up.ts';
import { memoryOf, originOf, readMemory } from './marks.ts';
import { OwnTables } from './own-tables.ts';
import { removeRows, restoreRows } from './restore.ts';
import type { Session } from './session.ts';
import type { PostgresTarget } from './target-context.ts';

/** What goes back in one transaction. */
const stepKeysMax = 500;

export class PostgresControl implements TargetControl {
  private readonly target: PostgresTarget;
  private readonly context: ControlContext;
  private readonly nowMs: () => number;
  private readonly own: OwnTables;

  constructor(target: PostgresTarget, migration: MigrationId, nowMs: () => number) {
    this.target = target;
    this.context = { store: target.store, migration, tables: controlTables(target.schema) };
    this.own = new OwnTables(target);
    this.nowMs = nowMs;
  }

  readEpoch(): Promise<Fence | null> {
    return this.own.read('reading the epoch', null, (session) => readEpoch(session, this.context));
  }

  raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    const { tables, migration } = this.context;
    return this.own.write('raising the epoch', async (session) => {
      const { rowCount } = await session.query(
        `INSERT INTO ${tables.epochs} AS e VALUES ($1, $2, $3) ON CONFLICT (migration) DO UPDATE
           SET attempt = excluded.attempt, token = excluded.token
           WHERE (e.attempt, e.token) < (excluded.attempt, excluded.token)`,
        [migration, epoch.attempt, epoch.token],
      );
      if (rowCount === 1) return { kind: 'raised' };
      return { kind: 'refused', current: (await readEpoch(session, this.context)) ?? epoch };
    });
  }

  readFence(chunk: ChunkId): Promise<Fence | null> {
    return this.own.read('reading a fence', null, (session) => this.fence(session, chunk));
  }

  claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { tables, migration } = this.context;
    return this.own.write(`claiming ${chunk}`, async (session) => {
      const current = await readEpoch(session, this.context, 'FOR SHARE');
      if (sameFence(current, epoch)) {
        const { rowCount } = await session.query(
          `INSERT INTO ${tables.fences} AS f VALUES ($1, $2, $3, $4) ON CONFLICT (migration, chunk) DO UPDATE
             SET attempt = excluded.attempt, token = excluded.token
             WHERE (f.attempt, f.token) < (excluded.attempt, excluded.token)`,
          [migration, chunk, fence.attempt, fence.token],
        );
        if (rowCount === 1) {
          return { kind: 'claimed', writer: chunkWriter(this.target, this.context, chunk, fence, epoch) };
        }
      }
      return { kind: 'refused', fence: await this.fence(session, chunk), epoch: current };
    });
  }

  async *listCreated(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { tables, migration } = this.context;
    let after: Key | null = null;
    for (;;) {
      const [operator, from]: [string, Key] = after === null ? ['>=', range.start] : ['>', after];
      const listed: { readonly marks: readonly CreatedRecord[]; readonly untouched: readonly CreatedRecord[] } =
        await this.own.read('listing what was created', { marks: [], untouched: [] }, async (session) => {
          const { rows } = await session.query<{ readonly key: Buffer; readonly version: Version }>(
            `SELECT key, version FROM ${tables.marks} WHERE migration = $1 AND created AND key ${operator} $2
               ${range.end === null ? '' : 'AND key < $4'} ORDER BY key LIMIT $3`,
            [
              migration,
              Buffer.from(keyToBytes(from)),
              pageKeysMax,
              ...(range.end === null ? [] : [Buffer.from(keyToBytes(range.end))]),
            ],
          );
          const marks = rows.map(({ key, version }) => ({ key: keyFromBytes(key), version }));
          const found = await lookUpRows(
            session,
            this.target.tables,
            marks.map(({ key }) => key),
          );
          return { marks, untouched: marks.filter(({ version }, at) => found[at]?.version === version) };
        });
      after = listed.marks.at(-1)?.key ?? null;
      if (after === null) return;
      yield listed.untouched;
    }
  }

  removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    return this.inSteps('removing what was created', records, epoch, (session, step) =>
      removeRows(session, this.target.tables, this.context, step),
    );
  }

  readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    const absent: readonly (BeforeImage | null)[] = keys.map(() => null);
    return this.own.read('reading what is there', absent, async (session) => {
      const records = await lookUpRows(session, this.target.tables, keys);
      const memory = await readMemory(session, this.context, keys);
      return records.map((record) => {
        return record === null ? null : { ...record, origin: originOf(memoryOf(memory, record.key), record.version) };
      });
    });
  }

  restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    return this.inSteps('restoring', restorations, epoch, (session, step) =>
      restoreRows(session, this.target.tables, this.context, step, epoch, this.nowMs()),
    );
  }

  dropControl(epoch: Fence): Promise<void> {
    const { tables, migration } = this.context;
    return this.own.write('dropping control rows', async (session) => {
      await assertEpoch(session, this.context, epoch);
      for (const table of [
        tables.fences,
        tables.marks,
        tables.deletions,
        tables.tombstones,
        tables.origins,
        tables.tails,
      ]) {
        await session.query(`DELETE FROM ${table} WHERE migration = $1`, [migration]);
      }
    });
  }

  readDone(): Promise<string | null> {
    const { tables, migration } = this.context;
    return this.own.read('reading the done marker', null, async (session) => {
      const { rows } = await session.query<{ readonly marker: string }>(
        `SELECT marker FROM ${tables.done} WHERE migration = $1`,
        [migration],
      );
      return rows[0]?.marker ?? null;
    });
  }

  writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const { tables, migration } = this.context;
    return this.own.write('writing the done marker', async (session) => {
      await assertEpoch(session, this.context, epoch);
      if (marker === null) await session.query(`DELETE FROM ${tables.done} WHERE migration = $1`, [migration]);
      else {
        await session.query(
          `INSERT INTO ${tables.done} VALUES ($1, $2) ON CONFLICT (migration) DO UPDATE SET marker = excluded.marker`,
          [migration, marker],
        );
      }
    });
  }

  /** Each step under the epoch, in a transaction of its own; none is begun under another. */
  private async inSteps<T, R>(
    doing: string,
    items: readonly T[],
    epoch: Fence,
    step: (session: Session, items: readonly T[]) => Promise<readonly R[]>,
  ): Promise<readonly R[]> {
    const results: R[] = [];
    for (let at = 0; at === 0 || at < items.length; at += stepKeysMax) {
      const part = items.slice(at, at + stepKeysMax);
      results.push(
        ...(await this.own.write(doing, async (session) => {
          await assertEpoch(session, this.context, epoch);
          return await step(session, part);
        })),
      );
    }
    return results;
  }

  private fence(session: Session, chunk: ChunkId): Promise<Fence | null> {
    const { tables, migration } = this.context;
    const sql = `SELECT attempt, token FROM ${tables.fences} WHERE migration = $1 AND chunk = $2`;
    return readFence(session, sql, [migration, chunk]);
  }
}
