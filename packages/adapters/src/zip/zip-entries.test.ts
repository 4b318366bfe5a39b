/**
 * Goal: nothing of a zip is taken for what it is not: bytes that are not of the stated checksum or size end in an error, in one
 * piece and in many; and whoever leaves early leaves no file open.
 * Method: zips that are written here, with bytes changed in what they hold and in what they state.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { KeyferryError } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import yazl from 'yazl';
import { ZipEntries } from './zip-entries.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-zip-'));
});
afterAll(() => rm(folder, { recursive: true }));

const small = Buffer.from('a few bytes, and a few bytes');
// Does not shrink, so that a byte of it can be changed and unpacked.
const large = randomBytes(900_000);

async function written(content: Buffer, compress: boolean): Promise<{ readonly file: string; readonly bytes: Buffer }> {
  const zip = new yazl.ZipFile();
  zip.addBuffer(content, 'entry', { compress });
  zip.end();
  const file = join(folder, 'test.zip');
  await pipeline(zip.outputStream, createWriteStream(file));
  return { file, bytes: await readFile(file) };
}

const opened = (file: string): Promise<ZipEntries> =>
  ZipEntries.open(file, { refuse: (why) => new KeyferryError('registry.archive-invalid', { file, why }) });

async function read(file: string): Promise<Buffer> {
  const zip = await opened(file);
  try {
    const pieces: Buffer[] = [];
    for await (const piece of zip.pieces('entry')) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  } finally {
    zip.close();
  }
}

const directoryOf = (bytes: Buffer): number => bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 1, 2]));
const uncompressedSizeAt = 24;

describe.each([
  { name: 'small, stored', content: small, compress: false },
  { name: 'large, stored', content: large, compress: false },
  { name: 'large, deflated', content: large, compress: true },
])('an entry, $name', ({ content, compress }) => {
  it('is read as it was written', async () => {
    const { file } = await written(content, compress);
    expect((await read(file)).equals(content)).toBe(true);
  });

  it('with a changed byte is refused at its end', async () => {
    const { file, bytes } = await written(content, compress);
    const at = bytes.indexOf(content.subarray(10, 20));
    bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(file, bytes);
    await expect(read(file)).rejects.toMatchObject({
      code: 'registry.archive-invalid',
      details: { why: 'entry is damaged' },
    });
  });
});

it.each([1, -1, 5_000_000, -large.length])('a large entry whose stated size is wrong by %i is refused', async (by) => {
  const { file, bytes } = await written(large, true);
  bytes.writeUInt32LE(large.length + by, directoryOf(bytes) + uncompressedSizeAt);
  await writeFile(file, bytes);
  await expect(read(file)).rejects.toMatchObject({
    code: 'registry.archive-invalid',
    details: { why: 'entry is not of the size that is stated' },
  });
});

it.runIf(process.platform === 'linux')('whoever leaves a large entry early leaves no file open', async () => {
  const { file } = await written(large, true);
  const zip = await opened(file);
  for await (const piece of zip.pieces('entry')) {
    expect(piece.byteLength).toBeLessThan(large.length);
    break;
  }
  zip.close();
  const open = async (): Promise<number> => {
    const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
    return (await Promise.all(links)).filter((each) => each === file).length;
  };
  await vi.waitFor(async () => expect(await open()).toBe(0));
});
