/**
 * The canonical records: keys of 26 bytes under /bench/, spread evenly over 32 prefixes, values of 100 bytes of text.
 *
 *     /bench/07/9f3c21d00a4be871        number i of a seed is the same record on every machine, at any count
 *
 * Text, because etcd v2 holds nothing else, and random, so that no store can compress it away.
 */

export interface BenchRecord {
  readonly key: string;
  readonly value: string;
}

export const benchPrefix = '/bench/';
export const valueBytes = 100;
const seed = 0x6b657966;
const prefixes = 32;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function recordAt(index: number): BenchRecord {
  const next = randomBits(index);
  const high = next();
  const segment = String(high % prefixes).padStart(2, '0');
  // The index is part of the key, mixed: no two records of a data set can have one key.
  const unique = Math.imul(index, 0x9e3779b1) >>> 0;
  const key = `${benchPrefix}${segment}/${hex(unique)}${hex(next())}`;
  let value = '';
  while (value.length < valueBytes) {
    let bits = next();
    for (let i = 0; i < 5; i += 1) {
      value += alphabet.charAt(bits & 63);
      bits >>>= 6;
    }
  }
  return { key, value };
}

export function* records(count: number): Generator<BenchRecord> {
  for (let i = 0; i < count; i += 1) yield recordAt(i);
}

/** As byte order has them. */
export function sortedRecords(count: number): BenchRecord[] {
  return [...records(count)].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** splitmix32 (public domain): a stream of 32-bit numbers, the same of each index on every machine. */
export function randomBits(index: number): () => number {
  let state = (seed ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}
