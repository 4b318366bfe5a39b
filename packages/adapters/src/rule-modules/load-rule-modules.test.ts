/**
 * Goal: a module of rules runs as it is written, and no byte that it executes is missing from its digest.
 * Method: real files, loaded by Node itself; each way to reach something else is refused with its name.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadRuleModules } from './load-rule-modules.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** Each in a folder of its own: a process loads a file once. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-rules-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

async function load(files: Readonly<Record<string, string>>, module = './rule.ts') {
  const { modules, digests } = loadRuleModules(await folderWith(files), [{ module }]);
  return { rule: modules.get(module), digest: digests[module] };
}

const record = { key: '/a', value: new Uint8Array(), expiresAtMs: null };
const keep = 'export default { transform: (record) => ({ kind: "kept", record }) };';
const typed = `
import type { RuleModule } from '@keyferry/core';
import { upper } from './lib/upper.ts';
import names from './names.json' with { type: 'json' };
export default {
  transform: (record) => ({ kind: 'kept', record: { ...record, key: upper(record.key) + (names as string[])[0] } }),
} satisfies RuleModule;
`;
const lib = {
  'lib/upper.ts': "import { up } from './up.mjs';\nexport const upper = (text: string): string => up(text);",
  'lib/up.mjs': 'export const up = (text) => text.toUpperCase();',
  'names.json': '["/x"]',
};

describe('a module of rules', () => {
  it('is TypeScript or JavaScript, and may import files beside it', async () => {
    const { rule } = await load({ 'rule.ts': typed, ...lib });
    expect(rule?.transform(record)).toMatchObject({ kind: 'kept', record: { key: '/A/x' } });
    expect((await load({ 'r.mjs': keep }, 'r.mjs')).rule?.transform(record)).toMatchObject({ kind: 'kept' });
    expect((await load({ 'r.js': keep, 'package.json': '{}' }, './r.js')).rule?.keepsKeys).toBeUndefined();
  });

  it('has the same digest wherever it lies, and another one when any file of it changes', async () => {
    const { digest } = await load({ 'rule.ts': typed, ...lib });
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect((await load({ 'rule.ts': typed, ...lib })).digest).toBe(digest);
    for (const file of Object.keys(lib) as (keyof typeof lib)[]) {
      const changed = await load({ 'rule.ts': typed, ...lib, [file]: `${lib[file]}\n` });
      expect(changed.digest).not.toBe(digest);
    }
  });

  it('shares files with another one without either losing them from its digest', async () => {
    const folder = await folderWith({ 'a.ts': typed, 'b.ts': typed, ...lib });
    const { digests } = loadRuleModules(folder, [{ module: 'a.ts' }, { module: './b.ts' }]);
    const other = await folderWith({ 'a.ts': typed, 'b.ts': typed, ...lib, 'lib/up.mjs': `${lib['lib/up.mjs']} ` });
    const changed = loadRuleModules(other, [{ module: 'a.ts' }, { module: './b.ts' }]).digests;
    expect([changed['a.ts'] === digests['a.ts'], changed['./b.ts'] === digests['./b.ts']]).toEqual([false, false]);
  });

  it.each([
    { name: 'a module of Node', text: `import { readFileSync } from 'node:fs';\n${keep}`, says: 'imports node:fs' },
    { name: 'a package', text: `import yaml from 'yaml';\n${keep}`, says: 'imports yaml' },
    { name: 'a path from the root', text: `import '/etc/x.js';\n${keep}`, says: 'imports /etc/x.js' },
    { name: 'another kind of file', text: `import './x.cjs';\n${keep}`, says: 'x.cjs, which is no module' },
    { name: 'a file that is not there', text: `import './gone.ts';\n${keep}`, says: 'gone.ts' },
    { name: 'what it waits for', text: `await Promise.resolve();\n${keep}`, says: 'top-level await' },
    { name: 'types that cannot be left out', text: `enum Kind { a }\n${keep}`, says: 'enum is not supported' },
    { name: 'no module', text: 'export default {', says: '' },
    { name: 'no default export', text: 'export const transform = () => null;', says: 'its default export' },
    { name: 'a throw', text: 'throw new Error("no table");', says: 'no table' },
  ])('is refused for $name', async ({ text, says }) => {
    const failure = load({ 'rule.ts': text, 'x.cjs': '' });
    await expect(failure).rejects.toMatchObject({
      code: 'rule.module-invalid',
      details: { module: './rule.ts', detail: expect.stringContaining(says) as unknown },
    });
  });

  it('that imports while it runs gets nothing', async () => {
    const { rule } = await load({
      'rule.ts': 'export default { transform: () => import("node:fs") };',
    });
    await expect(rule?.transform(record)).rejects.toThrow('imports node:fs while it runs');
  });
});
