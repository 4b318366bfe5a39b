/**
 * Which keys lie below another that holds a value: `a/b` below `a`. Some stores keep paths, where one of the two has to
 * be a directory.
 *
 * Keys come in byte order, which puts `a-b` between `a` and `a/b`; so the keys that may still have some below them are
 * remembered. Each of those begins with the one before it, so there are never more of them than a key has bytes.
 */
import type { Key } from '../model/key.ts';

export class KeyFamily {
  private readonly above: Key[] = [];
  /** Of the key that was added last. */
  isBelowValue = false;

  /** @param key not below the one before, in byte order */
  add(key: Key): void {
    for (let last = this.above.at(-1); last !== undefined && !mayLieBelow(key, last); last = this.above.at(-1)) {
      this.above.pop();
    }
    this.isBelowValue = this.above.some((each) => key.startsWith(`${each}/`));
    if (this.above.at(-1) !== key) this.above.push(key);
  }
}

/** Whether `key`, or one after it, may lie below `above`: `0` is the byte after the slash. */
function mayLieBelow(key: Key, above: Key): boolean {
  return key.startsWith(above) && (key.length === above.length || key.charCodeAt(above.length) <= slash);
}

const slash = 0x2f;
