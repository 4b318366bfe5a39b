/** The canonical records as local files: NDJSON, an SQLite table in keyferry's format, and sorted keys, one a line. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { sqliteTableSql } from '@keyferry/adapters/sqlite';
import { records } from './records.ts';

const pieceBytes = 1024 * 1024;

export function writeNdjson(path: string, count: number): void {
  writeLines(path, lines());
  function* lines(): Generator<string> {
    for (const record of records(count)) yield JSON.stringify(record);
  }
}

export function writeLines(path: string, lines: Iterable<string>): void {
  const file = openSync(path, 'w');
  try {
    let piece = '';
    for (const line of lines) {
      piece += `${line}\n`;
      if (piece.length < pieceBytes) continue;
      writeSync(file, piece);
      piece = '';
    }
    writeSync(file, piece);
  } finally {
    closeSync(file);
  }
}

export function writeSqlite(path: string, count: number): void {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    database.exec(sqliteTableSql());
    const insert = database.prepare('INSERT INTO records (key, value) VALUES (?, ?)');
    database.exec('BEGIN');
    for (const { key, value } of records(count)) insert.run(Buffer.from(key), Buffer.from(value));
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}
