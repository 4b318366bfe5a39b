/**
 * Goal: the whole way works with the built program, as a user walks it: plan, show, apply, verify, status, rollback.
 * Method: one folder, one command after another; each exit code, and what the next command rests on.
 */
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rows, Workbench } from './workbench.ts';

let bench: Workbench;
beforeAll(async () => {
  bench = await Workbench.create([
    ...rows(2500),
    { key: '/config/db/password', value: 'canary-value' },
    { key: '/config/sessions/a', value: 's', expiresAt: '2099-01-01T00:00:00Z' },
  ]);
});
afterAll(() => bench.remove());

const recordsInTarget = (): number => {
  const database = new DatabaseSync(bench.path('target.db'), { readOnly: true });
  try {
    return (database.prepare('SELECT count(*) AS n FROM records').get() as { n: number }).n;
  } finally {
    database.close();
  }
};

describe('file to SQLite, the whole way', () => {
  it('validates', async () => {
    const { code, stdout } = await bench.run(['validate']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('valid   keyferry.yaml: 2 stores, 1 migration')]);
  });

  it('plans, saves and writes nothing', async () => {
    const { code, stdout } = await bench.run(['plan', 'config', '--out', 'config.kfplan']);
    expect(code).toBe(0);
    expect(stdout).toContain('(nothing was written)');
    expect(stdout).toContain('Plan: 2,502 to create, 0 to overwrite, 0 to delete; 0 equal, 0 conflict, 0 not carried');
    expect(stdout).toContain('/config/db/password');
    expect(stdout).toMatch(/Next: keyferry apply config\.kfplan\n$/);
  });

  it('tells a script that there are changes', async () => {
    expect((await bench.run(['plan', 'config', '--detailed-exitcode'])).code).toBe(2);
  });

  it('shows the plan again, and its rows', async () => {
    const again = await bench.run(['show', 'config.kfplan']);
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('2,502 to create');
    const listed = await bench.json(['show', 'config.kfplan', '--only', 'create']);
    expect(listed.document).toMatchObject({ format: 'keyferry.changes', keysTotal: 2502 });
    expect(listed.document['changes']).toHaveLength(2502);
  });

  it('applies exactly that, and proves it', async () => {
    const { code, stdout, stderr } = await bench.run(['apply', 'config.kfplan', '--progress', 'lines']);
    expect(stderr).toContain('copying');
    expect(stdout).toMatch(/\+ written\s+2,502\s+2,502/);
    expect(stdout).toContain('both sides agree');
    expect(stdout).toContain('Way back: keyferry rollback config');
    expect(code).toBe(0);
    expect(recordsInTarget()).toBe(2502);
  });

  it('is harmless to repeat', async () => {
    const { code, document } = await bench.json(['apply', 'config.kfplan']);
    expect([code, document]).toEqual([
      0,
      expect.objectContaining({ format: 'keyferry.apply', outcome: 'done', resumed: true }),
    ]);
  });

  it('verifies', async () => {
    const { code, document } = await bench.json(['verify', 'config']);
    expect([code, document]).toEqual([0, expect.objectContaining({ verdict: 'agree', differencesTotal: 0 })]);
  });

  it('says where it stands', async () => {
    const { stdout } = await bench.run(['status']);
    expect(stdout).toContain('config   verified');
    expect(stdout).toContain('Way back: keyferry rollback config');
    expect((await bench.run(['locks', 'list'])).stdout).toBe('no locks\n');
  });

  it('names a key that differs', async () => {
    const database = new DatabaseSync(bench.path('target.db'));
    database.exec("UPDATE records SET value = CAST('other' AS BLOB) WHERE key = CAST('/config/db/password' AS BLOB)");
    database.close();
    const { code, stdout } = await bench.run(['verify', 'config']);
    expect(stdout).toContain('! /config/db/password   value differs');
    expect(code).toBe(7);
    expect((await bench.run(['verify', 'config', '--detailed-exitcode'])).code).toBe(2);
  });

  it('does not roll back unasked', async () => {
    const { code, stderr } = await bench.run(['rollback', 'config']);
    expect([code, stderr]).toEqual([4, expect.stringContaining('keyferry rollback config --yes')]);
    expect(recordsInTarget()).toBe(2502);
  });

  it('rolls back what it wrote and leaves what somebody changed', async () => {
    const { code, document } = await bench.json(['rollback', 'config', '--yes']);
    expect([code, document]).toEqual([
      0,
      expect.objectContaining({ format: 'keyferry.rollback', removed: 2501, left: 1 }),
    ]);
    expect(recordsInTarget()).toBe(1);
  });
});

describe('apply MIGRATION', () => {
  it('plans, shows, wants approval, and writes nothing without it', async () => {
    const { code, stdout, stderr } = await bench.run(['apply', 'config']);
    expect(code).toBe(4);
    expect(stdout).toBe('');
    expect(stderr).toContain('conflict.found');
  });

  it('applies what it showed when it is approved', async () => {
    await bench.write('keyferry.yaml', (await bench.read('keyferry.yaml')) + '    onConflict: keep-target\n');
    const { code, stdout, stderr } = await bench.run(['apply', 'config', '--yes']);
    expect(stderr).toContain('Plan: 2,501 to create');
    expect(stdout).toMatch(/! kept\s+1\s+1/);
    expect(code).toBe(0);
  });
});
