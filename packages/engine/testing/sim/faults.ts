/**
 * The faults of a simulated run, by number, in the order in which they were drawn; and how a failure is brought down to
 * those that it needs.
 *
 * A fault that is left out is drawn all the same, so the dice of what stays fall as before. What follows may take another
 * turn: so each try is a run of its own, and counts only if it fails.
 */

export class Faults {
  private drawn = 0;
  private readonly kept: ReadonlySet<number> | null;

  /** @param kept these happen and no others; null: all do */
  constructor(kept: ReadonlySet<number> | null = null) {
    this.kept = kept;
  }

  /** How many were drawn so far. */
  get count(): number {
    return this.drawn;
  }

  /** Whether the fault that was drawn just now happens. */
  happens(): boolean {
    const number = this.drawn;
    this.drawn += 1;
    return this.kept === null || this.kept.has(number);
  }
}

/**
 * The fewest faults with which it still fails: no single one of them can be left out, nor any run of them that was tried.
 * @param count faults that were drawn in the run that failed
 * @param fails runs it with these faults alone
 */
export async function shrinkFaults(
  count: number,
  fails: (kept: ReadonlySet<number>) => Promise<boolean>,
): Promise<ReadonlySet<number>> {
  let kept = Array.from({ length: count }, (_, number) => number);
  if (await fails(new Set())) return new Set();
  for (let size = Math.ceil(kept.length / 2); size > 0;) {
    let shrank = false;
    for (let at = 0; at < kept.length;) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (await fails(new Set(without))) [kept, shrank] = [without, true];
      else at += size;
    }
    // Whoever left the first one out may let go of another one now.
    if (size === 1 && !shrank) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return new Set(kept);
}
