/**
 * Sorts rows by the bytes of their names, which lie anywhere, without making a string of any.
 *
 *     (four bytes of the name │ row), as one number of 64 bits ──platform's sort──► those still alike: their next four bytes
 *
 * Going from one name to the next waits for memory at each, so what a sort needs to know of most names comes along. Names that
 * are the same keep the order of their rows.
 */

/** The names of rows, which are known by numbers of 32 bits. */
export interface RowNames {
  length(row: number): number;
  /** Four bytes of the name from `at` on as a number, the first one highest; zero for what is behind its end. */
  word(row: number, at: number): number;
  /** How many bytes two names begin with alike, at most `max`. */
  shared(a: number, b: number, max: number): number;
}

const wordBytes = 4;
/** Up to here names are compared one with another: a call of the platform's sort costs more. */
const fewNames = 8;

/** Rows alike up to `depth`, whose numbers hold the four bytes behind that. */
interface Alike {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

/** Numbers to be sorted, and their halves: row, part of the name. Little-endian, as all that Node runs on. */
export class PackedRows {
  readonly packed: BigUint64Array;
  readonly halves: Uint32Array;

  constructor(count: number) {
    this.packed = new BigUint64Array(count);
    this.halves = new Uint32Array(this.packed.buffer);
  }

  set(at: number, row: number, word: number): void {
    this.halves[2 * at] = row;
    this.halves[2 * at + 1] = word;
  }

  rowAt(at: number): number {
    return this.halves[2 * at] as number;
  }

  /** Sorts a part, in which all names are alike up to `depth` and words are of what is behind that. */
  sort(names: RowNames, start: number, end: number, depth: number): void {
    // A list and no recursion: names may be as long as a request.
    const open: Alike[] = [{ start, end, depth }];
    for (let part = open.pop(); part !== undefined; part = open.pop()) {
      this.packed.subarray(part.start, part.end).sort();
      for (let first = part.start; first < part.end;) {
        const last = this.endOfAlike(first, part.end);
        if (last - first > 1) this.sortAlike(names, { start: first, end: last, depth: part.depth + wordBytes }, open);
        first = last;
      }
    }
  }

  private endOfAlike(first: number, end: number): number {
    const { halves } = this;
    const word = halves[2 * first + 1];
    let last = first + 1;
    while (last < end && halves[2 * last + 1] === word) last += 1;
    return last;
  }

  private sortAlike(names: RowNames, { start, end, depth }: Alike, open: Alike[]): void {
    if (end - start <= fewNames) {
      this.sortFew(names, start, end);
      return;
    }
    const { halves } = this;
    const first = this.rowAt(start);
    let shared = names.length(first);
    for (let at = start + 1; at < end; at += 1) shared = names.shared(first, this.rowAt(at), shared);
    // A name that ends there has zero bytes behind it, as others may have in it.
    const next = Math.max(shared, depth);
    let goesOn = false;
    for (let at = start; at < end; at += 1) {
      const row = this.rowAt(at);
      if (names.length(row) > next) goesOn = true;
      halves[2 * at + 1] = names.word(row, next);
    }
    if (goesOn) open.push({ start, end, depth: next });
    else this.sortByLength(names, start, end);
  }

  /** None goes on, so they are alike but for the number of zero bytes at their ends. */
  private sortByLength(names: RowNames, start: number, end: number): void {
    const { halves } = this;
    for (let at = start; at < end; at += 1) halves[2 * at + 1] = names.length(this.rowAt(at));
    this.packed.subarray(start, end).sort();
  }

  /** By insertion. */
  private sortFew(names: RowNames, start: number, end: number): void {
    const { halves } = this;
    for (let next = start + 1; next < end; next += 1) {
      const row = this.rowAt(next);
      let at = next;
      for (; at > start && compareNames(names, this.rowAt(at - 1), row) > 0; at -= 1) {
        halves[2 * at] = this.rowAt(at - 1);
      }
      halves[2 * at] = row;
    }
  }
}

function compareNames(names: RowNames, a: number, b: number): number {
  const shared = names.shared(a, b, Infinity);
  const [left, right] = [names.word(a, shared), names.word(b, shared)];
  // A zero byte behind one name and none behind the other are one word.
  return left === right ? names.length(a) - names.length(b) : left - right;
}
