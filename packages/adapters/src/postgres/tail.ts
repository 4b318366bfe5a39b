/**
 * The tails of a migration that write to tables: each `apply` one transaction, with the position in it.
 *
 *     BEGIN ─► tombstones locked ─► tail FOR UPDATE, epoch ─► look, put, delete ─► tombstones ─► position ─► COMMIT
 *                                       └── its sequence is mine already: the answer of then
 *
 * The record of a tail counts the calls that were made. A request that is late finds a higher number, and a repeat finds its
 * own and the answer that was lost. Tombstones are locked first, as the backfill does: whoever came second there waits
 * before it holds any row.
 *
 * A row that the server refuses ends the transaction. Then the changes are made again in halves, each behind a savepoint and
 * in their order, down to the one that is to blame.
 */
import {
  compareFences,
  invariant,
  isKeyferryError,
  KeyferryError,
  recordBytes,
  type Fence,
  type Key,
  type MigrationId,
  type Position,
  type TailCapabilities,
  type TailChange,
  type TailClaim,
  type TailControl,
  type TailName,
  type TailOutcome,
  type TailRecord,
  type TailWriter,
  type Version,
} from '@keyferry/core';
import type { ResolvedTable } from './catalog.ts';
import { controlTables, keysParameter, type ControlContext } from './control-tables.ts';
import { isRecordsFault, refusalOf } from './errors.ts';
import { readEpoch, sameFence } from './fences.ts';
import { lookUpRows } from './look-up.ts';
import { OwnTables } from './own-tables.ts';
import { byTable, deleteRows, insertRows, lookAtRows, ownVersion, updateRows, type RowInput } from './rows.ts';
import type { Session } from './session.ts';
import type { PostgresTarget } from './target-context.ts';
import { lackingToWrite } from './write-rights.ts';

/** Looks at one key before it is given up: each time somebody has made it between the look and the write. */
const looksMax = 5;

interface TailRow {
  readonly attempt: string;
  readonly token: string;
  readonly position: string | null;
  readonly sequence: string;
  readonly answer: readonly TailOutcome[];
}

type Refuse = (ord: number, detail: string) => void;

interface Entry extends RowInput {
  readonly table: ResolvedTable;
}

export class PostgresTail implements TailControl {
  readonly capabilities: TailCapabilities;
  private readonly target: PostgresTarget;
  private readonly context: ControlContext;
  private readonly own: OwnTables;

  constructor(target: PostgresTarget, migration: MigrationId) {
    this.target = target;
    this.context = { store: target.store, migration, tables: controlTables(target.schema) };
    this.own = new OwnTables(target);
    this.capabilities = { atomic: true, fencing: true, changesMax: target.capabilities.batchKeysMax };
  }

  readTail(tail: TailName): Promise<TailRecord | null> {
    return this.own.read(`reading the ${tail} tail`, null, async (session) => {
      const row = await this.row(session, tail);
      return row && { fence: fenceIn(row), position: row.position as Position | null };
    });
  }

  async lacks(): Promise<string | null> {
    const { sessions, schema } = this.target;
    try {
      const { tables } = await this.target.load();
      return await sessions.run('looking at what its user may', (session) => lackingToWrite(session, schema, tables));
    } catch (error) {
      if (!isKeyferryError(error, 'store.unsupported')) throw error;
      return error.details.detail;
    }
  }

  claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { tables, migration } = this.context;
    return this.own.write(`claiming the ${tail} tail`, async (session) => {
      const current = await readEpoch(session, this.context, 'FOR SHARE');
      if (sameFence(current, epoch)) {
        const { rows } = await session.query<{ readonly position: Position | null }>(
          `INSERT INTO ${tables.tails} AS t VALUES ($1, $2, $3, $4, NULL, 0, '[]') ON CONFLICT (migration, tail) DO UPDATE
             SET attempt = excluded.attempt, token = excluded.token, sequence = 0, answer = '[]'
             WHERE (t.attempt, t.token) < (excluded.attempt, excluded.token) RETURNING position`,
          [migration, tail, fence.attempt, fence.token],
        );
        const [claimed] = rows;
        if (claimed !== undefined) {
          return { kind: 'claimed', position: claimed.position, writer: this.writer(tail, fence, epoch) };
        }
      }
      const held = await this.row(session, tail);
      return { kind: 'refused', fence: held && fenceIn(held), epoch: current };
    });
  }

  private writer(tail: TailName, fence: Fence, epoch: Fence): TailWriter {
    // Of the calls that were answered. The one after them carries it, and so does its repeat.
    let answered = 0;
    return {
      apply: async (changes, position) => {
        const { batchKeysMax } = this.target.capabilities;
        invariant(changes.length <= batchKeysMax, `${changes.length} changes at once`);
        invariant(new Set(changes.map(({ key }) => key)).size === changes.length, 'a key twice in one apply');
        const call = { tail, fence, epoch, sequence: answered + 1, changes, position };
        const outcomes = await this.apply(call);
        answered += 1;
        return outcomes;
      },
    };
  }

  private async apply(call: Call): Promise<readonly TailOutcome[]> {
    try {
      return await this.transact(call, (session, refuse) => this.change(session, call.changes, refuse));
    } catch (error) {
      const { cause } = error as { readonly cause?: unknown };
      if (!isRecordsFault(cause)) throw error;
      return await this.transact(call, async (session, refuse) => {
        // What the server would check at the end only is to show at the record that is to blame.
        await session.query('SET CONSTRAINTS ALL IMMEDIATE');
        await this.changeInHalves(session, call.changes, refuse);
      });
    }
  }

  private transact(
    { tail, fence, epoch, sequence, changes, position }: Call,
    write: (session: Session, refuse: Refuse) => Promise<void>,
  ): Promise<readonly TailOutcome[]> {
    const { tables, migration } = this.context;
    const doing = `writing what the ${tail} tail brings`;
    const begin = `BEGIN; LOCK TABLE ${tables.tombstones} IN ROW EXCLUSIVE MODE`;
    return this.own.write(
      doing,
      async (session) => {
        const held = await this.row(session, tail, 'FOR UPDATE');
        const isMine = held !== null && compareFences(fenceIn(held), fence) === 0 && Number(held.sequence) <= sequence;
        if (!isMine || !sameFence(await readEpoch(session, this.context, 'FOR SHARE'), epoch)) {
          throw new KeyferryError('fence.lost', { chunk: `the ${tail} tail` });
        }
        if (Number(held.sequence) === sequence) return held.answer;
        const refused = new Map<number, string>();
        await write(session, (ord, detail) => void refused.set(ord, detail));
        const outcomes = await this.outcomes(session, changes, refused);
        await this.noteTombstones(session, tail, changes, refused);
        await session.query(
          `UPDATE ${tables.tails} SET position = coalesce($3, position), sequence = $4, answer = $5
           WHERE migration = $1 AND tail = $2`,
          [migration, tail, position, sequence, JSON.stringify(outcomes)],
        );
        return outcomes;
      },
      begin,
    );
  }

  private async changeInHalves(session: Session, changes: readonly TailChange[], refuse: Refuse): Promise<void> {
    const [only, ...others] = changes;
    if (only === undefined) return;
    // What is undone was not refused either.
    const refused: [number, string][] = [];
    await session.query('SAVEPOINT half');
    try {
      await this.change(session, changes, (ord, detail) => void refused.push([ord, detail]));
      await session.query('RELEASE half');
      for (const [ord, detail] of refused) refuse(ord, detail);
      return;
    } catch (error) {
      if (!isRecordsFault(error)) throw error;
      await session.query('ROLLBACK TO half; RELEASE half');
      if (others.length === 0) return refuse(0, refusalOf(error));
    }
    const half = Math.ceil(changes.length / 2);
    await this.changeInHalves(session, changes.slice(0, half), refuse);
    await this.changeInHalves(session, changes.slice(half), (ord, detail) => refuse(half + ord, detail));
  }

  private async change(session: Session, changes: readonly TailChange[], refuse: Refuse): Promise<void> {
    let left: Entry[] = [];
    for (const [ord, change] of changes.entries()) {
      const refusal = this.refusal(change);
      const located = refusal === null ? this.target.tables.locate(change.key) : null;
      if (refusal !== null) refuse(ord, refusal);
      if (located === null) continue; // or no row can have its key, so none is there to be deleted
      const value = change.kind === 'put' ? change.value : null;
      left.push({ ...located, ord, key: change.key, value, expect: null });
    }
    for (let looks = 1; left.length > 0; looks += 1) {
      const again: Entry[] = [];
      for (const [table, entries] of byTable(left))
        again.push(...(await this.changeRows(session, table, entries, refuse)));
      if (looks === looksMax) {
        for (const { ord } of again) refuse(ord, 'the table takes another row for this key, or a trigger keeps it out');
        return;
      }
      left = again;
    }
  }

  /** What is there is locked, so that only what is not there can be somebody else's by then. @returns those that were */
  private async changeRows(
    session: Session,
    table: ResolvedTable,
    entries: readonly Entry[],
    refuse: Refuse,
  ): Promise<readonly Entry[]> {
    const found = new Map((await lookAtRows(session, table, entries, { lock: true })).map((row) => [row.ord, row]));
    const inserts: Entry[] = [];
    const updates: Entry[] = [];
    const deletes: Entry[] = [];
    for (const entry of entries) {
      const { version = null, fits = true } = found.get(entry.ord) ?? {};
      const seen = { ...entry, expect: version };
      if (entry.value === null) {
        if (version !== null) deletes.push(seen);
      } else if (!fits) refuse(entry.ord, 'its table would keep other bytes than these');
      else if (version === null) inserts.push(seen);
      else updates.push(seen);
    }
    const gone = deletes.length === 0 ? new Set<number>() : await deleteRows(session, table, deletes);
    const updated = updates.length === 0 ? new Set<number>() : await updateRows(session, table, updates);
    const inserted = inserts.length === 0 ? new Set<Key>() : await insertRows(session, table, inserts);
    return [
      ...deletes.filter(({ ord }) => !gone.has(ord)),
      ...updates.filter(({ ord }) => !updated.has(ord)),
      ...inserts.filter(({ key }) => !inserted.has(key)),
    ];
  }

  private async outcomes(
    session: Session,
    changes: readonly TailChange[],
    refused: ReadonlyMap<number, string>,
  ): Promise<readonly TailOutcome[]> {
    const version = await ownVersion(session);
    // What was written behind a savepoint has a version of its own.
    const keys = changes.filter(({ kind }, ord) => kind === 'put' && !refused.has(ord)).map(({ key }) => key);
    const versions =
      refused.size === 0
        ? new Map<Key, Version>()
        : new Map(
            (await lookUpRows(session, this.target.tables, keys)).flatMap((row) =>
              row === null ? [] : [[row.key, row.version]],
            ),
          );
    return changes.map(({ kind, key }, ord): TailOutcome => {
      const detail = refused.get(ord);
      if (detail !== undefined) return { kind: 'refused', detail };
      return kind === 'delete'
        ? { kind: 'deleted' }
        : { kind: 'written', version: versions.get(key) ?? (version as Version) };
    });
  }

  private async noteTombstones(
    session: Session,
    tail: TailName,
    changes: readonly TailChange[],
    refused: ReadonlyMap<number, string>,
  ): Promise<void> {
    const { tables, migration } = this.context;
    const done = changes.filter((_, ord) => !refused.has(ord));
    const keysOf = (kind: TailChange['kind']) => done.filter((change) => change.kind === kind).map(({ key }) => key);
    const [put, deleted] = [keysOf('put'), tail === 'forward' ? keysOf('delete') : []];
    if (put.length > 0) {
      const sql = `DELETE FROM ${tables.tombstones} WHERE migration = $1 AND key = ANY($2::bytea[])`;
      await session.query(sql, [migration, keysParameter(put)]);
    }
    if (deleted.length > 0) {
      const sql = `INSERT INTO ${tables.tombstones} SELECT $1, unnest($2::bytea[]) ON CONFLICT DO NOTHING`;
      await session.query(sql, [migration, keysParameter(deleted)]);
    }
  }

  /** What can be told without the server. */
  private refusal(change: TailChange): string | null {
    if (change.kind === 'delete') return null;
    const { recordBytesMax } = this.target.capabilities;
    const size = recordBytes(change);
    if (recordBytesMax !== null && size > recordBytesMax) return `${size} bytes, at most ${recordBytesMax}`;
    return this.target.tables.unfit(change);
  }

  private async row(session: Session, tail: TailName, lock = ''): Promise<TailRow | null> {
    const { tables, migration } = this.context;
    const { rows } = await session.query<TailRow>(
      `SELECT attempt, token, position, sequence, answer FROM ${tables.tails} WHERE migration = $1 AND tail = $2 ${lock}`,
      [migration, tail],
    );
    return rows[0] ?? null;
  }
}

interface Call {
  readonly tail: TailName;
  readonly fence: Fence;
  readonly epoch: Fence;
  readonly sequence: number;
  readonly changes: readonly TailChange[];
  readonly position: Position | null;
}

const fenceIn = ({ attempt, token }: TailRow): Fence => ({ attempt: Number(attempt), token: Number(token) });
