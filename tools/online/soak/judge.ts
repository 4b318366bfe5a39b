/**
 * The oracle of a live run: what every instance was told, merged in the order of time and held against what one register a
 * key could have answered (SPEC I13), and what watches showed against what was written.
 */
import { Tally, type HistoryId } from '../sim/tally.ts';
import type { InstanceLine } from './instance-log.ts';

export interface Verdict {
  readonly violations: readonly string[];
  /** Answers, by what they were. */
  readonly seen: ReadonlyMap<string, number>;
  /** The longest time in which an instance that asked for a write was told of none. */
  readonly writePauseMaxMs: number;
}

export interface Evidence {
  readonly instances: ReadonlyMap<string, readonly InstanceLine[]>;
  /** By key: what the store in charge held before and after. 0: nothing. */
  readonly before: ReadonlyMap<string, HistoryId>;
  readonly after: ReadonlyMap<string, HistoryId>;
  readonly requestLifeMs: number;
}

interface Moment {
  readonly at: number;
  readonly act: () => void;
}

export function judge({ instances, before, after, requestLifeMs }: Evidence): Verdict {
  const seen = new Map<string, number>();
  const note = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
  let nowMs = 0;
  const tally = new Tally(
    () => nowMs,
    () => undefined,
  );
  for (const [key, held] of before) tally.begin(key, held);
  const moments: Moment[] = [];
  for (const [name, lines] of instances) {
    for (const line of lines) {
      const { at } = line;
      switch (line.kind) {
        case 'asked':
          moments.push({ at, act: () => tally.asked(line.key, line.op, line.what) });
          break;
        case 'ttl':
          moments.push({ at, act: () => tally.endsAt(line.op, line.endsAtMs) });
          break;
        case 'told':
          note(line.said === 'unmet' ? 'unmet' : 'told');
          moments.push({ at, act: () => tally.answered(line.key, line.op, line.said, name) });
          break;
        case 'withdrawn':
          note(line.why);
          moments.push({ at, act: () => tally.withdrawn(line.key, line.op) });
          break;
        case 'unknown':
          note('unknown');
          moments.push({ at: at + requestLifeMs, act: () => tally.settled(line.key, line.op) });
          break;
        case 'watch':
          note(line.open ? 'watch opened' : 'watch lost');
          break;
        case 'shown':
          note('shown');
          break;
        case 'mode':
          note(`mode ${line.mode}`);
          break;
      }
    }
  }
  // Of one instant: what was asked comes before what was told, as in the file of each instance (the sort is stable).
  for (const { at, act } of moments.toSorted((a, b) => a.at - b.at)) {
    nowMs = at;
    act();
  }
  for (const [key, held] of after) tally.ends(key, held);
  const shown = [...instances].flatMap(([name, lines]) => judgeWatch(name, lines, [...instances.values()].flat()));
  return { violations: [...tally.violations, ...shown], seen, writePauseMaxMs: writePause([...instances.values()]) };
}

interface Written {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly isSure: boolean;
}

/** Each write once, none that certainly did not happen, in its key's order, and none missing until a watch was lost. */
function judgeWatch(name: string, lines: readonly InstanceLine[], all: readonly InstanceLine[]): readonly string[] {
  const writes = writesOf(all);
  const violations: string[] = [];
  let shown = new Map<HistoryId, number>();
  let openedAt: number | null = null;
  let last = new Map<string, Written>();
  for (const line of lines) {
    if (line.kind === 'watch') {
      openedAt = line.open ? line.at : null;
      shown = new Map();
      last = new Map();
    }
    if (line.kind !== 'shown' || line.op === 0) continue;
    const write = writes.get(line.op);
    if (write === undefined) {
      violations.push(`a watch of ${name} shows ${line.op} at ${line.key}, which nobody wrote`);
      continue;
    }
    if (shown.has(line.op)) violations.push(`a watch of ${name} shows ${line.op} at ${line.key} twice`);
    shown.set(line.op, line.at);
    const before = last.get(line.key);
    if (before !== undefined && before.from > write.to)
      violations.push(`a watch of ${name} shows ${line.op} at ${line.key} after a later write`);
    last.set(line.key, write);
  }
  if (openedAt === null) return violations;
  const endedAt = lines.at(-1)?.at ?? 0;
  for (const [op, { key, from, to, isSure }] of writes) {
    const isDue = isSure && from > openedAt && to < endedAt - shownWithinMs;
    if (isDue && !shown.has(op)) violations.push(`a watch of ${name} never showed ${op} at ${key}`);
  }
  return violations;
}

/** What is written at the end of a run may come too late to be shown. */
const shownWithinMs = 5000;

function writesOf(all: readonly InstanceLine[]): ReadonlyMap<HistoryId, Written> {
  const writes = new Map<HistoryId, Written>();
  for (const line of all) {
    if (line.kind === 'asked' && (line.what.kind === 'put' || line.what.kind === 'compare'))
      writes.set(line.op, { key: line.key, from: line.at, to: Number.POSITIVE_INFINITY, isSure: false });
    const write = 'op' in line ? writes.get(line.op) : undefined;
    if (write === undefined) continue;
    if (line.kind === 'told' && line.said === 'done') writes.set(line.op, { ...write, to: line.at, isSure: true });
    if (line.kind === 'withdrawn' || (line.kind === 'told' && line.said === 'unmet')) writes.delete(line.op);
  }
  return writes;
}

function writePause(instances: readonly (readonly InstanceLine[])[]): number {
  let longest = 0;
  for (const lines of instances) {
    let waitingSince: number | null = null;
    for (const line of lines) {
      if (line.kind === 'asked' && line.what.kind !== 'get') waitingSince ??= line.at;
      if (line.kind !== 'told' || (line.said !== 'done' && line.said !== 'unmet')) continue;
      if (waitingSince !== null) longest = Math.max(longest, line.at - waitingSince);
      waitingSince = null;
    }
  }
  return longest;
}
