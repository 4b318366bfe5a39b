/**
 * What ran of a long campaign, kept in a file of lines so that it can go on where it stopped: one line for each slice of
 * seeds that came to its end, appended in one write. A line names the code that it ran on; a seed is another history on
 * other code, so lines of other code count for nothing and are kept all the same.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Slice {
  readonly code: string;
  readonly from: number;
  readonly seeds: number;
  readonly histories: number;
  readonly events: number;
  readonly elapsedMs: number;
  readonly failed: readonly number[];
}

/** Both ends included. */
export interface SeedRange {
  readonly from: number;
  readonly to: number;
}

const sources = [
  'packages/{core,engine}/{src,testing}/**/*.ts',
  'packages/client/src/**/*.ts',
  'tools/online/sim/**/*.ts',
];

/** Of every file that a simulated history goes through. */
export function digestOfCode(root: string): string {
  const hash = createHash('sha256');
  const files = globSync(sources, { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  for (const file of files.toSorted())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(`${root}/${file}`))
      .update('\0');
  return hash.digest('hex').slice(0, 16);
}

/** What ran of `code`. A last line that was cut off by a kill did not run. */
export function readLedger(file: string, code: string): readonly Slice[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.flatMap(sliceOf).filter((slice) => slice.code === code);
}

export function appendToLedger(file: string, slice: Slice): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify(slice)}\n`);
}

function sliceOf(line: string): readonly Slice[] {
  try {
    return [JSON.parse(line) as Slice];
  } catch {
    return []; // the start of a line that was cut off, and another one after it
  }
}

/** Which seeds ran, as few ranges as there are. */
export function rangesOf(slices: readonly Pick<Slice, 'from' | 'seeds'>[]): readonly SeedRange[] {
  const ranges: { from: number; to: number }[] = [];
  for (const { from, seeds } of slices.toSorted((a, b) => a.from - b.from)) {
    const last = ranges.at(-1);
    const to = from + seeds - 1;
    if (last === undefined || from > last.to + 1) ranges.push({ from, to });
    else last.to = Math.max(last.to, to);
  }
  return ranges;
}

/** Slices of at most `sliceSeeds` that are missing in `wanted`. */
export function slicesLeft(
  wanted: SeedRange,
  ran: readonly SeedRange[],
  sliceSeeds: number,
): readonly { readonly from: number; readonly seeds: number }[] {
  const left: { from: number; seeds: number }[] = [];
  let next = wanted.from;
  for (const { from, to } of [...ran, { from: wanted.to + 1, to: wanted.to + 1 }]) {
    const end = Math.min(from - 1, wanted.to);
    for (let at = next; at <= end; at += sliceSeeds) {
      left.push({ from: at, seeds: Math.min(sliceSeeds, end - at + 1) });
    }
    next = Math.max(next, to + 1);
  }
  return left;
}
