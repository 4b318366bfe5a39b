/**
 * Goal: rules that change keys and values work with the built program as its users meet them: on a real etcd, through a
 * kill, and in every way in which a rule or its module can be wrong.
 * Method: one migration between two prefixes of an etcd 3.5, then a folder with a file and an SQLite table.
 */
import { mkdir } from 'node:fs/promises';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadV3, putV3, readV3 } from './etcd-data.ts';
import { findingsWith, MigrationFolder } from './migration-folder.ts';
import { Workbench } from './workbench.ts';

const module = (body: string): string => `
import type { RuleModule } from '@keyferry/core';
export default { transform: (record) => { ${body} } } satisfies RuleModule;
`;
const upper = module(`
  if (record.key.endsWith('/old')) return { kind: 'dropped' };
  return { kind: 'kept', record: { ...record, key: record.key.replace('/svc-', '/SVC-') } };
`);

const etcd = await serverOrSkip('etcd-3.5');

describe.skipIf(!etcd.ok)(`a template and a module between two prefixes of etcd v3${etcd.ok ? '' : etcd.note}`, () => {
  const keys = 5000;
  const environments = ['prod', 'test', 'a-b', 'é'];
  let folder: MigrationFolder;
  let server: EtcdServer;
  const endpoint = (): string => server.endpoints[0] as string;

  beforeAll(async () => {
    server = await startEtcd({ version: '3.5', unsafeNoFsync: true });
    const store = { kind: 'etcd-v3', endpoints: server.endpoints };
    folder = await MigrationFolder.create({
      source: store,
      target: store,
      prefix: '/from/',
      targetPrefix: '/to/',
      settings: {
        rules: [
          { rename: { template: '/to/{env}/{service}/{rest...}', to: '/to/{service}/{env}/{rest}' } },
          { module: './rules/upper.ts' },
        ],
        limits: { chunkKeys: 500 },
      },
    });
    await mkdir(folder.file('rules'));
    await folder.write('rules/upper.ts', upper);
    await loadV3(
      endpoint(),
      Array.from({ length: keys }, (_, i) => [`/from/${environments[i % 4] ?? ''}/svc-${i % 7}/${i}`, `value ${i}`]),
    );
    await putV3(endpoint(), '/from/prod/svc-1/old', 'left behind');
  }, 120_000);
  afterAll(async () => {
    await folder?.remove();
    await server?.stop();
  });

  it('is planned with the keys of both sides, sorted by those of the target', async () => {
    const { exitCode, document } = await folder.run(['plan', 'move', '--out', 'move.kfplan']);
    expect(document).toMatchObject({
      applyable: true,
      order: 'spilled',
      wayBack: 'none',
      totals: { scanned: keys + 1, notCarried: { 'rule.dropped': 1 }, actions: { create: { keys } } },
    });
    expect(exitCode).toBe(0);
    const rows = await folder.run(['show', 'move.kfplan', '--only', 'create']);
    const [first] = (rows.document as { changes: { sourceKey: object; targetKey: object }[] }).changes;
    expect(first).toMatchObject({
      sourceKey: { text: '/from/a-b/svc-0/1022' },
      targetKey: { text: '/to/SVC-0/a-b/1022' },
    });
  });

  it('is refused once the module has changed, and holds again when it is as it was', async () => {
    await folder.write('rules/upper.ts', `${upper}\n`);
    const { exitCode, document } = await folder.run(['apply', 'move.kfplan']);
    expect([exitCode, document]).toMatchObject([3, { error: { code: 'plan.mismatch' } }]);
    expect((await readV3(endpoint(), '/to/')).size).toBe(0);
    await folder.write('rules/upper.ts', upper);
  });

  it('goes on after a kill, and ends with every record under its new key', async () => {
    const killed = folder.start(['apply', 'move.kfplan']);
    await killed.reaches('chunk.done');
    killed.kill('SIGKILL');
    await killed.ended;
    const { exitCode, document } = await folder.run(['apply', 'move.kfplan']);
    expect(document).toMatchObject({ outcome: 'done', resumed: true, counts: { written: keys, notCarried: 1 } });
    expect(exitCode).toBe(0);
    const target = await readV3(endpoint(), '/to/');
    expect(target.size).toBe(keys);
    for (let i = 0; i < keys; i += 1) {
      const key = Buffer.from(`/to/SVC-${i % 7}/${environments[i % 4] ?? ''}/${i}`).toString('latin1');
      expect(target.get(key)?.value.toString()).toBe(`value ${i}`);
    }
  });

  it('is verified, and a changed record is named by its new key', async () => {
    expect((await folder.run(['verify', 'move'])).document).toMatchObject({ verdict: 'agree' });
    await putV3(endpoint(), '/to/SVC-0/prod/0', 'changed');
    const { exitCode, document } = await folder.run(['verify', 'move']);
    expect(document).toMatchObject({ verdict: 'differ', differences: [{ key: { text: '/to/SVC-0/prod/0' } }] });
    expect(exitCode).toBe(7);
  });

  it('is rolled back, but for what somebody changed', async () => {
    const { document } = await folder.run(['rollback', 'move', '--yes']);
    expect(document).toMatchObject({ removed: keys - 1, left: 1 });
    expect([...(await readV3(endpoint(), '/to/')).keys()]).toEqual(['/to/SVC-0/prod/0']);
  });

  it('looks up its few keys in a target that holds many', async () => {
    const store = { kind: 'etcd-v3', endpoints: server.endpoints };
    await folder.configure({
      source: store,
      target: store,
      prefix: '/few/',
      targetPrefix: '/many/',
      settings: { rules: [{ rename: { template: '/many/{a}/{b}', to: '/many/{b}/{a}' } }], onConflict: 'keep-target' },
    });
    await loadV3(
      endpoint(),
      Array.from({ length: 3000 }, (_, i) => [`/many/x/${i}`, 'there']),
    );
    await loadV3(
      endpoint(),
      Array.from({ length: 140 }, (_, i) => [`/few/${i}/x`, i < 2 ? 'there' : `value ${i}`]),
    );
    const planned = await folder.run(['plan', 'move', '--out', 'few.kfplan']);
    expect(planned.document).toMatchObject({
      targetRead: 'looked-up',
      totals: { scanned: 140, actions: { create: { keys: 0 }, equal: { keys: 2 }, conflict: { keys: 138 } } },
    });
    expect((await folder.run(['apply', 'few.kfplan'])).document).toMatchObject({
      outcome: 'done',
      counts: { written: 0, equal: 2, kept: 138 },
      verify: { verdict: 'agree', kept: 138 },
    });
    await putV3(endpoint(), '/many/x/7', 'changed');
    expect((await folder.run(['verify', 'move'])).document).toMatchObject({
      verdict: 'differ',
      differences: [{ key: { text: '/many/x/7' } }],
    });
  });
});

describe('a rule that cannot be', () => {
  let bench: Workbench;
  beforeAll(async () => {
    bench = await Workbench.create([
      { key: '/config/A', value: 'hunter2' },
      { key: '/config/a', value: 'hunter2' },
      { key: '/config/b', value: 'hunter2' },
    ]);
  });
  afterAll(() => bench.remove());

  const withRules = async (rules: string): Promise<void> => {
    const [head = ''] = (await bench.read('keyferry.yaml')).split('    rules:');
    await bench.write('keyferry.yaml', `${head.trimEnd()}\n    rules: ${rules}\n`);
  };

  it('is pointed at in the configuration', async () => {
    await withRules("[ { rename: { pattern: '/config/(', to: /x } }, { module: ./gone.ts } ]");
    const { code, stderr } = await bench.run(['validate']);
    expect(code).toBe(78);
    expect(stderr).toMatch(
      /keyferry\.yaml:\d+:\d+ +migrations\.config\.rules\[0\]\.rename\.pattern: .*Unterminated group/,
    );
    expect(stderr).toMatch(/keyferry\.yaml:\d+:\d+ +migrations\.config\.rules\[1\]\.module: there is no such file/);
  });

  it('is named when its module cannot be hashed', async () => {
    await bench.write('rule.ts', `import { readFileSync } from 'node:fs';\n${upper}`);
    await withRules('[ { module: ./rule.ts } ]');
    for (const call of [['validate'], ['plan', 'config']]) {
      const { code, stderr } = await bench.run(call);
      expect(stderr).toContain(
        'Error rule.module-invalid: the rule module ./rule.ts cannot be used: it imports node:fs',
      );
      expect(code).toBe(78);
    }
  });

  it('blocks the plan where it throws, with the place in the module and no value', async () => {
    await bench.write(
      'rule.ts',
      module('\n  JSON.parse(new TextDecoder().decode(record.value));\n  return { kind: "dropped" };'),
    );
    const { code, stdout } = await bench.run(['plan', 'config', '--out', 'blocked.kfplan']);
    expect(stdout).toMatch(/\/config\/A +module \.\/rule\.ts threw SyntaxError at rule\.ts:4\n/);
    expect(stdout + (await bench.run(['show', 'blocked.kfplan', '--json'])).stdout).not.toContain('hunter2');
    expect(code).toBe(4);
    expect((await bench.run(['apply', 'blocked.kfplan'])).code).toBe(4);
  });

  it('blocks the plan where keys collide, with both of them', async () => {
    await bench.write(
      'rule.ts',
      module('return { kind: "kept", record: { ...record, key: record.key.toLowerCase() } };'),
    );
    const { code, document } = await bench.json(['plan', 'config']);
    expect(document).toMatchObject({
      applyable: false,
      findings: findingsWith({
        code: 'key.collision',
        count: 2,
        cases: [
          {
            key: { text: '/config/a' },
            sourceKeys: [{ text: '/config/A' }, { text: '/config/a' }],
            count: 2,
            detail: '/config/A and /config/a would all become it',
          },
        ],
      }),
    });
    expect(code).toBe(4);
  });
});
