/**
 * Goal: a walk takes from an archive only what a walk has found equal to it (SPEC R164), and a freeze reads each archive once.
 * Method: archives as 2.6 writes them, one with a content that no version has.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeArchive } from '../../../test/apicurio-archive-writer.ts';
import { walkedContents } from './archived-records.ts';
import { readArchive } from './read-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'keyferry-archived-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('leaves out contents of no version, which no walk has seen', async () => {
  const file = join(folder, 'export.zip');
  await writeArchive(file, {
    contents: [
      { contentId: 1, text: '{"type":"string"}' },
      { contentId: 2, text: '{"type":"int"}' },
    ],
    versions: [{ globalId: 1, artifactId: 'a', version: '1', contentId: 1 }],
  });
  expect([...walkedContents(await readArchive(file)).keys()]).toEqual([1]);
});

it('reads none of the three again that a freeze with repaired archives goes by, and one that was replaced', async () => {
  const write = (file: string, text: string): Promise<string> =>
    writeArchive(file, {
      contents: [{ contentId: 1, text }],
      versions: [{ globalId: 1, artifactId: 'a', version: '1', contentId: 1 }],
    });
  const files = ['before', 'before-repaired', 'repaired'].map((name) => join(folder, `${name}.zip`));
  for (const file of files) await write(file, '{"type":"string"}');
  const archives = await Promise.all(files.map((file) => readArchive(file)));
  for (const [at, file] of files.entries()) expect(await readArchive(file)).toBe(archives[at]);
  const [first = ''] = files;
  rmSync(first);
  await write(first, '{"type":"double"}');
  expect((await readArchive(first)).contents).not.toEqual(archives[0]?.contents);
});
