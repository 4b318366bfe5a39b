/** Damage to the bytes of a file, for fuzzing what reads them: flipped, overwritten, zeroed, cut off, spliced, taken out. */
import * as fc from 'fast-check';

export type Damage = (bytes: Buffer) => Buffer;

export const anyDamage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ at: fc.nat(), bit: fc.nat(7) }).map(({ at, bit }) => flip(at, bit)) },
  fc.record({ at: fc.nat(), byte: fc.nat(255) }).map(({ at, byte }) => overwrite(at, Buffer.of(byte))),
  fc
    .record({ at: fc.nat(), length: fc.integer({ min: 1, max: 700 }) })
    .map(({ at, length }) => overwrite(at, Buffer.alloc(length))),
  fc.nat().map((at) => (bytes: Buffer) => bytes.subarray(0, at % bytes.length)),
  fc.record({ from: fc.nat(), to: fc.nat(), length: fc.integer({ min: 1, max: 300 }) }).map(
    ({ from, to, length }) =>
      (bytes: Buffer) =>
        overwrite(to, Buffer.from(bytes.subarray(from % bytes.length, (from % bytes.length) + length)))(bytes),
  ),
  fc.record({ at: fc.nat(), length: fc.integer({ min: 1, max: 300 }) }).map(
    ({ at, length }) =>
      (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(0, at % bytes.length), bytes.subarray((at % bytes.length) + length)]),
  ),
);

const flip =
  (at: number, bit: number): Damage =>
  (bytes) => {
    const spoiled = Buffer.from(bytes);
    spoiled[at % bytes.length] = (spoiled[at % bytes.length] ?? 0) ^ (1 << bit);
    return spoiled;
  };

const overwrite =
  (at: number, by: Buffer): Damage =>
  (bytes) => {
    const spoiled = Buffer.from(bytes);
    by.copy(spoiled, at % bytes.length);
    return spoiled;
  };
