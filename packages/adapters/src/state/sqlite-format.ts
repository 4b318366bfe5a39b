/**
 * The format of a state file, and how an older one becomes the present one.
 *
 *     new file ──upgrades[0]──► format 1 ──upgrades[1]──► format 2 …
 *
 * Creating is the first upgrade, so the one path that leads to today's format is the one that every test takes. All of
 * it happens in one transaction: processes that open the file at once wait for each other and find it done.
 * A file of a newer format is refused before anything in it is touched.
 */
import { KeyferryError } from '@keyferry/core';
import type { Connection } from '../sqlite/connection.ts';

/** Marks the file as a keyferry state (`kfst`), for `file` and for the check that nobody else's database is taken. */
const applicationId = 0x6b_66_73_74;

export type Upgrade = (connection: Connection) => void;

/** `upgrades[n]` leads from format n to n + 1. Never change one that was released: add the next. */
export const upgrades: readonly Upgrade[] = [
  (connection) =>
    connection.script(`
      PRAGMA application_id = ${applicationId};
      CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
      INSERT INTO meta VALUES ('format', 0), ('version', 0);
      CREATE TABLE items (
        kind TEXT NOT NULL, scope TEXT NOT NULL, id TEXT NOT NULL,
        version INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, scope, id)
      ) WITHOUT ROWID;`),
];

/**
 * @throws {KeyferryError} `state.newer`: written by a newer keyferry; `state.unusable`: a database of somebody else.
 */
export function ensureFormat(connection: Connection, file: string, path: readonly Upgrade[] = upgrades): void {
  if (readFormat(connection, file, path.length) === path.length) return;
  connection.ensureWriteAheadLog();
  connection.writeTransaction(() => {
    const found = readFormat(connection, file, path.length);
    for (const upgrade of path.slice(found)) upgrade(connection);
    connection.run(`UPDATE meta SET value = ? WHERE name = 'format'`, path.length);
  });
}

/** 0: an empty file. */
function readFormat(connection: Connection, file: string, known: number): number {
  const tables = connection.get('SELECT count(*) AS count FROM sqlite_schema');
  if (tables?.['count'] === 0) return 0;
  if (connection.get('PRAGMA application_id')?.['application_id'] !== applicationId) {
    throw new KeyferryError('state.unusable', { where: file, detail: 'it is a database of something else' });
  }
  const found = Number(connection.get(`SELECT value FROM meta WHERE name = 'format'`)?.['value']);
  if (found > known) {
    throw new KeyferryError('state.newer', { where: file, found: String(found), known: String(known) });
  }
  return found;
}
