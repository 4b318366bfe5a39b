/**
 * Goal: a sort takes no more memory and no more disk than it says, however much comes and however large it is.
 * Method: which runs it would merge at once; and what it writes to its files, and holds in them, by as many runs as take
 * several passes.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Key, Version } from '@keyferry/core';
import { mergedAtOnce, sortLimits } from './entry-sort.ts';
import { RecordSpool } from './record-spool.ts';
import { ScratchFile } from './scratch-file.ts';

const mebibyte = 1024 * 1024;
const runsOf = (count: number, largest: number) => Array.from({ length: count }, () => ({ largest }));

describe('runs that are merged at once', () => {
  it.each([
    { name: 'of small entries are as many as may be', largest: 1000, merged: 256 },
    { name: 'of large ones are as many as have room for one of each', largest: mebibyte, merged: 32 },
    { name: 'of huge ones are two', largest: 100 * mebibyte, merged: 2 },
  ])('$name', ({ largest, merged }) => {
    expect(mergedAtOnce(runsOf(300, largest), sortLimits)).toBe(merged);
    expect(mergedAtOnce(runsOf(1, largest), sortLimits)).toBe(1);
  });
});

describe('a sort of many runs', () => {
  afterEach(() => void vi.restoreAllMocks());

  /** What all files were written, and the most that those held which were open at a time. */
  function onDisk() {
    const append = vi.spyOn(ScratchFile.prototype, 'append').mock;
    const close = vi.spyOn(ScratchFile.prototype, 'close').mock;
    return () => {
      const steps = [
        ...append.calls.map(([bytes, start = 0, end = bytes.length], i) => ({
          at: append.invocationCallOrder[i] ?? 0,
          file: append.contexts[i],
          bytes: end - start,
        })),
        ...close.contexts.map((file, i) => ({ at: close.invocationCallOrder[i] ?? 0, file, bytes: null })),
      ].toSorted((a, b) => a.at - b.at);
      const held = new Map<unknown, number>();
      let [written, most] = [0, 0];
      for (const { file, bytes } of steps) {
        if (bytes === null) held.delete(file);
        else held.set(file, (held.get(file) ?? 0) + bytes);
        written += bytes ?? 0;
        most = Math.max(
          most,
          [...held.values()].reduce((sum, each) => sum + each, 0),
        );
      }
      return { written, most };
    };
  }

  it.each([
    { name: 'by their number', limits: { mergedRunsMax: 4 } },
    { name: 'by the size of their entries', limits: { largestBytes: 400 } },
  ])('writes each entry once a pass, and holds it twice at most, limited $name', async ({ limits }) => {
    const disk = onDisk();
    const spool = new RecordSpool({ ...sortLimits, runBytes: 100, memoryBytes: 0, ...limits });
    const entries = 256; // one is a run: it is more than half of its bytes
    for (let i = 0; i < entries; i += 1) {
      const key = String((i * 101) % entries).padStart(4, '0') as Key;
      spool.add({ key, value: new Uint8Array(60), version: '1' as Version, expiresAtMs: null });
    }
    await spool.seal();
    const allBytes = entries * (32 + 4 + 60 + 1);
    const { written, most } = disk();
    // As runs, in four passes at most (four to the fourth is 256), and where they are read.
    expect(written / allBytes).toBeLessThanOrEqual(6);
    expect(most / allBytes).toBeLessThanOrEqual(2);
    spool.close();
  });
});
