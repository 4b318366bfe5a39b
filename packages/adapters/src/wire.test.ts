/**
 * Goal: what a configuration says is what the engine and the stores get. Method: a file and an SQLite file are wired
 * for real and used; network stores connect late, so that wiring them is tested without a network.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyFromText, keyToText, prefixRange, type MigrationId } from '@keyferry/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig, redacted, Redactor } from './config/index.ts';
import { checkUserCode } from './rule-modules/load-rule-modules.ts';
import { wireRules } from './wire-spec.ts';
import { wireState } from './wire-state.ts';
import { wireMigration } from './wire.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-wire-'));
  await writeFile(join(folder, 'keyferry.yaml'), yaml);
  await writeFile(join(folder, 'dump.json'), dump);
});
afterEach(() => rm(folder, { recursive: true }));

const yaml = `
version: 1
stores:
  member: { kind: etcd-v2-datadir, dataDir: member }
  dump: { kind: file, path: dump.json, format: etcd-v2-json }
  db: { kind: sqlite, file: target.db, table: settings }
  old: { kind: etcd-v2, endpoints: ['http://127.0.0.1:1'], auth: { user: root, password: { env: OLD_PASSWORD } } }
  new: { kind: etcd-v3, endpoints: ['http://127.0.0.1:1'], reservedPrefix: _kf/ }
migrations:
  offline:
    source: { store: member, prefix: /config/ }
    target: { store: db, prefix: c/ }
    strategy: offline
  import:
    source: { store: dump, prefix: /a/ }
    target: { store: db, prefix: b/ }
    strategy: offline
    sensitive: [ "b/db/**" ]
    review: always
  move:
    source: { store: old, prefix: /a/ }
    target: { store: new, prefix: /b/, requireEmpty: prefix }
    strategy: offline
    rules: [ { ttl: { toLease: { bucket: 5m } } } ]
    limits: { workers: 3, chunkKeys: 7, chunkSize: 1KiB, rate: 200/s, targetP99: 50ms, deadLettersMax: 5 }
    plan: { maxAge: 1h }
`;
const node = { key: '/a/x', value: '1', modifiedIndex: 3, createdIndex: 3 };
const dir = { key: '/a', dir: true, nodes: [node], modifiedIndex: 2, createdIndex: 2 };
const dump = JSON.stringify({ action: 'get', node: { dir: true, nodes: [dir] } });

const config = () => loadConfig(join(folder, 'keyferry.yaml'));
const redactor = new Redactor();

describe('wireMigration', () => {
  it('opens a file and an SQLite file that both work', async () => {
    const wired = await wireMigration(await config(), 'import', { redactor });
    const { spec, source, target, review, config: used } = wired;
    const view = await source.openView(prefixRange(spec.rule.sourcePrefix));
    const keys: (string | null)[] = [];
    for await (const page of view.scan(prefixRange(spec.rule.sourcePrefix), { pageKeysMax: 10 })) {
      keys.push(...page.records.map(({ key }) => keyToText(key)));
    }
    await view.close();
    expect(keys).toEqual(['/a/x']);
    expect(await target.countRecords(null, 10)).toBe(0);
    expect(await target.control('import' as MigrationId).readEpoch()).toBeNull();
    expect(review).toBe('always');
    expect(Object.keys(used.stores)).toEqual(['dump', 'db']);
    expect(spec.isSensitive(keyFromText('b/db/host'))).toBe(true);
    expect(spec.isSensitive(keyFromText('b/host'))).toBe(false);
    await wired.close();
  });

  it('opens a data directory beside the configuration', async () => {
    await cp(
      join(import.meta.dirname, '../../../examples/06-etcd-v2-datadir-to-sqlite/input/data'),
      join(folder, 'member'),
      {
        recursive: true,
      },
    );
    const wired = await wireMigration(await config(), 'offline', { redactor });
    const { source } = wired;
    expect(await source.describe()).toMatchObject({ kind: 'etcd-v2-datadir', endpoints: [join(folder, 'member')] });
    expect(await source.head()).toBe('56');
    await wired.close();
  });

  it('hands the engine what the migration says, and the lease bucket to the target', async () => {
    const env = { OLD_PASSWORD: 'hunter22' };
    const wired = await wireMigration(await config(), 'move', { redactor, env });
    const { spec, target } = wired;
    expect(spec).toMatchObject({
      migration: 'move',
      strategy: 'offline',
      sourceStore: 'old',
      targetStore: 'new',
      rule: { sourcePrefix: '/a/', targetPrefix: '/b/' },
      onConflict: 'fail',
      requireEmpty: 'prefix',
      workers: 3,
      limits: { chunkKeysMax: 7, chunkBytesMax: 1024 },
      runLimits: { ratePerSecond: 200, targetP99Ms: 50, sourceP99Ms: null, deadLettersMax: 5, functions: 8 },
      planMaxAgeMs: 3_600_000,
      configDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      rulesDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      keyferryVersion: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    });
    expect(target.capabilities.expiryToleranceMs).toBeGreaterThanOrEqual(300_000);
    expect(target.capabilities.reservedPrefix).toBe('_kf/');
    expect(redactor.redact('hunter22')).toBe(redacted);
    await wired.close();
  });

  it('hands the engine the rules, their modules and a scratch to sort in', async () => {
    const rules = '    rules: [ { module: ./lower.ts }, { rename: { prefix: b/x/, to: b/y/ } } ]\n    review: always\n';
    await writeFile(join(folder, 'keyferry.yaml'), yaml.replace('    review: always\n', rules));
    await writeFile(join(folder, 'lower.ts'), 'export default { transform: () => ({ kind: "dropped" }) };');
    const wired = await wireMigration(await config(), 'import', { redactor });
    expect(wired.spec.transform?.parts).toEqual(['module ./lower.ts', 'rename b/x/ to b/y/']);
    wired.scratch.openSpool().close();
    await wired.close();
    await writeFile(join(folder, 'lower.ts'), 'export default {};');
    await writeFile(join(folder, 'other.ts'), 'export default {};');
    await writeFile(
      join(folder, 'keyferry.yaml'),
      yaml.replace('    review: always\n', rules.replace('lower', 'other')),
    );
    await expect(wireMigration(await config(), 'import', { redactor })).rejects.toMatchObject({
      code: 'rule.module-invalid',
    });
  });

  it('hands the engine the keys that the rules carry to, and refuses to prune where nobody can tell', async () => {
    const write = (rules: string, prune: boolean) =>
      writeFile(
        join(folder, 'keyferry.yaml'),
        yaml.replace('    review: always\n', `    rules: [ ${rules} ]\n    prune: ${prune}\n`),
      );
    await write('{ exclude: [ b/tmp/* ] }, { rename: { prefix: b/, to: b/new/ } }', true);
    const wired = await wireMigration(await config(), 'import', { redactor });
    expect(['b/new/x', 'b/new/tmp/x', 'b/x'].map((key) => wired.spec.inScope(keyFromText(key)))).toEqual([
      true,
      false,
      false,
    ]);
    await wired.close();
    const untold = '{ exclude: [ b/tmp/* ] }, { rename: { pattern: b/(.*), to: b/new/$1 } }';
    await write(untold, true);
    const refused = { code: 'config.invalid', details: { issues: [{ path: 'migrations.import.prune' }] } };
    await expect(wireMigration(await config(), 'import', { redactor })).rejects.toMatchObject(refused);
    const validated = await config();
    expect(() => checkUserCode(validated)).toThrow(expect.objectContaining({ code: 'config.invalid' }) as Error);
    await write(untold, false);
    await (await wireMigration(await config(), 'import', { redactor })).close();
  });

  it('gives `test` the same rules, modules among them', async () => {
    const rules = '    rules: [ { module: ./upper.ts }, { rename: { prefix: b/X, to: b/Y } } ]\n';
    await writeFile(join(folder, 'keyferry.yaml'), yaml.replace('    review: always\n', rules));
    await writeFile(
      join(folder, 'upper.ts'),
      'export default { transform: (r) => ({ kind: "kept", record: { ...r, key: "b/" + r.key.slice(2).toUpperCase() } }) };',
    );
    const { rule, transform } = (await wireRules(await config(), 'import', { redactor })).spec;
    expect(rule).toEqual({ sourcePrefix: '/a/', targetPrefix: 'b/' });
    const moving = { key: keyFromText('b/xy'), value: new Uint8Array(), expiresAtMs: null };
    expect(transform?.apply(moving)).toMatchObject({ kind: 'kept', record: { key: 'b/YY' } });
  });

  it('names the secret that is missing, and the migration that is', async () => {
    const resolved = await config();
    await expect(wireMigration(resolved, 'move', { redactor, env: {} })).rejects.toMatchObject({
      code: 'config.secret-missing',
    });
    await expect(wireMigration(resolved, 'imprt', { redactor })).rejects.toMatchObject({
      code: 'config.unknown-migration',
      details: { suggestion: 'import' },
    });
  });
});

it('wireState opens the state beside the configuration, in a folder that it makes', async () => {
  const state = await wireState(await config());
  expect(await state.list('migration', 'migrations', { after: null, itemsMax: 10 })).toEqual({
    entries: [],
    next: null,
  });
  await state.close();
});
