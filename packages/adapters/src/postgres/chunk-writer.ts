/**
 * Writes one batch in one transaction, in which fence and epoch are read first and held until it ends.
 *
 *     BEGIN ─► fence, epoch FOR SHARE ─► look ─► insert, update, delete ─► marks ─► COMMIT
 *                                         ▲            │
 *                                         └── somebody was quicker: look again
 *
 * Whoever raises the fence waits for the batch, or the batch for the raise, which it then sees. A key's guard is part of
 * the statement that changes it (ON CONFLICT DO NOTHING, xmin), so no application can slip in between.
 *
 * A row that the server refuses ends the transaction. Then the batch is made again in halves, down to the one record that
 * is to blame: what is beside it comes through.
 */
import {
  compareFences,
  invariant,
  KeyferryError,
  recordBytes,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type Fence,
  type GuardedChange,
  type Version,
} from '@keyferry/core';
import type { ResolvedTable } from './catalog.ts';
import type { ControlContext } from './control-tables.ts';
import { isRecordsFault, refusalOf } from './errors.ts';
import { memoryOf, readMemory, writeDeletions, writeMarks, writeOrigins, type KeyMemory } from './marks.ts';
import {
  byTable,
  deleteRows,
  insertRows,
  lookAtRows,
  ownVersionSql,
  updateRows,
  type RowFound,
  type RowInput,
} from './rows.ts';
import type { Session } from './session.ts';
import type { PostgresTarget } from './target-context.ts';

/** Looks at one key before it is given up: each time somebody has changed it between the look and the write. */
const looksMax = 5;

interface Entry extends RowInput {
  readonly table: ResolvedTable;
  readonly change: GuardedChange;
}

export function chunkWriter(
  target: PostgresTarget,
  control: ControlContext,
  chunk: ChunkId,
  fence: Fence,
  epoch: Fence,
): ChunkWriter {
  const write = async (changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]> => {
    try {
      return await target.sessions.transaction(
        `writing ${chunk}`,
        (session) => writeBatch(session, { target, control, chunk, fence, epoch }, changes),
        `BEGIN; LOCK TABLE ${control.tables.tombstones} IN SHARE MODE`,
      );
    } catch (error) {
      const { cause } = error as { readonly cause?: unknown };
      if (!isRecordsFault(cause)) throw error;
      const [first, ...others] = changes;
      if (first === undefined || others.length === 0) return [{ kind: 'refused', detail: refusalOf(cause) }];
      const half = Math.ceil(changes.length / 2);
      return [...(await write(changes.slice(0, half))), ...(await write(changes.slice(half)))];
    }
  };
  return {
    write: async (changes) => {
      invariant(changes.length <= target.capabilities.batchKeysMax, `a batch of ${changes.length} changes`);
      await target.load();
      return await write(changes);
    },
  };
}

interface BatchContext {
  readonly target: PostgresTarget;
  readonly control: ControlContext;
  readonly chunk: ChunkId;
  readonly fence: Fence;
  readonly epoch: Fence;
}

async function writeBatch(
  session: Session,
  context: BatchContext,
  changes: readonly GuardedChange[],
): Promise<readonly ChangeOutcome[]> {
  const { target, control, fence } = context;
  const ownVersion = await assertFences(session, context);
  const outcomes: (ChangeOutcome | undefined)[] = [];
  let left: Entry[] = [];
  for (const [ord, change] of changes.entries()) {
    const refused = refusal(target, change);
    const located = refused === null ? target.tables.locate(change.key) : null;
    if (refused !== null) outcomes[ord] = { kind: 'refused', detail: refused };
    // No row can have its key, so none was there to be deleted.
    else if (located === null) outcomes[ord] = { kind: 'missing' };
    else {
      const expect = change.expect === 'absent' ? null : change.expect.version;
      left.push({
        ...located,
        ord,
        key: change.key,
        value: change.kind === 'put' ? change.value : null,
        expect,
        change,
      });
    }
  }
  const marks: { readonly key: Entry['key']; readonly created: boolean }[] = [];
  const origins: { readonly key: Entry['key']; readonly origin: Version }[] = [];
  const deleted: Entry['key'][] = [];
  for (let looks = 1; left.length > 0; looks += 1) {
    const memory = await readMemory(
      session,
      control,
      left.map(({ key }) => key),
    );
    const again: Entry[] = [];
    for (const [table, entries] of byTable(left)) {
      const found = new Map((await lookAtRows(session, table, entries)).map((row) => [row.ord, row]));
      const planned = entries.map((entry) => {
        const row = found.get(entry.ord) ?? nothingThere(entry.ord);
        return { entry, decision: decide(entry, row, memoryOf(memory, entry.key), fence.attempt) };
      });
      for (const { entry, decision } of planned) if (typeof decision !== 'string') outcomes[entry.ord] = decision;
      const of = (what: Write) => planned.filter(({ decision }) => decision === what).map(({ entry }) => entry);
      const [inserts, updates, deletes] = [of('insert'), of('update'), of('delete')];
      const inserted = inserts.length === 0 ? new Set<string>() : await insertRows(session, table, inserts);
      const updated = updates.length === 0 ? new Set<number>() : await updateRows(session, table, updates);
      const gone = deletes.length === 0 ? new Set<number>() : await deleteRows(session, table, deletes);
      const settle = (entry: Entry, done: boolean, outcome: ChangeOutcome): boolean => {
        if (done) outcomes[entry.ord] = outcome;
        else if (looks < looksMax) again.push(entry);
        else
          outcomes[entry.ord] = {
            kind: 'refused',
            detail: 'the table takes another row for this key, or a trigger keeps it out',
          };
        return done;
      };
      const written: ChangeOutcome = { kind: 'written', version: ownVersion };
      const settlePut = (entry: Entry, done: boolean, created: boolean): void => {
        if (!settle(entry, done, written)) return;
        const { key, change } = entry;
        marks.push({ key, created });
        if (change.kind === 'put' && change.origin !== undefined) origins.push({ key, origin: change.origin });
      };
      for (const entry of inserts) settlePut(entry, inserted.has(entry.key), true);
      for (const entry of updates) settlePut(entry, updated.has(entry.ord), false);
      for (const entry of deletes) if (settle(entry, gone.has(entry.ord), { kind: 'deleted' })) deleted.push(entry.key);
    }
    left = again;
  }
  await writeMarks(session, control, fence.attempt, ownVersion, marks);
  await writeOrigins(session, control, ownVersion, origins);
  await writeDeletions(session, control, fence.attempt, deleted);
  return outcomes.map((outcome) => {
    invariant(outcome !== undefined, 'a change without an outcome');
    return outcome;
  });
}

/** @returns the version of all that this transaction writes. @throws {KeyferryError} `fence.lost` */
async function assertFences(session: Session, { control, chunk, fence, epoch }: BatchContext): Promise<Version> {
  const { migration, tables } = control;
  const { rows } = await session.query<{
    readonly attempt: string;
    readonly token: string;
    readonly what: string;
    readonly own: string;
  }>(
    `SELECT * FROM (SELECT 'fence' AS what, attempt, token, ${ownVersionSql} AS own FROM ${tables.fences}
       WHERE migration = $1 AND chunk = $2 FOR SHARE) f
     UNION ALL
     SELECT * FROM (SELECT 'epoch', attempt, token, ${ownVersionSql} FROM ${tables.epochs} WHERE migration = $1 FOR SHARE) e`,
    [migration, chunk],
  );
  const holds = (what: string, wanted: Fence): boolean => {
    const row = rows.find((each) => each.what === what);
    return row !== undefined && compareFences({ attempt: Number(row.attempt), token: Number(row.token) }, wanted) === 0;
  };
  if (!holds('fence', fence) || !holds('epoch', epoch)) throw new KeyferryError('fence.lost', { chunk });
  return rows[0]?.own as Version;
}

type Write = 'insert' | 'update' | 'delete';

function decide({ change }: Entry, row: RowFound, memory: KeyMemory, attempt: number): Write | ChangeOutcome {
  const version = row.version as Version | null;
  if (change.kind === 'delete') {
    if (version === null) return { kind: memory.deletedBy === attempt ? 'deleted' : 'missing' };
    return version === change.expect.version ? 'delete' : { kind: 'present', version, equal: false };
  }
  const guardHolds = change.expect === 'absent' ? version === null : version === change.expect.version;
  if (guardHolds && !memory.tombstoned) {
    if (!row.fits) return { kind: 'refused', detail: 'its table would keep other bytes than these' };
    return version === null ? 'insert' : 'update';
  }
  if (version === null || guardHolds) return { kind: memory.tombstoned ? 'tombstoned' : 'missing' };
  const isRepeat = memory.mark?.version === version && memory.mark.attempt === attempt;
  return isRepeat && row.equal ? { kind: 'already-written', version } : { kind: 'present', version, equal: row.equal };
}

const nothingThere = (ord: number): RowFound => ({ ord, version: null, equal: false, fits: true });

/** What can be told without the server. */
function refusal({ capabilities, tables }: PostgresTarget, change: GuardedChange): string | null {
  if (change.kind === 'delete') return null;
  const size = recordBytes(change);
  const { recordBytesMax } = capabilities;
  if (recordBytesMax !== null && size > recordBytesMax) return `${size} bytes, at most ${recordBytesMax}`;
  return tables.unfit(change);
}
