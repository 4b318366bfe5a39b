/**
 * Goal: from nothing to a first plan, and out of trouble again: init, doctor, show, locks break and what it leaves behind.
 * Method: the built program in a folder of its own.
 */
import { readdir } from 'node:fs/promises';
import { openSqliteState } from '@keyferry/adapters/state';
import type { LockId, LockState, RunId } from '@keyferry/core';
import { afterEach, describe, expect, it } from 'vitest';
import { configText, rows, until, Workbench } from './workbench.ts';

let bench: Workbench;
afterEach(() => bench.remove());

describe('init', () => {
  it('writes a configuration that validates, and never over another', async () => {
    bench = await Workbench.create(rows(1));
    const args = ['init', '--source-kind', 'file', '--target-kind', 'sqlite', '--out', 'my new.yaml'];
    const first = await bench.run(args);
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining("keyferry doctor -c 'my new.yaml'")]);
    expect((await bench.run(['validate', '-c', 'my new.yaml'])).code).toBe(0);
    const text = await bench.read('my new.yaml');
    const second = await bench.run([...args.slice(0, -1), 'my new.yaml', '--json']);
    expect([second.code, JSON.parse(second.stdout)]).toMatchObject([64, { error: { code: 'usage.invalid' } }]);
    expect(await bench.read('my new.yaml')).toBe(text);
  });
});

describe('doctor', () => {
  it('finds all well, and makes nothing', async () => {
    bench = await Workbench.create(rows(3));
    const before = await readdir(bench.folder);
    const { code, stdout } = await bench.run(['doctor']);
    expect(stdout).toMatch(/ok +config source +old answers: file/);
    expect(stdout).toMatch(/ok +config source +keys under its prefix can be read/);
    expect(stdout).toMatch(/ok +config target +its prefix is empty/);
    expect(stdout).toContain('Healthy.   Next: keyferry plan MIGRATION --out FILE');
    expect(code).toBe(0);
    expect(await readdir(bench.folder)).toEqual(before);
  });

  it('names each thing that is wrong, with its fix, one store after the other', async () => {
    bench = await Workbench.create(rows(3));
    const down = configText().replace(
      '{ kind: sqlite, file: target.db }',
      "{ kind: etcd-v3, endpoints: ['http://127.0.0.1:9'], requestTimeout: 1s }",
    );
    await bench.write('keyferry.yaml', down.replace('source.ndjson', 'gone.ndjson'));
    const { code, document } = await bench.json(['doctor']);
    expect([code, document]).toMatchObject([1, { format: 'keyferry.doctor', healthy: false }]);
    expect(document['checks']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ subject: 'config source', level: 'fail', code: 'file.unreadable' }),
        expect.objectContaining({ subject: 'config target', level: 'fail', code: 'store.unreachable' }),
      ]),
    );
    await bench.write('keyferry.yaml', configText().replace('strategy', 'strategi'));
    const invalid = await bench.run(['doctor']);
    expect([invalid.code, invalid.stdout]).toEqual([1, expect.stringContaining('keyferry validate --config')]);
  });

  it('64: does not know the migration', async () => {
    bench = await Workbench.create(rows(1));
    expect((await bench.run(['doctor', 'confg'])).code).toBe(64);
  });
});

describe('show', () => {
  it('one finding, and Markdown for a pull request', async () => {
    bench = await Workbench.create(rows(10));
    await bench.run(['apply', 'config', '--yes']);
    await bench.writeRows(rows(10).map((row) => ({ ...row, value: 'other' })));
    await bench.run(['plan', 'config', '--out', 'my plan.kfplan']);
    const finding = await bench.run(['show', 'my plan.kfplan', '--finding', 'conflict.found']);
    expect([finding.code, finding.stdout]).toEqual([0, expect.stringMatching(/^blocking {2}conflict\.found\n/)]);
    const none = await bench.run(['show', 'my plan.kfplan', '--finding', 'ttl.short']);
    expect([none.code, none.stderr]).toEqual([64, expect.stringContaining('its findings:   conflict.found')]);
    const markdown = await bench.run(['show', 'my plan.kfplan', '--markdown']);
    expect(markdown.stdout).toMatch(/^### Plan `pln_\w+` of `config`\n/);
  });
});

describe('locks break', () => {
  it('keeps its reason where status shows it', async () => {
    bench = await Workbench.create(rows(1));
    await bench.run(['status']);
    const state = await openSqliteState({ file: bench.path('.keyferry/state.db') });
    const nowMs = Date.now();
    const lock: LockState = {
      lock: 'lck_1' as LockId,
      holder: 'deploy@elsewhere, pid 1 [a.b.1]',
      run: 'run_1' as RunId,
      command: 'keyferry apply x.kfplan',
      acquiredAtMs: nowMs,
      heartbeatAtMs: nowMs,
      leaseEndsAtMs: nowMs + 600_000,
    };
    await state.write('lock', 'locks', 'config', lock, 'absent');
    await state.close();
    expect((await bench.run(['locks', 'break', 'lck_1', '--reason', 'runner lost'])).code).toBe(0);
    expect((await bench.run(['status', 'config'])).stdout).toMatch(
      /UTC {3}lock lck_1 of deploy@elsewhere, pid 1 was broken by \S+, pid \d+: runner lost\n/,
    );
    const { document } = await bench.json(['status', 'config', '--detailed-exitcode']);
    expect(document).toMatchObject({ migrations: [{ events: [{ type: 'lock.broken', run: 'run_1' }] }] });
  });

  it('2: status tells a script of an unfinished migration', async () => {
    bench = await Workbench.create(rows(60_000, 200));
    const { child, ended } = bench.start(['apply', 'config', '--yes', '--events', 'a.ndjson']);
    await until(async () => ((await bench.read('a.ndjson')).includes('"apply.started"') ? true : null));
    child.kill('SIGTERM');
    expect((await ended).code).toBe(143);
    expect((await bench.run(['status', '--detailed-exitcode'])).code).toBe(2);
    expect((await bench.run(['status'])).code).toBe(0);
  });
});
