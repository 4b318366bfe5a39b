/**
 * What carries a feed's changes into a table of records: one IMMEDIATE transaction, which reads fence and epoch, makes the
 * changes and stores the position. It happens within the call, so none is ever late, and none loses its answer but with
 * the process.
 */
import {
  compareFences,
  invariant,
  KeyferryError,
  keyToBytes,
  recordBytes,
  type Fence,
  type Position,
  type TailCapabilities,
  type TailChange,
  type TailClaim,
  type TailControl,
  type TailName,
  type TailOutcome,
  type TailRecord,
  type TailWriter,
} from '@keyferry/core';
import { sqliteCapabilities } from './capabilities.ts';
import type { Connection } from './connection.ts';
import { ensureTailTable, hasTailTable } from './schema.ts';
import { fenceOf, readEpoch, sameFence, writeRecord, type ControlContext } from './target.ts';

const changesMax = sqliteCapabilities.batchKeysMax;

export class SqliteTailControl implements TailControl {
  readonly capabilities: TailCapabilities = { atomic: true, fencing: true, changesMax };
  private readonly context: Pick<ControlContext, 'migration' | 'names' | 'read' | 'write'>;

  constructor(context: Pick<ControlContext, 'migration' | 'names' | 'read' | 'write'>) {
    this.context = context;
  }

  async readTail(tail: TailName): Promise<TailRecord | null> {
    return this.context.read<TailRecord | null>(null, (connection) => this.held(connection, tail));
  }

  async claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { names, migration, write } = this.context;
    return write<TailClaim>((connection) => {
      const held = this.held(connection, tail);
      const current = readEpoch(connection, names, migration);
      const isHigher = held === null || compareFences(fence, held.fence) > 0;
      if (!isHigher || !sameFence(current, epoch)) {
        return { kind: 'refused', fence: held?.fence ?? null, epoch: current };
      }
      ensureTailTable(connection, names);
      const position = held?.position ?? null;
      this.store(connection, tail, { fence, position });
      return { kind: 'claimed', position, writer: this.writer(tail, fence, epoch) };
    });
  }

  private writer(tail: TailName, fence: Fence, epoch: Fence): TailWriter {
    const { names, migration, write } = this.context;
    return {
      apply: async (changes, position) => {
        invariant(changes.length <= changesMax, `${changes.length} changes at once`);
        return write((connection) => {
          const held = this.held(connection, tail);
          const isMine = held !== null && sameFence(held.fence, fence);
          if (!isMine || !sameFence(readEpoch(connection, names, migration), epoch)) {
            throw new KeyferryError('fence.lost', { chunk: `${tail} tail` });
          }
          const outcomes = changes.map((change) => this.change(connection, tail, change));
          if (position !== null) this.store(connection, tail, { fence, position });
          return outcomes;
        });
      },
    };
  }

  private change(connection: Connection, tail: TailName, change: TailChange): TailOutcome {
    const { names, migration } = this.context;
    const bytes = recordBytes(change);
    const { recordBytesMax } = sqliteCapabilities;
    if (recordBytesMax !== null && bytes > recordBytesMax) {
      return { kind: 'refused', detail: `${bytes} bytes, at most ${recordBytesMax}` };
    }
    const key = keyToBytes(change.key);
    if (change.kind === 'delete') {
      connection.run(`DELETE FROM ${names.records} WHERE key = ?`, key);
      if (tail === 'forward') connection.run(`REPLACE INTO ${names.tombstones} VALUES (?, ?)`, migration, key);
      return { kind: 'deleted' };
    }
    connection.run(`DELETE FROM ${names.tombstones} WHERE migration = ? AND key = ?`, migration, key);
    return { kind: 'written', version: writeRecord(connection, names, change) };
  }

  private held(connection: Connection, tail: TailName): TailRecord | null {
    const { names, migration } = this.context;
    if (!hasTailTable(connection, names)) return null;
    const sql = `SELECT attempt, token, position FROM ${names.tails} WHERE migration = ? AND tail = ?`;
    const row = connection.get(sql, migration, tail);
    const fence = fenceOf(row);
    return fence === null ? null : { fence, position: (row?.['position'] ?? null) as Position | null };
  }

  private store(connection: Connection, tail: TailName, { fence, position }: TailRecord): void {
    const { names, migration } = this.context;
    const { attempt, token } = fence;
    connection.run(`REPLACE INTO ${names.tails} VALUES (?, ?, ?, ?, ?)`, migration, tail, attempt, token, position);
  }
}
