/**
 * The oracle of a live run: what every instance was told, held against what one register a key could have answered
 * (register-history.ts), and what watches showed against what was written.
 */
import type { HistoryId } from '../sim/tally.ts';
import type { InstanceLine } from './instance-log.ts';
import { contradictionIn, type Operation } from './register-history.ts';

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

export function judge({ instances, before, after, requestLifeMs }: Evidence): Verdict {
  const all = [...instances.values()].flat();
  const operations = operationsOf(all, requestLifeMs);
  const untrue = [...before].flatMap(([key, held]) => {
    const history = { before: held, after: after.get(key) ?? held, operations: operations.get(key) ?? [] };
    const contradiction = contradictionIn(history);
    return contradiction === null ? [] : [`${key}: ${contradiction}, which no order of its operations explains`];
  });
  const shown = [...instances].flatMap(([name, lines]) => judgeWatch(name, lines, all));
  return {
    violations: [...untrue, ...shown],
    seen: countOf(all),
    writePauseMaxMs: writePause([...instances.values()]),
  };
}

/** By key. What a kill cut off may have happened within a request life. */
function operationsOf(all: readonly InstanceLine[], requestLifeMs: number): ReadonlyMap<string, readonly Operation[]> {
  const byId = new Map<HistoryId, Operation & { readonly key: string }>();
  for (const line of all) {
    if (line.kind === 'asked') {
      const { key, op: id, what, at: askedAt } = line;
      byId.set(id, { key, id, what, askedAt, outcome: { kind: 'unknown', settledAt: askedAt + requestLifeMs } });
    }
    const operation = 'op' in line ? byId.get(line.op) : undefined;
    if (operation === undefined) continue;
    const { at } = line;
    if (line.kind === 'ttl') byId.set(line.op, { ...operation, endsAt: line.endsAtMs });
    if (line.kind === 'told') byId.set(line.op, { ...operation, outcome: { kind: 'told', said: line.said, at } });
    if (line.kind === 'unknown')
      byId.set(line.op, { ...operation, outcome: { kind: 'unknown', settledAt: at + requestLifeMs } });
    if (line.kind === 'withdrawn') byId.delete(line.op);
  }
  return Map.groupBy(byId.values(), ({ key }) => key);
}

function countOf(all: readonly InstanceLine[]): ReadonlyMap<string, number> {
  const seen = new Map<string, number>();
  for (const line of all) {
    const what = kindOf(line);
    if (what !== null) seen.set(what, (seen.get(what) ?? 0) + 1);
  }
  return seen;
}

function kindOf(line: InstanceLine): string | null {
  switch (line.kind) {
    case 'told':
      return line.said === 'unmet' ? 'unmet' : 'told';
    case 'withdrawn':
      return line.why;
    case 'watch':
      return line.open ? 'watch opened' : 'watch lost';
    case 'mode':
      return `mode ${line.mode}`;
    case 'unknown':
    case 'shown':
      return line.kind;
    case 'asked':
    case 'ttl':
      return null;
  }
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
