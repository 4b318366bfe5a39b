/**
 * Seeded randomness. A generator can be forked by a name: the fork depends on the seed and the name alone and not on
 * how much was drawn before, so that one more draw in one place does not reshuffle all others.
 */
import type { Random } from '@keyferry/core';

export class Prng implements Random {
  private readonly seed: string;
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: string) {
    this.seed = seed;
    this.a = hashText(seed, 0x9e3779b9);
    this.b = hashText(seed, 0x85ebca6b);
    this.c = hashText(seed, 0xc2b2ae35);
    for (let i = 0; i < 12; i += 1) this.uint32();
  }

  fork(name: string): Prng {
    return new Prng(`${this.seed}/${name}`);
  }

  /** sfc32 (Doty-Humphrey, public domain). */
  uint32(): number {
    const sum = (this.a + this.b + this.counter) >>> 0;
    this.counter = (this.counter + 1) >>> 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) >>> 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) >>> 0;
    this.c = (this.c + sum) >>> 0;
    return sum;
  }

  /** From 0, below `end`. */
  below(end: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * end);
  }

  /** From `low` up to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.uint32() / 2 ** 32 < probability;
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }
}

function hashText(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}
