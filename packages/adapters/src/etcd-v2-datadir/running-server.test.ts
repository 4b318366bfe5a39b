/**
 * Goal: a lock on the files is seen, and files that nobody holds are free. Method: SQLite takes locks like etcd's of 3.x on
 * a file of the directory, and lets them go; real servers are in the contract tests.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import type { DataDirectory } from './layout.ts';
import { serverOn } from './running-server.ts';

it.runIf(process.platform === 'linux')('says who holds the lock of a file, and nothing once it is let go', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-lock-'));
  try {
    const file = join(folder, 'held');
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE t (a)');
    const segments = [{ file, firstIndex: 0, bytes: 0 }];
    const directory: DataDirectory = {
      path: folder,
      logPath: folder,
      snapshots: [],
      segments,
      backend: null,
      fingerprint: '',
    };
    expect(await serverOn(directory)).toEqual({ kind: 'none' });
    database.exec('BEGIN EXCLUSIVE');
    expect(await serverOn(directory)).toEqual({ kind: 'running', file, process: process.pid });
    database.exec('COMMIT');
    expect(await serverOn(directory)).toEqual({ kind: 'none' });
    database.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
