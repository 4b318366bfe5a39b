/**
 * Goal: a script can act on the exit code alone, and a person on the message. Method: each failure is brought about.
 */
import { readdir } from 'node:fs/promises';
import { openSqliteState } from '@keyferry/adapters/state';
import type { LockId, LockState, RunId } from '@keyferry/core';
import { afterEach, describe, expect, it } from 'vitest';
import { configText, rows, until, Workbench } from './workbench.ts';

let bench: Workbench;
afterEach(() => bench.remove());

describe('exit codes', () => {
  it('3: the source was edited after the plan, and the key is named', async () => {
    bench = await Workbench.create(rows(10));
    await bench.run(['plan', 'config', '--out', 'a.kfplan']);
    const [first, ...others] = rows(10);
    await bench.writeRows([{ key: first?.key ?? '', value: 'edited' }, ...others]);
    const { code, stderr } = await bench.run(['apply', 'a.kfplan']);
    expect(stderr).toMatch(/Error plan\.stale: .*nothing was written/);
    expect(stderr).toContain('/config/features/000000   changed in the source');
    expect(stderr).toContain('keyferry plan config --out a.kfplan');
    expect(code).toBe(3);
  });

  it('3: the configuration is another one', async () => {
    bench = await Workbench.create(rows(10));
    await bench.run(['plan', 'config', '--out', 'a.kfplan']);
    await bench.write('keyferry.yaml', configText('    onConflict: keep-target'));
    const { code, stderr } = await bench.run(['apply', 'a.kfplan']);
    expect([code, stderr]).toEqual([3, expect.stringContaining('Error plan.mismatch')]);
  });

  it('4: a plan that blocks is saved for review, and not applied', async () => {
    bench = await Workbench.create(rows(10));
    await bench.run(['apply', 'config', '--yes']);
    await bench.write(
      'keyferry.yaml',
      configText().replace(
        'prefix: /config/ }\n    strategy',
        'prefix: /config/, requireEmpty: prefix }\n    strategy',
      ),
    );
    const plan = await bench.run(['plan', 'config', '--out', 'b.kfplan', '--detailed-exitcode']);
    expect(plan.stdout).toContain('Saved b.kfplan for review. Not applyable: solve target.not-empty.');
    expect(plan.code).toBe(4);
    const apply = await bench.run(['apply', 'b.kfplan']);
    expect([apply.code, apply.stderr]).toEqual([4, expect.stringContaining('Error plan.not-applyable')]);
  });

  it('4: nobody approved', async () => {
    bench = await Workbench.create(rows(10), '    review: always');
    const { code, stderr } = await bench.run(['apply', 'config']);
    expect([code, stderr]).toEqual([4, expect.stringContaining('Error approval.required')]);
    expect(stderr).toContain('keyferry apply config --yes');
  });

  it('0: a plan that only creates, and without warnings, needs nobody where review is warnings', async () => {
    bench = await Workbench.create(rows(10));
    const { code, stderr } = await bench.run(['apply', 'config']);
    expect(stderr).toContain('Plan: 10 to create');
    expect(stderr).toContain('review is warnings, and the plan has none and only creates');
    expect(code).toBe(0);
  });

  it('5: no plan is left beside the state when apply fails after its approval', async () => {
    bench = await Workbench.create(rows(10));
    await bench.run(['status']);
    const state = await openSqliteState({ file: bench.path('.keyferry/state.db') });
    const nowMs = Date.now();
    const lock: LockState = {
      lock: 'lck_1' as LockId,
      holder: 'deploy@elsewhere, pid 1',
      run: 'run_1' as RunId,
      command: 'keyferry apply x.kfplan',
      acquiredAtMs: nowMs,
      heartbeatAtMs: nowMs,
      leaseEndsAtMs: nowMs + 600_000,
    };
    await state.write('lock', 'locks', 'config', lock, 'absent');
    await state.close();
    const { code, stderr } = await bench.run(['apply', 'config', '--yes']);
    expect([code, stderr]).toEqual([5, expect.stringContaining('Error lease.held')]);
    expect(await readdir(bench.path('.keyferry/plans'))).toEqual([]);
  });

  it('4: there is nothing to verify', async () => {
    bench = await Workbench.create(rows(10));
    const { code, stderr } = await bench.run(['verify', 'config']);
    expect([code, stderr]).toEqual([4, expect.stringContaining('keyferry plan config --out config.kfplan')]);
  });

  it.each([
    [['plann'], 'did you mean:   keyferry plan'],
    [['plan'], 'MIGRATION is missing'],
    [['plan', 'config', '--timout', '1s'], 'did you mean --timeout?'],
    [['plan', 'config', '--timeout', '10'], '--timeout 10 is not a duration'],
    [['plan', 'config', '--out'], '--out expects a value'],
    [['plan', 'config', '--out', '--json'], '--out expects a value'],
    [['plan', 'config', '--out', 'a', '--out', 'b'], '--out can only be specified once'],
    [['plan', 'config', 'extra'], 'extra is one argument too many'],
    [['plan', 'confg'], 'near     config'],
    [['plan', 'config', '--json', '--events', '-'], '--json and --events - both want stdout'],
    [['explain', 'plan.stal'], 'plan.stale'],
  ])('64: keyferry %j', async (args, hint) => {
    bench = await Workbench.create(rows(1));
    const { code, stdout, stderr } = await bench.run(args);
    expect(stdout + stderr).toContain(hint);
    expect(stdout + stderr).not.toMatch(/^\s+at /m);
    expect(code).toBe(64);
  });

  it('78: the configuration is wrong, with file, line, column and a caret', async () => {
    bench = await Workbench.create(rows(1));
    await bench.write('keyferry.yaml', configText().replace('strategy: offline', 'strategi: offline'));
    const { code, stderr } = await bench.run(['validate']);
    expect(stderr).toMatch(/keyferry\.yaml:9:5 .*strategi/);
    expect(stderr).toMatch(/9 \| {5}strategi: offline\n +\| {5}\^/);
    expect(code).toBe(78);
    expect((await bench.run(['plan', 'config', '-c', 'none.yaml'])).code).toBe(78);
  });

  it('0: help, version and an empty list', async () => {
    bench = await Workbench.create(rows(1));
    expect((await bench.run(['--version'])).stdout).toMatch(/^keyferry\/\d/);
    for (const args of [['help'], ['plan', '--help'], ['apply', '-h'], ['locks'], ['status']]) {
      expect([args, (await bench.run(args)).code]).toEqual([args, 0]);
    }
  });
});

describe('a run in the way of another', () => {
  /** A run that has begun to write, stopped in the middle. */
  async function holdInTheMiddle() {
    bench = await Workbench.create(rows(60_000, 200));
    await bench.run(['plan', 'config', '--out', 'a.kfplan']);
    const first = bench.start(['apply', 'a.kfplan', '--events', 'a.ndjson']);
    await until(async () => ((await bench.read('a.ndjson')).includes('"apply.started"') ? true : null));
    return first;
  }

  it('5: the lock is held, and by whom is said; it is free again afterwards', async () => {
    const first = await holdInTheMiddle();
    first.child.kill('SIGSTOP');
    const second = await bench.run(['apply', 'a.kfplan']);
    const listed = await bench.json(['locks', 'list']);
    first.child.kill('SIGCONT');
    expect(second.stderr).toContain('Error lease.held: config is being applied by someone else');
    expect(second.stderr).toMatch(new RegExp(`holder {3}.*, pid ${first.child.pid}, run run_\\w+, last heartbeat`));
    expect(second.code).toBe(5);
    expect(listed.document).toMatchObject({ locks: [{ migration: 'config', command: 'keyferry apply a.kfplan' }] });
    expect((await first.ended).code).toBe(0);
    expect((await bench.run(['locks', 'list'])).stdout).toBe('no locks\n');
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s stops at a checkpoint with %i, and the next run goes on', async (signal, want) => {
    const first = await holdInTheMiddle();
    first.child.kill(signal);
    const { code, stderr } = await first.ended;
    expect(stderr).toContain(`${signal}: finishing the write in flight`);
    expect(stderr).toContain('keyferry apply a.kfplan');
    expect(code).toBe(want);
    expect((await bench.readEvents('a.ndjson')).at(-1)).toMatchObject({ type: 'end', data: { exitCode: want } });
    const next = await bench.json(['apply', 'a.kfplan']);
    expect([next.code, next.document]).toEqual([0, expect.objectContaining({ resumed: true, outcome: 'done' })]);
  });

  it('takes the lock of a run that was killed, without waiting for its lease', async () => {
    const first = await holdInTheMiddle();
    first.child.kill('SIGKILL');
    await first.ended;
    const next = await bench.json(['apply', 'a.kfplan', '--log-file', 'next.log']);
    expect([next.code, next.document]).toEqual([0, expect.objectContaining({ resumed: true, outcome: 'done' })]);
    // Of its time, hardly any went by before the first chunk was claimed; a lease would have been most of it.
    const events = (await bench.read('next.log')).trimEnd().split('\n');
    const atMs = (line = '{}') => Date.parse((JSON.parse(line) as { at?: string }).at ?? '');
    const [started, last] = [atMs(events.find((line) => line.includes('"apply.started"'))), atMs(events.at(-1))];
    const claimed = atMs(events.find((line) => line.includes('"chunk.claimed"')));
    expect((claimed - started) / (last - started)).toBeLessThan(0.5);
  });

  it('6: the time of --timeout is over, and the next run goes on', async () => {
    bench = await Workbench.create(rows(60_000, 200));
    const first = await bench.run(['apply', 'config', '--yes', '--timeout', '1200ms']);
    expect([first.code, first.stderr]).toEqual([6, expect.stringContaining('stopped by timeout')]);
    const next = await bench.run(['apply', 'config', '--yes']);
    expect(next.code).toBe(0);
  });
});
