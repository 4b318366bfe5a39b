/**
 * Goal: the end of a migration works with the built program: reconcile, finalize, report; and its state can be looked at,
 * moved, thrown away and built anew. Method: one folder, one command after another, each with its exit code.
 */
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rows, Workbench } from './workbench.ts';

const canary = 'canary-value-7f3a';

function inTarget<T>(bench: Workbench, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(bench.path('target.db'));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

const countOf = (bench: Workbench): number =>
  inTarget(bench, (database) => (database.prepare('SELECT count(*) AS n FROM records').get() as { n: number }).n);

describe('reconcile, finalize, report', () => {
  let bench: Workbench;
  beforeAll(async () => {
    bench = await Workbench.create(
      [...rows(1200), { key: '/config/db/password', value: canary }],
      '    limits: { chunkKeys: 200, workers: 2 }',
    );
  });
  afterAll(() => bench.remove());

  it('has nothing to finalize, reconcile or report before the first apply', async () => {
    for (const args of [
      ['finalize', 'config', '--yes'],
      ['reconcile', 'config', '--yes'],
    ]) {
      const { code, stderr } = await bench.run(args);
      expect([code, stderr]).toEqual([4, expect.stringContaining('keyferry plan config')]);
    }
    const { code, stderr } = await bench.run(['report', 'config']);
    expect([code, stderr]).toEqual([64, expect.stringContaining('state.unknown-migration')]);
  });

  it('reconciles what went missing, and nothing else', async () => {
    await bench.run(['plan', 'config', '--out', 'config.kfplan']);
    expect((await bench.run(['apply', 'config.kfplan'])).code).toBe(0);
    inTarget(bench, (database) =>
      database.exec("DELETE FROM records WHERE key < CAST('/config/features/000030' AS BLOB)"),
    );
    const missing = 1201 - countOf(bench);
    expect(missing).toBeGreaterThan(5);
    const verify = await bench.run(['verify', 'config']);
    expect([verify.code, verify.stdout]).toEqual([7, expect.stringContaining('Next: keyferry reconcile config')]);
    const unasked = await bench.run(['reconcile', 'config']);
    expect([unasked.code, unasked.stderr]).toEqual([4, expect.stringContaining(`Plan: ${missing} to create`)]);
    const { code, document } = await bench.json(['reconcile', 'config', '--yes']);
    expect([code, document]).toEqual([
      0,
      expect.objectContaining({ outcome: 'done', attempt: 2, counts: expect.objectContaining({ written: missing }) }),
    ]);
    expect(countOf(bench)).toBe(1201);
  });

  it('reconciles no other value than the conflict policy lets it', async () => {
    const put = (value: string) =>
      inTarget(bench, (database) =>
        database.exec(
          `UPDATE records SET value = CAST('${value}' AS BLOB) WHERE key = CAST('/config/db/password' AS BLOB)`,
        ),
      );
    put('theirs');
    const { code, stderr } = await bench.run(['reconcile', 'config', '--yes']);
    expect([code, stderr]).toEqual([4, expect.stringContaining('conflict.found')]);
    put(canary);
  });

  it('is not finalized unasked, nor while something differs', async () => {
    const unasked = await bench.run(['finalize', 'config']);
    expect([unasked.code, unasked.stderr]).toEqual([4, expect.stringContaining('keyferry finalize config --yes')]);
    inTarget(bench, (database) => database.exec("DELETE FROM records WHERE key = CAST('/config/db/password' AS BLOB)"));
    const differs = await bench.run(['finalize', 'config', '--yes']);
    expect([differs.code, differs.stderr]).toEqual([4, expect.stringContaining('finalize.not-proven')]);
    expect(differs.stderr).toContain('1 key differs between the sides');
    expect((await bench.run(['reconcile', 'config', '--yes'])).code).toBe(0);
  });

  it('is finalized, and scripts can read the marker', async () => {
    const { code, stdout } = await bench.run(['finalize', 'config', '--yes']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('proven and marked as done')]);
    const marker = inTarget(
      bench,
      (database) =>
        database
          .prepare("SELECT marker ->> 'phase' AS none, marker ->> 'plan' AS plan FROM keyferry_records_done")
          .get() as {
          plan: string;
        },
    );
    expect(marker.plan).toMatch(/^pln_/);
    const { document } = await bench.json(['status', 'config']);
    expect(document).toMatchObject({
      migrations: [{ phase: 'finalized', doneMarker: { plan: marker.plan }, wayBack: null }],
    });
    expect((await bench.run(['status', 'config', '--detailed-exitcode'])).code).toBe(0);
  });

  it('is over: rollback is refused, a plan blocked, apply answers that it is done', async () => {
    const rollback = await bench.run(['rollback', 'config', '--yes']);
    expect([rollback.code, rollback.stderr]).toEqual([4, expect.stringContaining('migration.finalized')]);
    const plan = await bench.run(['plan', 'config']);
    expect([plan.code, plan.stdout]).toEqual([4, expect.stringContaining('already done by')]);
    const apply = await bench.json(['apply', 'config']);
    expect([apply.code, apply.document]).toEqual([0, expect.objectContaining({ outcome: 'already-done' })]);
    // An older plan than the one that was finalized is not what was done.
    expect((await bench.run(['apply', 'config.kfplan'])).code).toBe(4);
    expect(countOf(bench)).toBe(1201);
  });

  it('is reported as text, Markdown, a document and one page, and no value is in any of them', async () => {
    const text = await bench.run(['report']);
    expect([text.code, text.stdout]).toEqual([0, expect.stringContaining('finalized, proven equal')]);
    const markdown = await bench.run(['report', 'config', '--markdown']);
    expect(markdown.stdout).toContain('| written |');
    const { document } = await bench.json(['report', 'config']);
    expect(document).toMatchObject({ format: 'keyferry.report', verify: { verdict: 'agree' } });
    const runs = document['runs'] as readonly { run: string; command: string }[];
    expect(runs.map(({ command }) => command)).toContain('finalize');
    const first = await bench.json(['report', runs[0]?.run ?? '']);
    expect(first.document).toMatchObject({ run: { run: runs[0]?.run, recordsDone: 1201 } });
    expect((await bench.run(['report', 'run_nobody'])).code).toBe(64);
    expect((await bench.run(['report', 'config', '--html', 'report.html'])).code).toBe(0);
    const page = await bench.read('report.html');
    expect(page).toContain('Throughput over time');
    for (const output of [text.stdout, markdown.stdout, JSON.stringify(document), page]) {
      expect(output).not.toContain(canary);
    }
  });

  it('is reopened by name alone, and says what does not come back', async () => {
    const unasked = await bench.run(['finalize', 'config', '--reopen']);
    expect([unasked.code, unasked.stderr]).toEqual([
      4,
      expect.stringContaining('keyferry finalize config --reopen --yes'),
    ]);
    const { code, stdout } = await bench.run(['finalize', 'config', '--reopen', '--yes']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('cannot be rolled back')]);
    expect((await bench.run(['rollback', 'config', '--yes'])).code).toBe(4);
    expect((await bench.run(['plan', 'config'])).stdout).toContain('1,201 equal');
  });
});

describe('state', () => {
  let bench: Workbench;
  beforeAll(async () => {
    bench = await Workbench.create(rows(300), '    limits: { chunkKeys: 100 }');
    await bench.run(['plan', 'config', '--out', 'config.kfplan']);
    await bench.run(['apply', 'config.kfplan']);
  });
  afterAll(() => bench.remove());

  it('is listed and shown, with its history', async () => {
    expect((await bench.run(['state', 'list'])).stdout).toMatch(/^config {3}verified {3}attempt 1/);
    const { document } = await bench.json(['state', 'show', 'config']);
    expect(document).toMatchObject({ phase: 'verified', runs: [{ command: 'apply', outcome: 'done' }] });
    expect((await bench.run(['state', 'history', 'config'])).stdout).toMatch(/apply\.started.*@.*\n.*apply\.ended/);
    expect((await bench.run(['state', 'show', 'other'])).code).toBe(64);
    expect((await bench.run(['state', 'upgrade'])).stdout).toContain('nothing to upgrade');
  });

  it('moves to another state file, where the migration goes on', async () => {
    expect((await bench.run(['state', 'export', 'config', '--out', 'state.ndjson'])).code).toBe(0);
    const piped = await bench.run(['state', 'export', 'config', '--out', '-']);
    expect(piped.stdout).toBe(await bench.read('state.ndjson'));
    await bench.write('other.yaml', `${await bench.read('keyferry.yaml')}\nstate: { sqlite: other/state.db }\n`);
    const { code, stdout } = await bench.run(['state', 'import', 'state.ndjson', '-c', 'other.yaml']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('Next: keyferry finalize config -c other.yaml')]);
    expect((await bench.run(['verify', 'config', '-c', 'other.yaml'])).code).toBe(0);
    await bench.write('cut.ndjson', (await bench.read('state.ndjson')).split('\n').slice(0, 4).join('\n'));
    const cut = await bench.run(['state', 'import', 'cut.ndjson']);
    expect([cut.code, cut.stderr]).toEqual([1, expect.stringContaining('line 4 of cut.ndjson')]);
    // A repeat is harmless; once the migration went on there, the file is not what it is any more.
    expect((await bench.run(['state', 'import', 'state.ndjson', '-c', 'other.yaml'])).code).toBe(0);
    await bench.run(['apply', 'config.kfplan', '-c', 'other.yaml']);
    expect((await bench.run(['state', 'import', 'state.ndjson', '-c', 'other.yaml'])).code).toBe(4);
  });

  it('is forgotten only by name, and built anew from plan and target', async () => {
    const unnamed = await bench.run(['state', 'forget', 'config', '--yes']);
    expect([unnamed.code, unnamed.stderr]).toEqual([
      4,
      expect.stringContaining('keyferry state forget config --accept forget.way-back'),
    ]);
    const forgotten = await bench.run(['state', 'forget', 'config', '--accept', 'forget.way-back', '--yes']);
    expect([forgotten.code, forgotten.stdout]).toEqual([0, expect.stringContaining('keyferry state adopt')]);
    expect((await bench.run(['state', 'list'])).stdout).toBe('the state holds no migrations\n');
    const adopted = await bench.run(['state', 'adopt', 'config.kfplan']);
    expect([adopted.code, adopted.stdout]).toEqual([0, expect.stringContaining('Next: keyferry apply config.kfplan')]);
    expect((await bench.run(['state', 'adopt', 'config.kfplan'])).code).toBe(4);
    const { code, document } = await bench.json(['apply', 'config.kfplan']);
    expect([code, document]).toEqual([0, expect.objectContaining({ outcome: 'done', resumed: true, attempt: 1 })]);
    const rolledBack = await bench.json(['rollback', 'config', '--yes']);
    expect(rolledBack.document).toMatchObject({ removed: 300, left: 0 });
    expect(countOf(bench)).toBe(0);
  });
});
