/** Goal: a stale, missing or left-over file is found by the check, which touches nothing, and mended without it. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { settle } from './settle.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'keyferry-gen-'));
  await mkdir(join(root, 'docs'));
  await writeFile(join(root, 'docs/fresh.md'), 'fresh');
  await writeFile(join(root, 'docs/stale.md'), 'older');
  await writeFile(join(root, 'docs/own.md'), 'written by hand');
  await writeFile(join(root, 'docs/gone.md'), 'nothing makes it any more');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const wanted = new Map([
  ['docs/fresh.md', 'fresh'],
  ['docs/stale.md', 'newer'],
  ['other/new.md', 'new'],
]);
const byHand = ['docs/own.md'];
const wrong = ['docs/stale.md', 'other/new.md', 'docs/gone.md'];

it('the check names what is not as the code says, and touches nothing', async () => {
  expect(await settle(root, { wanted, folders: ['docs'], byHand, check: true })).toEqual(wrong);
  expect(await readFile(join(root, 'docs/stale.md'), 'utf8')).toBe('older');
  expect(await readdir(root)).toEqual(['docs']);
});

it('without it they are made so, and then nothing is wrong', async () => {
  expect(await settle(root, { wanted, folders: ['docs'], byHand, check: false })).toEqual(wrong);
  expect(await settle(root, { wanted, folders: ['docs'], byHand, check: true })).toEqual([]);
  expect((await readdir(join(root, 'docs'))).toSorted()).toEqual(['fresh.md', 'own.md', 'stale.md']);
  expect(await readFile(join(root, 'other/new.md'), 'utf8')).toBe('new');
});
