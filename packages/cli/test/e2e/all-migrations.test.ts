/**
 * Goal: one command does every migration of a configuration in the order that `after` asks for; one that fails holds back what
 * comes after it and nothing else, and the same command goes on once it was mended.
 * Method: the built binary on three migrations of files into SQLite; `pm` comes after `jm`.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workbench } from './workbench.ts';

interface End {
  readonly migration: string;
  readonly exitCode: number | null;
  readonly heldBackBy: readonly string[];
  readonly document: Readonly<Record<string, unknown>> | null;
}

const config = (after: Readonly<Record<string, string>>): string =>
  [
    'version: 1',
    'stores:',
    ...['jm', 'pm', 'auth'].map((name) => `  ${name}-old: { kind: file, path: ${name}.ndjson, format: ndjson }`),
    '  new: { kind: sqlite, file: target.db }',
    'migrations:',
    // Written in the order in which they must not begin.
    ...['pm', 'jm', 'auth'].flatMap((name) => [
      `  ${name}:`,
      `    source: { store: ${name}-old, prefix: ${name}/ }`,
      `    target: { store: new, prefix: ${name}/ }`,
      '    strategy: offline',
      ...(after[name] === undefined ? [] : [`    after: [${after[name]}]`]),
    ]),
    '',
  ].join('\n');
const rowsOf = (name: string): string =>
  ['a', 'b', 'c'].map((key) => `{"key":"${name}/${key}","value":"${key}"}\n`).join('');

describe('all migrations of a configuration', () => {
  let bench: Workbench;
  const all = async (...args: readonly string[]): Promise<{ code: number | null; ends: readonly End[] }> => {
    const { code, document } = await bench.json([...args, '--all']);
    expect(document['format']).toBe('keyferry.all');
    return { code, ends: document['migrations'] as readonly End[] };
  };
  const inShort = (ends: readonly End[]) => ends.map(({ migration, exitCode }) => `${migration} ${exitCode}`);

  beforeEach(async () => {
    bench = await Workbench.create([]);
    await bench.write('keyferry.yaml', config({ pm: 'jm' }));
    for (const name of ['jm', 'pm', 'auth']) await bench.write(`${name}.ndjson`, rowsOf(name));
  });
  afterEach(() => bench.remove());

  it('are planned, applied, finalized and found to be done, in their order', async () => {
    const planned = await all('plan');
    expect(planned).toMatchObject({ code: 0 });
    expect(inShort(planned.ends)).toEqual(['jm 0', 'pm 0', 'auth 0']);
    const applied = await all('apply', '--finalize', '--yes');
    expect(inShort(applied.ends)).toEqual(['jm 0', 'pm 0', 'auth 0']);
    for (const { document } of applied.ends) expect(document).toMatchObject({ format: 'keyferry.finalize' });
    const again = await all('apply', '--finalize', '--yes');
    for (const { document } of again.ends) expect(document).toMatchObject({ format: 'keyferry.already-done' });
  });

  it('are told to people as they end, and all together at the end', async () => {
    expect((await bench.run(['apply', '--all', '--yes'])).code).toBe(0);
    const { code, stdout } = await bench.run(['verify', '--all']);
    expect(code).toBe(0);
    const inTurn =
      /^== jm ==\n[^]*== pm ==\n[^]*== auth ==\n[^]*== all ==\n {2}jm +done\n {2}pm +done\n {2}auth +done\n/;
    expect(stdout).toMatch(inTurn);
    expect(stdout).toContain('verify --all: 3 migrations of 3 ended well.');
  });

  it('one that fails holds back what comes after it and no others; mended, the same command does the rest', async () => {
    await bench.write('jm.ndjson', `${rowsOf('jm')}no record\n`);
    const { code, ends } = await all('apply', '--yes');
    expect(code).toBe(1);
    expect(ends).toMatchObject([
      { migration: 'jm', exitCode: 1, heldBackBy: [], document: { format: 'keyferry.error' } },
      { migration: 'pm', exitCode: null, heldBackBy: ['jm'], document: null },
      { migration: 'auth', exitCode: 0, heldBackBy: [], document: { format: 'keyferry.apply', outcome: 'done' } },
    ]);
    const people = await bench.run(['apply', '--all', '--yes']);
    expect(people.code).toBe(1);
    expect(people.stdout).toMatch(
      / {2}jm +exit 1 {3}file\.record-invalid\n {2}pm +not begun: comes after jm\n {2}auth +done\n/,
    );
    expect(people.stdout).toMatch(/1 migration of 3 ended well\.\nNext: keyferry status jm\n$/);
    expect(people.stderr).toContain('jm.ndjson');

    await bench.write('jm.ndjson', rowsOf('jm'));
    const mended = await all('apply', '--yes');
    expect({ code: mended.code, ends: inShort(mended.ends) }).toEqual({ code: 0, ends: ['jm 0', 'pm 0', 'auth 0'] });
  });

  it('one alone is refused before those that it comes after', async () => {
    const early = await bench.json(['apply', 'pm', '--yes']);
    expect(early).toMatchObject({
      code: 4,
      document: { error: { code: 'phase.out-of-order', details: { migration: 'pm', after: 'jm', phase: 'new' } } },
    });
    expect((await bench.run(['plan', 'pm', '--out', 'pm.kfplan'])).code).toBe(0);
    expect(await bench.json(['apply', 'pm.kfplan'])).toMatchObject({
      code: 4,
      document: { error: { code: 'phase.out-of-order' } },
    });
    expect((await bench.run(['apply', 'jm', '--yes'])).code).toBe(0);
    expect((await bench.run(['apply', 'pm.kfplan'])).code).toBe(0);
  });

  it('one alone goes by the done marker where the state knows nothing', async () => {
    expect((await bench.run(['apply', 'jm', '--finalize', '--yes'])).code).toBe(0);
    // As on another host: the same stores, and a state that never heard of it.
    await bench.write('elsewhere.yaml', `${config({ pm: 'jm' })}state: { sqlite: elsewhere/state.db }\n`);
    expect((await bench.run(['apply', 'pm', '--yes', '-c', 'elsewhere.yaml'])).code).toBe(0);
  });

  it('that wait for each other, or for none that exists, are no configuration', async () => {
    await bench.write('keyferry.yaml', config({ pm: 'jm', jm: 'auth', auth: 'pm' }));
    const ring = await bench.run(['validate']);
    expect(ring.code).toBe(78);
    expect(ring.stderr).toContain('pm after jm after auth after pm: none of them could ever begin');
    await bench.write('keyferry.yaml', config({ pm: 'jn' }));
    expect((await bench.run(['validate'])).stderr).toMatch(/there is no migration "jn"[^]*did you mean jm/);
  });

  it('are one thing, and a migration by name another', async () => {
    for (const args of [
      ['apply'],
      ['plan'],
      ['verify'],
      ['apply', 'jm', '--all'],
      ['plan', '--all', '--out', 'a.kfplan'],
    ])
      expect({ args, code: (await bench.run(args)).code }).toEqual({ args, code: 64 });
  });
});
