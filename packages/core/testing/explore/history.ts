/**
 * Linearizability of one key, checked while the history happens.
 *
 * A history is right if its operations can be put in one order, each at a moment between its beginning and its end, in
 * which every result is what a single register would have answered. Kept here are all that such an order may have led to
 * so far: the register's value, and which open operations have had their moment with which result. An answer that none
 * of them allows is a violation. What has been answered is forgotten, so two histories that leave the same possibilities
 * are one state to the explorer.
 *
 * An operation whose outcome nobody learned stays open: its moment may come at any time, or never, until it is settled. A record with a
 * TTL is there until its time is over; from then on it may be seen or not, until it is written anew: stores drop it
 * each in their own time (SPEC, known limits).
 */

/** A value by the write that put it there; `nothing` is no record. */
export type Id = number;
export const nothing: Id = 0;

export type Asked =
  | { readonly kind: 'get' }
  | { readonly kind: 'put'; readonly id: Id }
  | { readonly kind: 'delete' }
  /** A delete that tells what was there. */
  | { readonly kind: 'take' }
  | { readonly kind: 'compare'; readonly expect: Id; readonly id: Id };

/** What an answer says: an id that was read, or how a comparison ended. */
export type Said = Id | 'done' | 'unmet';

interface Open {
  readonly operation: number;
  readonly asked: Asked;
}

/** One way in which it may have gone so far. */
interface Possibility {
  readonly value: Id;
  /** Open operations that have had their moment, ascending, and what they will be told. */
  readonly had: readonly (readonly [operation: number, said: Said])[];
}

export interface History {
  readonly open: readonly Open[];
  /** Empty: no order explains what was answered. */
  readonly possible: readonly Possibility[];
}

export function newHistory(value: Id): History {
  return { open: [], possible: [{ value, had: [] }] };
}

export function asked(history: History, operation: number, what: Asked): History {
  return { ...history, open: [...history.open, { operation, asked: what }] };
}

/** @param over values whose TTL has ended */
export function answered(history: History, operation: number, said: Said, over: readonly Id[]): History {
  const possible = closure(history, over)
    .filter(({ had }) => had.some(([each, told]) => each === operation && told === said))
    .map(({ value, had }) => ({ value, had: had.filter(([each]) => each !== operation) }));
  return { open: history.open.filter((each) => each.operation !== operation), possible: distinct(possible) };
}

/** An operation that certainly changed nothing, and about which nothing was said. */
export function withdrawn(history: History, operation: number): History {
  const possible = history.possible.filter(({ had }) => !had.some(([each]) => each === operation));
  return { open: history.open.filter((each) => each.operation !== operation), possible };
}

/** One that nobody answered can have its moment no more: it has had it by now, or never will. */
export function settled(history: History, operation: number, over: readonly Id[]): History {
  const possible = closure(history, over).map(({ value, had }) => ({
    value,
    had: had.filter(([each]) => each !== operation),
  }));
  return { open: history.open.filter((each) => each.operation !== operation), possible: distinct(possible) };
}

/** Whether the register may hold `value` now. */
export function mayHold(history: History, value: Id, over: readonly Id[]): boolean {
  const seen = (held: Id): boolean => held === value || (value === nothing && over.includes(held));
  return closure(history, over).some((possibility) => seen(possibility.value));
}

/** Two histories with the same key allow the same answers from now on. */
export function historyKey({ open, possible }: History): string {
  return `${open.map((o) => o.operation).join(',')};${possible.map(keyOf).toSorted().join(';')}`;
}

/** All that may be the case now: any open operations have their moments, in any order. */
function closure({ open, possible }: History, over: readonly Id[]): readonly Possibility[] {
  const found = new Map<string, Possibility>();
  const work = [...possible];
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    const key = keyOf(next);
    if (found.has(key)) continue;
    found.set(key, next);
    for (const { operation, asked: what } of open) {
      if (next.had.some(([each]) => each === operation)) continue;
      for (const [said, value] of register(what, next.value, over.includes(next.value))) {
        work.push({ value, had: withOne(next.had, operation, said) });
      }
    }
  }
  return [...found.values()];
}

function withOne(had: Possibility['had'], operation: number, said: Said): Possibility['had'] {
  const at = had.findIndex(([each]) => each > operation);
  const one = [operation, said] as const;
  return at < 0 ? [...had, one] : had.toSpliced(at, 0, one);
}

/** What a register that holds `value` may answer, and what it then holds. */
function register(what: Asked, value: Id, isOver: boolean): readonly (readonly [said: Said, value: Id])[] {
  const sights = isOver ? [value, nothing] : [value];
  switch (what.kind) {
    case 'get':
      return sights.map((seen) => [seen, value]);
    case 'put':
      return [['done', what.id]];
    case 'delete':
      return [['done', nothing]];
    case 'take':
      return sights.map((seen) => [seen, nothing]);
    case 'compare':
      return sights.map((seen) => (seen === what.expect ? ['done', what.id] : ['unmet', value]));
  }
}

function keyOf({ value, had }: Possibility): string {
  let key = String(value);
  for (const [operation, said] of had) key += `:${operation}=${said}`;
  return key;
}

function distinct(possible: readonly Possibility[]): readonly Possibility[] {
  return [...new Map(possible.map((each) => [keyOf(each), each])).values()];
}
