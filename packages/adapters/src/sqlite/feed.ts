/**
 * The changes of a table as a feed: a log that triggers write in the transaction of each change, from the moment when somebody
 * first asks where the feed stands.
 *
 *     position = generation of the file : counter of changes : the last expiry that has passed, in milliseconds
 *
 * SQLite does not tell where a transaction ends, and a reader sees whole ones only; so a step holds all that there is. A
 * row that expires changes nothing in the file, and is told as deleted by the clock. The log keeps the last 100,000 changes
 * of the file and is there for good: whoever wants to be rid of it drops its triggers (README.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  keyFromBytes,
  KeyferryError,
  type ChangeFeed,
  type FeedCapabilities,
  type FeedReadOptions,
  type FeedStep,
  type KeyRange,
  type OpenFeed,
  type Position,
  type SourceChange,
  type Version,
} from '@keyferry/core';
import type { Connection } from './connection.ts';
import { readGeneration, type TableNames } from './schema.ts';
import { inRange, readPosition } from './source.ts';

export interface FeedContext {
  readonly store: string;
  readonly names: TableNames;
  readonly nowMs: () => number;
  /** Null while there is no table. */
  readonly read: <T>(body: (connection: Connection) => T) => T | null;
  /** Runs `body` in a transaction, after creating what tables are missing. */
  readonly write: <T>(body: (connection: Connection) => T) => T;
}

export const loggedMax = 100_000;
/** A look is a read of one row; nobody tells a reader that another process wrote. */
const lookEveryMs = 20;

interface Place {
  readonly generation: string;
  readonly counter: bigint;
  readonly expiredUpToMs: number;
}

export class SqliteFeed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: false,
    retention: { changesMax: loggedMax, ageMsMax: null },
  };
  private readonly context: FeedContext;

  constructor(context: FeedContext) {
    this.context = context;
  }

  /** Begins the log, if nobody has yet: then this writes to the file. */
  async head(): Promise<Position> {
    const { names, nowMs, read, write } = this.context;
    const place = read((connection) => (hasLog(connection, names) ? placeOf(connection, names, nowMs()) : null));
    return toPosition(
      place ??
        write((connection) => {
          ensureLog(connection, names);
          return placeOf(connection, names, nowMs());
        }),
    );
  }

  hasReached(position: Position, mark: Position): boolean {
    const [here, there] = [this.fromPosition(position), this.fromPosition(mark)];
    if (here.generation !== there.generation) return false;
    return here.counter >= there.counter && here.expiredUpToMs >= there.expiredUpToMs;
  }

  changesBetween(position: Position, mark: Position): number | null {
    const [here, there] = [this.fromPosition(position), this.fromPosition(mark)];
    // How many records an expiry takes along is not known before it is read.
    if (here.generation !== there.generation || there.expiredUpToMs > here.expiredUpToMs) return null;
    return Math.max(0, Number(there.counter - here.counter));
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    let place = this.fromPosition(after);
    let isClosed = false;
    return {
      read: async ({ waitMs, signal }: FeedReadOptions) => {
        const untilMs = performance.now() + waitMs;
        for (;;) {
          const step = this.step(range, place);
          const isOver = isClosed || signal?.aborted === true || performance.now() >= untilMs;
          if (step.kind === 'lost') return step;
          if (step.changes.length === 0 && !isOver) {
            await sleep(lookEveryMs);
            continue;
          }
          place = this.fromPosition(step.position);
          return step;
        }
      },
      close: async () => {
        isClosed = true;
      },
    };
  }

  private step(range: KeyRange, place: Place): FeedStep {
    const { names, nowMs, read } = this.context;
    const step = read<FeedStep>((connection) => {
      // One snapshot for all that is read; writers of other processes go on beside it.
      connection.script('BEGIN');
      try {
        const now = placeOf(connection, names, nowMs());
        const head = { ...now, expiredUpToMs: Math.max(place.expiredUpToMs, now.expiredUpToMs) };
        const why = whyLost(connection, names, place, head);
        if (why !== null) return { kind: 'lost', why };
        const changes = [
          ...loggedChanges(connection, names, range, place),
          ...expiries(connection, names, range, place, head),
        ];
        return { kind: 'changes', changes, position: toPosition(head) };
      } finally {
        connection.script('COMMIT');
      }
    });
    return step ?? { kind: 'lost', why: `there is no table ${names.records}` };
  }

  private fromPosition(position: Position): Place {
    const match = /^([0-9a-f]{16}):(\d+):(\d+)$/.exec(position);
    if (match !== null) {
      const [, generation = '', counter = '', expired = ''] = match;
      return { generation, counter: BigInt(counter), expiredUpToMs: Number(expired) };
    }
    const detail = `${JSON.stringify(position)} is no position of a feed of SQLite`;
    throw new KeyferryError('store.answer-unexpected', { store: this.context.store, detail });
  }
}

function toPosition({ generation, counter, expiredUpToMs }: Place): Position {
  return `${generation}:${counter}:${expiredUpToMs}` as Position;
}

function placeOf(connection: Connection, names: TableNames, nowMs: number): Place {
  const [counter = '0', expired = '0'] = readPosition(connection, names, nowMs).split('.');
  // A file from before there were generations has none: all such are taken for one.
  const generation = readGeneration(connection) ?? '0'.repeat(16);
  return { generation, counter: BigInt(counter), expiredUpToMs: Number(expired) };
}

function whyLost(connection: Connection, names: TableNames, place: Place, head: Place): string | null {
  if (place.generation !== head.generation) return 'the file is another one than before';
  if (place.counter > head.counter) return 'the file was put back to an earlier state';
  if (!hasLog(connection, names)) return `table ${names.records} no longer has its log of changes`;
  const since = connection.get(`SELECT CAST(value AS TEXT) AS since FROM keyferry_meta WHERE name = ?`, logName(names));
  const keptFrom = head.counter - BigInt(loggedMax);
  const from = BigInt(String(since?.['since'])) > keptFrom ? BigInt(String(since?.['since'])) : keptFrom;
  return place.counter < from ? `the log begins at change ${from}, and ${place.counter} was read last` : null;
}

function loggedChanges(connection: Connection, names: TableNames, range: KeyRange, { counter }: Place): SourceChange[] {
  const { sql, keys } = inRange(range);
  const changes: SourceChange[] = [];
  connection.each(
    `SELECT key, value, CAST(version AS TEXT) AS version, expires_at_ms FROM ${names.changes}
     WHERE version > CAST(? AS INTEGER) AND ${sql} ORDER BY sequence`,
    [String(counter), ...keys],
    (row) => {
      const key = keyFromBytes(row['key'] as Uint8Array);
      const value = row['value'] as Uint8Array | null;
      if (value === null) changes.push({ kind: 'delete', key });
      else {
        const expiresAtMs = row['expires_at_ms'] as number | null;
        changes.push({ kind: 'put', key, value, version: row['version'] as Version, expiresAtMs });
      }
      return true;
    },
  );
  return changes;
}

/** Rows whose time ended since, and that are there still: nobody need remove them. */
function expiries(
  connection: Connection,
  { records }: TableNames,
  range: KeyRange,
  place: Place,
  head: Place,
): SourceChange[] {
  const { sql, keys } = inRange(range);
  // What was put with an end that lay behind already is in the log as well, so its end is told behind it.
  const rows = connection.all(
    `SELECT key FROM ${records} WHERE expires_at_ms <= ? AND ${sql}
       AND (expires_at_ms > ? OR version > CAST(? AS INTEGER)) ORDER BY expires_at_ms, key`,
    head.expiredUpToMs,
    ...keys,
    place.expiredUpToMs,
    String(place.counter),
  );
  return rows.map((row) => ({ kind: 'delete', key: keyFromBytes(row['key'] as Uint8Array) }));
}

const logName = ({ records }: TableNames): string => `log of ${records}`;

function hasLog(connection: Connection, names: TableNames): boolean {
  const { logTriggers, changes } = names;
  const [first = '', second = '', third = ''] = logTriggers;
  const sql = `SELECT count(*) AS count FROM sqlite_schema WHERE name IN (?, ?, ?, ?)`;
  return Number(connection.get(sql, changes, first, second, third)?.['count']) === logTriggers.length + 1;
}

/** In a transaction that writes: what is logged begins with the next change. */
function ensureLog(connection: Connection, names: TableNames): void {
  if (hasLog(connection, names)) return;
  const { records, changes, logTriggers } = names;
  const [put, moved, deleted] = logTriggers;
  const counter = `(SELECT value FROM keyferry_meta WHERE name = 'counter')`;
  const log = (version: string, key: string, rest: string): string =>
    `INSERT INTO ${changes} (version, key, value, expires_at_ms) VALUES (${version}, ${key}, ${rest});`;
  const gone = log(`${counter} + 1`, 'OLD.key', 'NULL, NULL');
  const prune = `DELETE FROM ${changes} WHERE version <= ${counter} - ${loggedMax};`;
  // SQLite runs the triggers of one event in no order of its own. So a put is logged by the update that gives the record its
  // version, behind the count; and what goes, before any trigger can have counted.
  connection.script(`
CREATE TABLE IF NOT EXISTS ${changes} (
  sequence INTEGER PRIMARY KEY, version INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, expires_at_ms INTEGER
);
CREATE INDEX IF NOT EXISTS keyferry_${records}_change ON ${changes} (version);
DELETE FROM ${changes};
CREATE TRIGGER IF NOT EXISTS ${put} AFTER UPDATE OF version ON ${records} BEGIN
  ${log(counter, 'NEW.key', 'NEW.value, NEW.expires_at_ms')}
  ${prune}
END;
CREATE TRIGGER IF NOT EXISTS ${moved} BEFORE UPDATE OF key ON ${records} WHEN OLD.key <> NEW.key BEGIN
  ${gone}
END;
CREATE TRIGGER IF NOT EXISTS ${deleted} BEFORE DELETE ON ${records} BEGIN
  ${gone}
  ${prune}
END;
INSERT OR REPLACE INTO keyferry_meta VALUES ('${logName(names)}', ${counter});`);
}
