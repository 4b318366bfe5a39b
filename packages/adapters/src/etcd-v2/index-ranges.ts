/**
 * A set of indexes, held as ranges: those of a run lie close together, and ten million of them must fit into memory and
 * into the text of a mark.
 */
export class IndexRanges {
  /** Ascending, with gaps between them. */
  private ranges: (readonly [number, number])[] = [];
  private added: (readonly [number, number])[] = [];

  /** Of text as `toText` writes it; null when it is something else. */
  static fromText(text: string): IndexRanges | null {
    const set = new IndexRanges();
    for (const part of text === '' ? [] : text.split(',')) {
      const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part);
      if (match === null) return null;
      set.added.push([Number(match[1]), Number(match[2] ?? match[1])]);
    }
    return set;
  }

  add(index: number): void {
    this.added.push([index, index]);
  }

  addAll(other: IndexRanges): void {
    for (const range of other.merged()) this.added.push(range);
  }

  has(index: number): boolean {
    const ranges = this.merged();
    let [low, high] = [0, ranges.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const [first, last] = ranges[middle] as readonly [number, number];
      if (index < first) high = middle;
      else if (index > last) low = middle + 1;
      else return true;
    }
    return false;
  }

  get isEmpty(): boolean {
    return this.merged().length === 0;
  }

  /** `4-80,83` */
  toText(): string {
    return this.merged()
      .map(([first, last]) => (first === last ? String(first) : `${first}-${last}`))
      .join(',');
  }

  private merged(): readonly (readonly [number, number])[] {
    if (this.added.length === 0) return this.ranges;
    const all = [...this.ranges, ...this.added].toSorted(([a], [b]) => a - b);
    const merged: [number, number][] = [];
    for (const [first, last] of all) {
      const before = merged.at(-1);
      if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
      else merged.push([first, last]);
    }
    [this.ranges, this.added] = [merged, []];
    return merged;
  }
}
