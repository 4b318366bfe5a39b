/**
 * Goal: nobody migrates the records of a component that goes on reading the source. Method: each setting that contradicts, in
 * the file and in the environment, beside the one that agrees.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKeyferryError } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configDigest } from './digest.ts';
import { loadConfig } from './load-config.ts';
import { assertReadsTarget } from './reads.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function load(settings: string) {
  const file = join(folder, 'keyferry.yaml');
  await writeFile(
    file,
    `version: 1
stores: { store2: { kind: sqlite, file: a.db }, store3: { kind: sqlite, file: b.db } }
migrations:
  jm: { source: { store: store2, prefix: jm/ }, target: { store: store3, prefix: jm/ }, ${settings} }
`,
  );
  return await loadConfig(file);
}

describe('in the file', () => {
  it.each([
    [
      'the source',
      'strategy: offline, reads: store2',
      'the component still reads store2, whose records would go to store3',
    ],
    [
      'another store',
      'strategy: offline, reads: store4',
      'the component reads "store4", and records go from store2 to store3',
    ],
    [
      'a setting beside a switch',
      'strategy: replicate, replicate: { freeze: person }, reads: store3',
      'has an effect with strategy: offline alone; with others the switch says it',
    ],
    ['no name', 'strategy: offline, reads: 3', 'the name of a store, or { env: NAME }, is expected'],
  ])('%s is an error', async (_name, settings, message) => {
    const error: unknown = await load(settings).catch((thrown: unknown) => thrown);
    if (!isKeyferryError(error, 'config.invalid')) throw error;
    expect(error.details.issues.map((issue) => `${issue.path}: ${issue.message}`)).toEqual([
      `migrations.jm.reads: ${message}`,
    ]);
  });

  it('the target agrees', async () => {
    const config = await load('strategy: offline, reads: store3');
    expect(config.migrations['jm']?.reads).toBe('store3');
    assertReadsTarget(config, 'jm', {});
  });
});

describe('in the environment', () => {
  it.each([
    ['the source', 'store2', 'still reads store2'],
    ['another store', 'store4', 'reads "store4"'],
    ['nothing', undefined, 'says nothing'],
  ])('%s is refused', async (_name, value, why) => {
    const config = await load('strategy: offline, reads: { env: JM_STORE }');
    expect(() => assertReadsTarget(config, 'jm', { JM_STORE: value })).toThrow(
      expect.objectContaining({ code: 'config.contradiction', message: expect.stringContaining(why) as string }),
    );
  });

  it('the target agrees, and a plan holds whatever it says', async () => {
    const config = await load('strategy: offline, reads: { env: JM_STORE }');
    assertReadsTarget(config, 'jm', { JM_STORE: 'store3' });
    expect(configDigest(config, 'jm')).toBe(configDigest(await load('strategy: offline'), 'jm'));
  });
});
