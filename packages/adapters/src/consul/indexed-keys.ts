/**
 * Keys in ascending order with a number each, packed: what a watch of an application remembers of a store between two looks.
 *
 * A million keys of 26 bytes are 38 MB here and several times that as a Map, and the process is not ours. They come in order
 * and are gone through in order, so nothing else is needed.
 */
import { invariant, type Key } from '@keyferry/core';

const firstBytes = 1024;
const firstKeys = 64;

export class IndexedKeys {
  private bytes = Buffer.allocUnsafe(firstBytes);
  /** Where each key ends. */
  private ends = new Float64Array(firstKeys);
  private numbers = new Float64Array(firstKeys);
  private count = 0;
  private last = '' as Key;

  /** @param key above all that were added */
  add(key: Key, number: number): void {
    invariant(this.count === 0 || key > this.last, 'keys that are added to a list come in order');
    const start = this.endOf(this.count - 1);
    const end = start + key.length;
    if (end > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, start);
      this.bytes = larger;
    }
    if (this.count === this.ends.length) {
      this.ends = enlarged(this.ends);
      this.numbers = enlarged(this.numbers);
    }
    this.bytes.write(key, start, 'latin1');
    this.ends[this.count] = end;
    this.numbers[this.count] = number;
    this.count += 1;
    this.last = key;
  }

  /** Goes through them once, beside others that come in the same order. */
  walk(): KeyWalk {
    return new KeyWalk((nth) => {
      if (nth >= this.count) return null;
      const key = this.bytes.toString('latin1', this.endOf(nth - 1), this.endOf(nth)) as Key;
      return { key, number: this.numbers[nth] ?? 0 };
    });
  }

  private endOf(nth: number): number {
    return nth < 0 ? 0 : (this.ends[nth] ?? 0);
  }
}

interface IndexedKey {
  readonly key: Key;
  readonly number: number;
}

export class KeyWalk {
  private readonly at: (nth: number) => IndexedKey | null;
  private nth = 0;
  private current: IndexedKey | null;

  constructor(at: (nth: number) => IndexedKey | null) {
    this.at = at;
    this.current = at(0);
  }

  /** @param key above all that were asked for. @param skip is given those below it. @returns its number; null: it has none */
  numberOf(key: Key, skip: (key: Key) => void = () => undefined): number | null {
    while (this.current !== null && this.current.key < key) {
      skip(this.current.key);
      this.step();
    }
    if (this.current?.key !== key) return null;
    const { number } = this.current;
    this.step();
    return number;
  }

  /** @param take is given those that are left */
  rest(take: (key: Key) => void): void {
    for (; this.current !== null; this.step()) take(this.current.key);
  }

  private step(): void {
    this.nth += 1;
    this.current = this.at(this.nth);
  }
}

function enlarged(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}
