/** Goal: the spool on disk keeps what the port promises, and a page of large values ends early. Method: the contract. */
import { describe, expect, it } from 'vitest';
import { keyFromText, type Key, type Version } from '@keyferry/core';
import { spoolContract } from '@keyferry/core/testing';
import { diskScratch } from './record-spool.ts';

spoolContract('disk', () => diskScratch);

describe('a spool on disk', () => {
  it('ends a page early when its values are large', async () => {
    const spool = diskScratch.openSpool();
    for (let i = 0; i < 12; i += 1) {
      const value = new Uint8Array(i % 3 === 0 ? 3_000_000 : 1);
      spool.add({ key: keyFromText(`/${i}`), value, version: '1' as Version, expiresAtMs: null });
    }
    spool.seal();
    let pages = 0;
    for await (const page of spool.scan({ start: '' as Key, end: null }, { pageKeysMax: 1000 })) {
      pages += 1;
      expect(page.records.length).toBeLessThan(12);
    }
    expect(pages).toBeGreaterThan(1);
    spool.close();
  });
});
