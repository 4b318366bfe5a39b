/**
 * Goal: nobody else reads what lies in a scratch file, nothing of it stays, and a disk that fails is told with a way out.
 * Method: a folder of its own as TMPDIR; the file itself by its descriptor, as Linux shows it.
 */
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Key, Version } from '@keyferry/core';
import { sortLimits } from './entry-sort.ts';
import { RecordSpool } from './record-spool.ts';
import { ScratchFile } from './scratch-file.ts';

const descriptors = '/proc/self/fd';

describe.skipIf(process.platform !== 'linux')('a scratch file', () => {
  let folder = '';
  let before: string | undefined;
  beforeEach(() => {
    before = process.env['TMPDIR'];
    folder = mkdtempSync(join(tmpdir(), 'keyferry-test-'));
    process.env['TMPDIR'] = folder;
  });
  afterEach(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    rmSync(folder, { recursive: true });
  });

  /** By its descriptor: it has no name. */
  const pathOf = (): string => {
    const found = readdirSync(descriptors).filter((each) => {
      try {
        return readlinkSync(join(descriptors, each)).startsWith(`${folder}/`);
      } catch {
        return false; // the one that lists them
      }
    });
    expect(found).toHaveLength(1);
    return join(descriptors, found[0] ?? '');
  };

  it('has no name in its folder from the first byte on, and is closed to others', () => {
    const file = new ScratchFile();
    expect(readdirSync(folder)).toEqual([]);
    file.append(Buffer.from('secret'));
    expect(readdirSync(folder)).toEqual([]);
    const { mode, nlink } = statSync(pathOf());
    expect({ mode: mode & 0o777, nlink }).toEqual({ mode: 0o600, nlink: 0 });
    file.close();
    file.close();
  });

  it('gives back any part of what was written', () => {
    const file = new ScratchFile();
    file.append(Buffer.from('xabc'), 1);
    file.append(Buffer.from('defx'), 0, 3);
    const into = Buffer.alloc(4);
    file.read(1, into);
    expect(into.toString()).toBe('bcde');
    expect(file.length).toBe(6);
    file.close();
  });

  it('says where a disk has less than was written, and what to do', () => {
    const file = new ScratchFile();
    file.append(Buffer.alloc(100));
    truncateSync(pathOf(), 60);
    expect(() => file.read(0, Buffer.alloc(100))).toThrow(
      `records cannot be sorted in ${folder}: it ends at byte 60 of 100`,
    );
    file.close();
  });

  it('is refused where no file can be made, and with it the sort that needs one', () => {
    process.env['TMPDIR'] = join(folder, 'none');
    const spool = new RecordSpool({ ...sortLimits, runBytes: 100 });
    const add = (key: string) =>
      spool.add({ key: key as Key, value: new Uint8Array(60), version: '1' as Version, expiresAtMs: null });
    add('a');
    expect(() => add('b')).toThrow(
      expect.objectContaining({ code: 'scratch.unusable', message: expect.stringContaining('ENOENT') as string }),
    );
    spool.close();
  });
});
