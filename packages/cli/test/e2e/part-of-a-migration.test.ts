/**
 * Goal: a plan of some of the keys carries those and no others, on every step from plan to rollback, and nobody can
 * take the part for the whole: finalize refuses, reconcile plans the rest.
 * Method: the built program from a file into an embedded store.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workbench } from './workbench.ts';

const keys = ['/config/a/1', '/config/a/2', '/config/a/old', '/config/b/1'];
let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create(keys.map((key) => ({ key, value: key })));
});
afterEach(() => bench.remove());

const planPart = () =>
  bench.json(['plan', 'config', '--only', '/config/a/**', '--exclude', '**/old', '--out', 'a.kfplan']);

describe('a part of a migration', () => {
  it('is planned by globs over target keys, and counts what it leaves out', async () => {
    const { code, document } = await planPart();
    expect(code).toBe(0);
    expect(document).toMatchObject({
      selection: { only: ['/config/a/**'], exclude: ['**/old'] },
      totals: { scanned: 4, actions: { create: { keys: 2 } }, notCarried: { 'rule.excluded': 2 } },
    });
    const { stdout } = await bench.run(['show', 'a.kfplan']);
    expect(stdout).toContain('  part    the keys of --only /config/a/** --exclude **/old;');
  });

  it('is applied, verified and rolled back as what it is, without saying it again', async () => {
    await planPart();
    const applied = await bench.json(['apply', 'a.kfplan']);
    expect(applied).toMatchObject({ code: 0, document: { counts: { written: 2 }, verify: { verdict: 'agree' } } });
    expect(await bench.json(['verify', 'config'])).toMatchObject({
      code: 0,
      document: { verdict: 'agree', source: { records: 2 }, target: { records: 2 } },
    });
    expect(await bench.json(['rollback', 'config', '--yes'])).toMatchObject({ code: 0, document: { removed: 2 } });
  });

  it('is not the whole: finalize refuses before it writes, and reconcile carries the rest', async () => {
    await planPart();
    await bench.json(['apply', 'a.kfplan']);
    const refused = await bench.json(['finalize', 'config', '--yes']);
    expect(refused).toMatchObject({ code: 3, document: { error: { code: 'plan.mismatch' } } });
    expect(JSON.stringify(refused.document)).toContain('--only /config/a/**');
    expect(await bench.json(['reconcile', 'config', '--yes'])).toMatchObject({
      code: 0,
      document: { counts: { written: 2, equal: 2 }, verify: { verdict: 'agree' } },
    });
    expect((await bench.json(['finalize', 'config', '--yes'])).code).toBe(0);
  });

  it('an empty glob is refused before anything is read', async () => {
    const { code, stderr } = await bench.run(['plan', 'config', '--only', '']);
    expect(code).toBe(64);
    expect(stderr).toContain('--only');
  });
});
