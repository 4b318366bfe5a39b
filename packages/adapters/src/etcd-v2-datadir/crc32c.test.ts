/** Goal: the checksum is CRC-32C. Method: the vectors of RFC 3720 (B.4) and the usual check value; a law for running on. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';

describe('crc32c', () => {
  it.each([
    { name: '123456789', bytes: Buffer.from('123456789'), want: 0xe3069283 },
    { name: '32 zeros', bytes: Buffer.alloc(32), want: 0x8a9136aa },
    { name: '32 times 0xff', bytes: Buffer.alloc(32, 0xff), want: 0x62a8ab43 },
    { name: '0 to 31', bytes: Buffer.from(Array.from({ length: 32 }, (_, i) => i)), want: 0x46dd794e },
    { name: '31 to 0', bytes: Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), want: 0x113fdb5c },
    { name: 'nothing', bytes: Buffer.alloc(0), want: 0 },
  ])('of $name', ({ bytes, want }) => expect(crc32c(0, bytes)).toBe(want));

  it('law: goes on where it stopped, wherever that was', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100), (bytes, a, b) => {
        const [first, second] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
        const running = crc32c(crc32c(crc32c(0, bytes, 0, first), bytes, first, second), bytes, second);
        return running === crc32c(0, bytes);
      }),
    ));
});
