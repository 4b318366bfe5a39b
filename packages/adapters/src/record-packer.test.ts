/** Goal: a packed page holds what was put into it, whatever its size and the size of the one before. Method: a law. */
import { keyFromBytes, type Key, type RecordPage } from '@keyferry/core';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { copyBytes } from './bytes.ts';
import { RecordPacker } from './record-packer.ts';

const anyRecord = fc.record({
  key: fc.uint8Array({ maxLength: 6 }).map(keyFromBytes),
  value: fc.oneof(
    fc.uint8Array({ maxLength: 8 }),
    fc.integer({ min: 250, max: 9000 }).map((n) => new Uint8Array(n).fill(n)),
  ),
  version: fc.nat(),
  created: fc.nat(),
  expiresAtMs: fc.option(fc.nat()),
});
type Packable = typeof anyRecord extends fc.Arbitrary<infer T> ? T : never;

function packed(records: readonly Packable[], like: RecordPacker | null, saysCreated: boolean): RecordPacker {
  const packer = new RecordPacker(like);
  for (const { key, value, version, created, expiresAtMs } of records) {
    const as = saysCreated ? { version, created, expiresAtMs } : { version, expiresAtMs };
    const at = packer.reserve(key.length, value.length, as);
    copyBytes(Buffer.from(key, 'latin1'), 0, key.length, packer.bytes, at);
    copyBytes(Buffer.from(value), 0, value.length, packer.bytes, at + key.length);
  }
  return packer;
}

it('law: a page holds the records that were packed', () =>
  fc.assert(
    fc.property(fc.array(anyRecord), fc.array(anyRecord), fc.boolean(), (before, records, saysCreated) => {
      const notCarried = [{ key: 'd' as Key, reason: 'dir.empty' }] as const;
      const page: RecordPage = packed(records, packed(before, null, true), saysCreated).page(notCarried);
      expect(page.notCarried).toEqual(notCarried);
      expect(page.records.map(({ value, ...rest }) => ({ ...rest, value: [...value] }))).toEqual(
        records.map(({ version, created, value, ...rest }) => ({
          ...rest,
          value: [...value],
          version: String(version),
          ...(saysCreated ? { created: String(created) } : {}),
        })),
      );
    }),
    { numRuns: 60 },
  ));

it('grows past any number of records', () => {
  const packer = new RecordPacker();
  for (let version = 0; version < 3000; version += 1) packer.reserve(0, 0, { version, expiresAtMs: null });
  expect(packer.page().records.map(({ version }) => Number(version))).toEqual([...Array(3000).keys()]);
});
