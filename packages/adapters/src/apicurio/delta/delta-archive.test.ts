/** Goal: what is copied from one archive into another is what was in it, or nothing is: no damaged content is imported unseen. */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import yazl from 'yazl';
import { openArchive } from '../archive/read-archive.ts';
import { writeDeltaArchive } from './delta-archive.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-delta-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('copies an entry byte for byte, and refuses one that is damaged', async () => {
  const [file, into] = [join(folder, 'whole.zip'), join(folder, 'delta.zip')];
  const zip = new yazl.ZipFile();
  zip.addBuffer(Buffer.from('a schema'), 'content/1.data', { compress: false });
  zip.addBuffer(Buffer.from('another'), 'content/2.data');
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(file));
  await writeDeltaArchive(file, ['content/1.data'], into);
  const copied = await openArchive(into);
  expect(copied.names).toEqual(['content/1.data']);
  expect(String(await copied.readDocument('content/1.data'))).toBe('a schema');
  copied.close();
  await rm(into);
  const bytes = await readFile(file);
  bytes[bytes.indexOf('a schema')] = 0x41;
  await writeFile(file, bytes);
  await expect(writeDeltaArchive(file, ['content/1.data'], into)).rejects.toMatchObject({
    code: 'registry.archive-invalid',
    details: { why: 'content/1.data is damaged' },
  });
  expect([existsSync(into), existsSync(`${into}.partial`)]).toEqual([false, false]);
});
