/** Goal: a line that was written is the record when it is read. Method: a law over any bytes, through the reader. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes } from '@keyferry/core';
import { parseRecordLine } from './ndjson.ts';
import { recordLine } from './record-line.ts';

describe('a line of NDJSON', () => {
  it('law: holds any key, value and expiry, and no line end but its own', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc
        .string({ unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', '\u2028', '\ufeff', 'é', '😀'), maxLength: 20 })
        .map((text) => Buffer.from(text, 'utf8')),
    );
    const anyExpiry = fc.option(fc.integer({ min: 0, max: 4_000_000_000_000 }));
    fc.assert(
      fc.property(anyBytes, anyBytes, anyExpiry, (key, value, expiresAtMs) => {
        const line = recordLine({ key: keyFromBytes(key), value, expiresAtMs });
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const parsed = parseRecordLine(Buffer.from(line.slice(0, -1)));
        const wanted = { key: keyFromBytes(key), value: Buffer.from(value), expiresAtMs };
        expect(parsed).toMatchObject({ record: wanted });
      }),
    );
  });
});
