/**
 * Looks at every state that a space of them can come to, nearest first, and says what is wrong with the first bad one.
 *
 *     take a state ─► is anything wrong with it? ─► every step that anybody may take ─► new? put it in line
 *
 * Breadth first, so a counterexample is a shortest one. Ends only when nothing is left: the result is for all
 * interleavings, not for a sample.
 */
export interface Step<W> {
  readonly label: string;
  readonly world: W;
}

export interface Space<W> {
  readonly first: readonly W[];
  /** Two states with the same key have the same future. */
  readonly keyOf: (world: W) => string;
  readonly stepsFrom: (world: W) => readonly Step<W>[];
  /** What no state may be, in words; null: nothing is wrong. */
  readonly wrongWith: (world: W, isIdle: boolean) => string | null;
  /** Nothing behind it is of interest: what is wrong with it is known. */
  readonly isSpoilt: (world: W) => boolean;
  /** The same state for all that matters. */
  readonly atRest?: (world: W) => W;
  readonly meet?: (world: W) => void;
}

export interface Counterexample {
  readonly what: string;
  readonly steps: readonly string[];
}

export interface Found {
  readonly states: number;
  /** States in which nothing can follow. */
  readonly ends: number;
  readonly counterexample: Counterexample | null;
}

export interface SearchOptions {
  /** Only what is wrong in these words counts; by default anything. */
  readonly looksFor?: RegExp;
  /** More states than this are an error: an exploration that nobody waits for proves nothing. */
  readonly statesMax?: number;
}

interface Seen<W> {
  readonly world: W;
  readonly label: string;
  readonly from: Seen<W> | null;
}

/** @throws {RangeError} past `statesMax` */
export function search<W>(space: Space<W>, { looksFor = /^/, statesMax = 2_000_000 }: SearchOptions = {}): Found {
  const known = new Set<string>();
  let line: Seen<W>[] = [];
  let ends = 0;
  const meet = (met: W, label: string, from: Seen<W> | null): void => {
    const world = space.atRest?.(met) ?? met;
    const key = space.keyOf(world);
    if (known.has(key)) return;
    known.add(key);
    space.meet?.(world);
    line.push({ world, label, from });
  };
  for (const world of space.first) meet(world, 'the beginning', null);
  while (line.length > 0) {
    const now = line;
    line = [];
    for (const seen of now) {
      if (known.size > statesMax) throw new RangeError(`more than ${statesMax} states`);
      const steps = space.stepsFrom(seen.world);
      const what = space.wrongWith(seen.world, steps.length === 0);
      if (what !== null && looksFor.test(what)) {
        return { states: known.size, ends, counterexample: { what, steps: pathTo(seen) } };
      }
      if (space.isSpoilt(seen.world)) continue;
      if (steps.length === 0) ends += 1;
      for (const { label, world } of steps) meet(world, label, seen);
    }
  }
  return { states: known.size, ends, counterexample: null };
}

function pathTo<W>(seen: Seen<W>): readonly string[] {
  const path: string[] = [];
  for (let at: Seen<W> | null = seen; at !== null; at = at.from) path.unshift(at.label);
  return path;
}
