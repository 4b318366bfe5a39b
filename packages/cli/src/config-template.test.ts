/** Goal: whatever pair is chosen, the file that init writes is valid, comments included. Method: every pair, loaded. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adapterKinds, loadConfig, type StoreKind } from '@keyferry/adapters';
import { expect, it } from 'vitest';
import { configTemplate, migrationName } from './config-template.ts';

const kinds = Object.keys(adapterKinds) as StoreKind[];
const pairs = kinds
  .filter((kind) => adapterKinds[kind].source)
  .flatMap((source) => kinds.filter((kind) => adapterKinds[kind].target).map((target) => ({ source, target })));

it.each(pairs)('$source to $target is valid, also with what its comments offer', async ({ source, target }) => {
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-init-'));
  try {
    const text = configTemplate(source, target);
    const file = join(folder, 'keyferry.yaml');
    await writeFile(file, text);
    expect(Object.keys((await loadConfig(file)).migrations)).toEqual([migrationName(source, target)]);
    const offered = text.replace(/^( +)# (\w+: .*)$/gm, '$1$2').replaceAll('http://', 'https://');
    expect(offered).not.toBe(text);
    await writeFile(file, offered);
    await expect(loadConfig(file)).resolves.toMatchObject({ file });
  } finally {
    await rm(folder, { recursive: true });
  }
});
