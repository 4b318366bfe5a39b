/**
 * Goal: batches that come together are committed together, each is answered only then, and none is at the mercy of another.
 * Method: a file of SQLite's; how often a transaction was run is counted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection } from './connection.ts';
import { GroupCommit } from './group-commit.ts';

let folder: string;
let connection: Connection;
let transactions: number;
let group: GroupCommit;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyferry-group-'));
  const file = join(folder, 'a.db');
  connection = new Connection({ file, readOnly: false, busyTimeoutMs: 1000, toError: (error) => error });
  connection.script('CREATE TABLE t (n INTEGER PRIMARY KEY)');
  transactions = 0;
  group = new GroupCommit((body) => {
    transactions += 1;
    connection.writeTransaction(() => body(connection));
  });
});

afterEach(() => {
  connection.close();
  rmSync(folder, { recursive: true });
});

const rows = (): readonly unknown[] => connection.all('SELECT n FROM t ORDER BY n').map((row) => row['n']);
const insert =
  (...all: readonly number[]) =>
  (on: Connection): number => {
    for (const n of all) on.run('INSERT INTO t VALUES (?)', n);
    return all.length;
  };

describe('batches', () => {
  it('that come together are one transaction, and answered when it is committed', async () => {
    const seen: boolean[] = [];
    const answers = [insert(1), insert(2, 3), insert(4)].map(async (each) => {
      const answer = await group.run(1, each);
      seen.push(connection.isInTransaction);
      return answer;
    });
    expect(rows()).toEqual([]);
    expect(await Promise.all(answers)).toEqual([1, 2, 1]);
    expect(seen).toEqual([false, false, false]);
    expect(rows()).toEqual([1, 2, 3, 4]);
    expect(transactions).toBe(1);
  });

  it('that come later are a transaction of their own', async () => {
    await group.run(1, insert(1));
    await group.run(1, insert(2));
    expect(transactions).toBe(2);
    expect(rows()).toEqual([1, 2]);
  });

  it('fail alone, with all that they did', async () => {
    const fails = (on: Connection): never => {
      insert(7, 8)(on);
      throw new RangeError('the fence is lost');
    };
    const [first, second, third] = await Promise.allSettled([
      group.run(1, insert(1)),
      group.run(1, fails),
      group.run(1, insert(2)),
    ]);
    expect(first).toEqual({ status: 'fulfilled', value: 1 });
    expect(second).toMatchObject({ status: 'rejected', reason: { message: 'the fence is lost' } });
    expect(third).toEqual({ status: 'fulfilled', value: 1 });
    expect(rows()).toEqual([1, 2]);
  });

  it('all fail where the transaction does, and can come again', async () => {
    const endsIt = (on: Connection): never => {
      on.script('ROLLBACK'); // as SQLite does by itself when the disk is full
      throw new RangeError('no space');
    };
    const tried = await Promise.allSettled([group.run(1, insert(1)), group.run(1, endsIt), group.run(1, insert(2))]);
    expect(tried.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(rows()).toEqual([]);
    await Promise.all([group.run(1, insert(1)), group.run(1, insert(2))]);
    expect(rows()).toEqual([1, 2]);
  });

  it('do not wait for more than they may hold', async () => {
    const far = 64 * 1024 * 1024;
    const answers: Promise<number>[] = [];
    for (let n = 1; n <= 3; n += 1) {
      answers.push(group.run(far, insert(n)));
      await new Promise((resolve) => void setImmediate(resolve));
    }
    await Promise.all(answers);
    expect(transactions).toBe(3);
  });
});
