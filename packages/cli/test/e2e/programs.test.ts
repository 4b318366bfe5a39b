/**
 * Goal: a program among the rules works with the built binary as its users meet it: planned, applied, verified, tested on
 * fixtures, pinned, interrupted and killed; and whatever it does wrong, nothing of it is written and the error says what.
 * Method: a file and an SQLite table, programs that are scripts in the folder, and runs that are cut off while one works.
 */
import { chmod } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingsWith } from './migration-folder.ts';
import { rows, until, Workbench } from './workbench.ts';

const count = 3000;

/** Answers each line with what `body` makes of `given`. */
const program = (body: string): string => `#!${process.execPath}
const lines = require('node:readline').createInterface({ input: process.stdin });
const fs = require('node:fs');
let greeted = false;
lines.on('line', (line) => {
  const given = JSON.parse(line);
  if (!greeted) { greeted = true; console.log('{"keyferry":"records","version":1}'); return; }
  const answer = (() => { ${body} })();
  console.log(JSON.stringify({ id: given.id, ...answer }));
});
`;

const upper = program(`
  if (given.key.text.endsWith('7')) return { drop: true };
  return { records: [{ key: { text: given.key.text.replace('/features/', '/FEATURES/') } }] };
`);
const rule = (more = ''): string =>
  `    rules: [ { program: { run: [./program], protocol: json-lines${more} } } ]\n    limits: { chunkKeys: 500 }`;

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create(rows(count), rule());
  await install(upper);
});
afterEach(() => bench.remove());

async function install(source: string): Promise<void> {
  await bench.write('program', source);
  await chmod(bench.path('program'), 0o755);
}

function keysThere(): readonly string[] {
  const database = new DatabaseSync(bench.path('target.db'), { readOnly: true });
  try {
    const found = database.prepare('SELECT CAST(key AS TEXT) AS key FROM records ORDER BY key').all();
    return found.map(({ key }) => String(key));
  } finally {
    database.close();
  }
}

describe('a program among the rules', () => {
  const expected = rows(count)
    .map(({ key }) => key)
    .filter((key) => !key.endsWith('7'))
    .map((key) => key.replace('/features/', '/FEATURES/'))
    .toSorted();

  it('is planned, pinned, applied, verified and taken back', async () => {
    const planned = await bench.json(['plan', 'config', '--out', 'p.kfplan']);
    expect([planned.code, planned.document]).toMatchObject([
      0,
      {
        order: 'spilled',
        wayBack: 'none',
        rules: ['program ./program (json-lines)'],
        totals: { notCarried: { 'rule.dropped': count / 10 }, actions: { create: { keys: expected.length } } },
      },
    ]);
    await install(`${upper}\n`);
    expect(await bench.json(['apply', 'p.kfplan'])).toMatchObject({
      code: 3,
      document: { error: { code: 'plan.mismatch' } },
    });
    await install(upper);
    expect(await bench.json(['apply', 'p.kfplan'])).toMatchObject({ code: 0, document: { outcome: 'done' } });
    expect(keysThere()).toEqual(expected);
    expect((await bench.json(['verify', 'config'])).code).toBe(0);
    expect((await bench.json(['rollback', 'config', '--yes'])).code).toBe(0);
    expect(keysThere()).toEqual([]);
  });

  it('goes on after a kill, at a chunk that was copied before', async () => {
    await bench.json(['plan', 'config', '--out', 'p.kfplan']);
    const { child, ended } = bench.start(['apply', 'p.kfplan', '--events', 'events.ndjson']);
    await until(async () => {
      const events = await bench.readEvents('events.ndjson');
      return events.some(({ type }) => type === 'backfill.progress' || type === 'apply.started') ? true : null;
    });
    child.kill('SIGKILL');
    await ended;
    expect(await bench.json(['apply', 'p.kfplan', '--lock-timeout', '2m'])).toMatchObject({
      code: 0,
      document: { outcome: 'done' },
    });
    expect(keysThere()).toEqual(expected);
  });

  it.each([
    {
      name: 'fails',
      body: 'if (given.id === 2000) process.exit(9);',
      code: 'program.failed',
      exit: 1,
      says: 'exit code 9',
    },
    {
      name: 'answers with garbage',
      body: 'if (given.id === 2000) return { keep: 1 };',
      code: 'program.answer-invalid',
      exit: 1,
      says: 'keep',
    },
    {
      name: 'skips a record',
      body: 'if (given.id === 2000) return { id: 2001 };',
      code: 'program.answer-invalid',
      exit: 1,
      says: '2000 is due',
    },
  ])('that $name leaves no plan and nothing written', async ({ body, code, exit, says }) => {
    await install(program(`${body} return { records: [{}] };`));
    const planned = await bench.json(['plan', 'config', '--out', 'p.kfplan']);
    expect([planned.code, planned.document]).toMatchObject([exit, { error: { code } }]);
    expect(JSON.stringify(planned.document)).toContain(says);
    await expect(bench.read('p.kfplan')).rejects.toThrow(/ENOENT/);
  });

  it('that hangs is ended; that makes something else at apply is refused; that refuses a record blocks the plan', async () => {
    await bench.write(
      'keyferry.yaml',
      (await bench.read('keyferry.yaml')).replace('json-lines', 'json-lines, timeout: 5s'),
    );
    await install(`#!${process.execPath}\nprocess.stdin.resume();setInterval(() => undefined, 1000);`);
    expect(await bench.json(['plan', 'config'])).toMatchObject({
      code: 1,
      document: { error: { code: 'program.silent' } },
    });

    await install(program('return { records: [{ value: { text: String(process.hrtime.bigint()) } }] };'));
    expect((await bench.json(['plan', 'config', '--out', 'p.kfplan'])).code).toBe(0);
    const applied = await bench.json(['apply', 'p.kfplan']);
    expect([applied.code, applied.document]).toMatchObject([
      3,
      { error: { code: 'program.unsteady', details: { keysTotal: count } } },
    ]);
    // Not even the table was made.
    await expect(bench.read('target.db')).rejects.toThrow(/ENOENT/);

    await install(program('return given.id === 5 ? { error: "five" } : { records: [{}] };'));
    expect(await bench.json(['plan', 'config'])).toMatchObject({
      code: 4,
      document: {
        applyable: false,
        findings: findingsWith({ code: 'rule.failed', count: 1 }),
      },
    });
  });

  it('is ended with the command, at Ctrl-C', async () => {
    await install(
      `#!${process.execPath}\nrequire('node:fs').writeFileSync('pid', String(process.pid));process.stdin.resume();setInterval(() => undefined, 1000);`,
    );
    const { child, ended } = bench.start(['plan', 'config']);
    const pid = Number(await until(async () => (await bench.read('pid')) || null));
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining('run.interrupted')]);
    await until(() => Promise.resolve(isGone(pid) ? true : null));
  });

  it('is tested on fixtures, all cases in one run', async () => {
    const cases = [
      { given: { key: '/config/features/1', value: 'v' }, expect: { key: '/config/FEATURES/1' } },
      { given: { key: '/config/features/7', value: 'v' }, expect: { dropped: true } },
      { given: { key: '/config/limits/1', value: 'v' }, expect: { key: '/config/limits/2' } },
    ];
    await bench.write('config.fixtures.ndjson', cases.map((each) => `${JSON.stringify(each)}\n`).join(''));
    const { code, document } = await bench.json(['test', 'config']);
    expect(code).toBe(7);
    expect(document).toMatchObject({ cases: [{ passed: true }, { passed: true }, { passed: false }] });
  });

  it.each([
    { name: 'is not there', run: '[./gone]', code: 'program.unusable', exit: 78 },
    { name: 'is looked up nowhere', run: '[program]', code: 'config.invalid', exit: 78 },
  ])('that $name is told by validate', async ({ run, code, exit }) => {
    await bench.write('keyferry.yaml', (await bench.read('keyferry.yaml')).replace('[./program]', run));
    expect(await bench.json(['validate'])).toMatchObject({ code: exit, document: { error: { code } } });
  });

  it('of etcdctl is for sources of etcd v2, and there is one program at most', async () => {
    const config = await bench.read('keyferry.yaml');
    const twice =
      '[ { program: { run: [./program], protocol: etcdctl-migrate } }, { program: { run: [./program], protocol: json-lines } } ]';
    await bench.write('keyferry.yaml', config.replace(/rules: .*/, `rules: ${twice}`));
    const { document } = await bench.json(['validate']);
    expect(document).toMatchObject({
      error: {
        code: 'config.invalid',
        details: {
          issues: [
            { message: expect.stringContaining('nodes of etcd v2') as string },
            { message: expect.stringContaining('a second program') as string },
          ],
        },
      },
    });
  });
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true; // no such process is the answer
  }
}
