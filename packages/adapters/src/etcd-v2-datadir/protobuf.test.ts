/** Goal: both ways to read a number come to the same one, and the short way leaves what it cannot hold to the other. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { numberField } from '../../test/datadir-writer.ts';
import { FieldReader, Malformed, UsualFields } from './protobuf.ts';

const edges = [7, 14, 28, 31, 32, 49, 53, 64].flatMap((bits) => [2n ** BigInt(bits) - 1n, 2n ** BigInt(bits)]);
const anyNumber = fc.oneof(
  fc.constantFrom(...edges.filter((edge) => edge < 2n ** 64n)),
  fc.integer({ min: 0, max: 64 }).chain((bits) => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })),
);

function numberOf(message: FieldReader): number | 'refused' {
  try {
    return message.number();
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return 'refused';
  }
}

it('law: a number is itself, or left to the other way, or refused where it is not exact', () => {
  fc.assert(
    fc.property(anyNumber, (number) => {
      const bytes = numberField(1, number);
      const fields = new UsualFields();
      expect(fields.number(bytes, bytes.length, 0x08)).toBe(number < 2n ** 49n ? Number(number) : -1);
      expect(fields.at).toBe(number < 2n ** 49n ? bytes.length : 0);
      const message = new FieldReader(bytes);
      message.next();
      expect(numberOf(message)).toBe(number < 2n ** 53n ? Number(number) : 'refused');
      expect(message.unsigned()).toBe(number);
    }),
    { numRuns: 1000 },
  );
});

it('law: 32 bits are themselves, with a sign, and more are none', () => {
  fc.assert(
    fc.property(anyNumber, (number) => {
      const bytes = numberField(2, number);
      const fields = new UsualFields();
      const isWord = number < 2n ** 32n;
      expect(fields.isWord(bytes, bytes.length, 0x10)).toBe(isWord);
      expect(isWord ? fields.word : null).toBe(isWord ? Number(BigInt.asIntN(32, number)) : null);
    }),
    { numRuns: 1000 },
  );
});

it.each([2 ** 20, 2 ** 40])('%i that does not end, or is of another field, is left to the other way', (number) => {
  const bytes = numberField(1, number);
  for (let end = 0; end < bytes.length; end += 1) {
    expect(new UsualFields().number(bytes, end, 0x08)).toBe(-1);
    expect(new UsualFields().isWord(bytes, end, 0x08)).toBe(false);
  }
  expect(new UsualFields().number(bytes, bytes.length, 0x10)).toBe(-1);
});
