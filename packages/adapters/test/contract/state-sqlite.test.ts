/**
 * Goal: a state file keeps every promise of the port, among threads of one process and among processes.
 * Method: the contract suite; child processes that race for the same items; files that are not as they should be.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { stateContract } from '@keyferry/core/testing';
import { Connection } from '../../src/sqlite/connection.ts';
import { openSqliteState } from '../../src/state/index.ts';
import { ensureFormat, upgrades } from '../../src/state/sqlite-format.ts';

const folders: string[] = [];

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-state-'));
  folders.push(folder);
  return join(folder, 'deeper', 'state.db');
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

stateContract('an SQLite file', {
  open: async () => {
    const file = newFile();
    const stores = [await openSqliteState({ file })];
    return {
      store: stores[0] as Awaited<ReturnType<typeof openSqliteState>>,
      openAnother: async () => {
        const another = await openSqliteState({ file });
        stores.push(another);
        return another;
      },
      close: async () => {
        for (const store of stores) await store.close();
      },
    };
  },
});

const event = (message: string) => ({ atMs: 1, run: 'r', type: 't', message });

describe('processes that share a state file', () => {
  const run = promisify(execFile);
  const racer = join(import.meta.dirname, 'state-sqlite.racer.ts');

  it('have one winner for each item, and lose no change', async () => {
    const file = newFile();
    const names = ['a', 'b', 'c', 'd', 'e'];
    const rounds = 40;
    // They all open a file that is not there yet: creating it is part of the race.
    const outputs = await Promise.all(
      names.map((name) => run(process.execPath, ['--conditions=keyferry-source', racer, file, name, String(rounds)])),
    );
    const results = outputs.map(({ stdout }) => JSON.parse(stdout) as { name: string; won: number[]; raised: number });
    const wins = results.flatMap(({ won }) => won).toSorted((a, b) => a - b);
    expect(wins).toEqual(Array.from({ length: rounds }, (_, round) => round));
    const state = await openSqliteState({ file });
    for (const { name, won } of results) {
      for (const round of won) {
        expect((await state.read('event', 'race', `round-${round}`))?.item.message).toBe(name);
      }
    }
    expect((await state.read('event', 'race', 'counter'))?.item.atMs).toBe(names.length * rounds);
    await state.close();
  });
});

describe('a state file', () => {
  it('keeps what was written when it is closed and opened again', async () => {
    const file = newFile();
    const first = await openSqliteState({ file });
    await first.write('event', 'm', 'e', event('kept'), 'absent');
    await first.close();
    const second = await openSqliteState({ file });
    expect((await second.read('event', 'm', 'e'))?.item).toEqual(event('kept'));
    await second.close();
  });

  it.skipIf(process.platform === 'win32')('and its log are readable by their owner only', async () => {
    const file = newFile();
    const state = await openSqliteState({ file });
    await state.write('event', 'm', 'e', event('secret'), 'absent');
    for (const path of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(path).mode & 0o777).toBe(0o600);
    await state.close();
  });

  it('of a newer format is refused and left as it is', async () => {
    const file = newFile();
    await (await openSqliteState({ file })).close();
    const database = new DatabaseSync(file);
    database.exec(`UPDATE meta SET value = 7 WHERE name = 'format'; ALTER TABLE items RENAME TO things`);
    database.close();
    await expect(openSqliteState({ file })).rejects.toMatchObject({
      code: 'state.newer',
      details: { where: file, found: '7', known: String(upgrades.length) },
    });
  });

  it('of an older format is upgraded step by step, its items kept', async () => {
    const file = newFile();
    const state = await openSqliteState({ file });
    await state.write('event', 'm', 'e', event('old'), 'absent');
    await state.close();
    const connection = new Connection({ file, readOnly: false, busyTimeoutMs: 0, toError: (error) => error });
    const steps: string[] = [];
    const later = [
      ...upgrades,
      () => steps.push('2'),
      (c: Connection) => {
        steps.push('3');
        c.script('ALTER TABLE items ADD COLUMN note TEXT');
      },
    ];
    ensureFormat(connection, file, later);
    ensureFormat(connection, file, later);
    expect(steps).toEqual(['2', '3']);
    expect(connection.get(`SELECT value FROM meta WHERE name = 'format'`)).toMatchObject({ value: later.length });
    expect(connection.get('SELECT body, note FROM items')).toMatchObject({ body: JSON.stringify(event('old')) });
    connection.close();
    await expect(openSqliteState({ file })).rejects.toMatchObject({ code: 'state.newer' });
  });

  it('whose upgrade fails stays as it was', async () => {
    const file = newFile();
    await (await openSqliteState({ file })).close();
    const connection = new Connection({ file, readOnly: false, busyTimeoutMs: 0, toError: (error) => error });
    const failing = [
      ...upgrades,
      (c: Connection) => c.script('DROP TABLE items'),
      (c: Connection) => c.script('DROP TABLE not_there'),
    ];
    expect(() => ensureFormat(connection, file, failing)).toThrow(/not_there/);
    connection.close();
    const state = await openSqliteState({ file });
    expect(await state.list('event', 'm', { after: null, itemsMax: 1 })).toEqual({ entries: [], next: null });
    await state.close();
  });

  it('that is locked by another process for too long says so', async () => {
    const file = newFile();
    const state = await openSqliteState({ file, busyTimeoutMs: 20 });
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    const write = state.write('event', 'm', 'e', event('late'), 'absent');
    await expect(write).rejects.toMatchObject({ code: 'state.busy', retry: 'backoff' });
    other.exec('ROLLBACK');
    other.close();
    expect((await state.write('event', 'm', 'e', event('late'), 'absent')).kind).toBe('written');
    await state.close();
  });

  it('that is no database cannot be used', async () => {
    const file = newFile();
    await (await openSqliteState({ file })).close();
    writeFileSync(file, 'x'.repeat(5000));
    await expect(openSqliteState({ file })).rejects.toMatchObject({ code: 'state.unusable' });
  });

  it('that belongs to something else cannot be used, and stays as it is', async () => {
    const file = newFile();
    await (await openSqliteState({ file: `${file}-other` })).close();
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE theirs (x)');
    await expect(openSqliteState({ file })).rejects.toMatchObject({ code: 'state.unusable' });
    expect(database.prepare('SELECT name FROM sqlite_schema').all()).toMatchObject([{ name: 'theirs' }]);
    database.close();
  });

  it('in a folder that is a file cannot be used', async () => {
    const file = newFile();
    await (await openSqliteState({ file })).close();
    await expect(openSqliteState({ file: join(file, 'state.db') })).rejects.toMatchObject({ code: 'state.unusable' });
  });

  it('answers nothing more once it is closed', async () => {
    const state = await openSqliteState({ file: newFile() });
    await state.close();
    await expect(state.read('event', 'm', 'e')).rejects.toMatchObject({ code: 'internal.invariant' });
  });
});
