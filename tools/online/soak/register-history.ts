/**
 * Linearizability of one key, judged once all of its history is known (SPEC I13).
 *
 * The explorer's checker (core/testing, explore/history.ts) goes along with a history and must hold open what each operation may
 * be told. Here every answer is known beforehand, which leaves few of its possibilities, so that hours can be judged:
 *
 * - A read has its moment as soon as the register is as it was told; that changes nothing for the others.
 * - A write has its moment only where it would be told what it was told.
 * - Of two ways that lead to the same value, one that has used fewer of the writes with an unknown outcome can do all that the
 *   other can: those may never have their moment at all.
 */
import { nothing, type Asked, type HistoryId, type Said } from '../sim/tally.ts';

export type Outcome =
  | { readonly kind: 'told'; readonly said: Said; readonly at: number }
  /** It may have had its moment by then, and has none later. */
  | { readonly kind: 'unknown'; readonly settledAt: number };

/** Instants are of one clock, in whatever unit. Operations that certainly changed nothing and were told nothing are left out. */
export interface Operation {
  readonly id: HistoryId;
  readonly what: Asked;
  readonly askedAt: number;
  readonly outcome: Outcome;
  /** What it writes has a TTL, and may be seen or not from then on. */
  readonly endsAt?: number;
}

export interface KeyHistory {
  readonly before: HistoryId;
  readonly after: HistoryId;
  readonly operations: readonly Operation[];
}

interface Open {
  readonly operation: Operation;
  readonly bit: bigint;
}

/** One way in which it may have gone so far: the register's value, and which open operations have had their moment. */
interface Way {
  readonly value: HistoryId;
  readonly had: bigint;
}

interface Event {
  readonly at: number;
  readonly operation: Operation;
  readonly isBegin: boolean;
}

/** @returns what no order of the operations explains, or null */
export function contradictionIn({ before, after, operations }: KeyHistory): string | null {
  const checker = new Checker(before, operations);
  for (const { at, operation, isBegin } of eventsOf(operations)) {
    if (isBegin) checker.begin(operation);
    else if (!checker.end(operation, at)) return `${operation.id} (${operation.what.kind}) ${endOf(operation)}`;
  }
  return checker.mayHold(after) ? null : `${after} is held in the end`;
}

/** Of one instant: what was asked comes before what was told. */
function eventsOf(operations: readonly Operation[]): readonly Event[] {
  const events = operations.flatMap((operation): readonly Event[] => {
    const { outcome, askedAt } = operation;
    const end = outcome.kind === 'told' ? outcome.at : outcome.settledAt;
    return [
      { at: askedAt, operation, isBegin: true },
      { at: end, operation, isBegin: false },
    ];
  });
  return events.toSorted((a, b) => a.at - b.at || Number(b.isBegin) - Number(a.isBegin));
}

function endOf({ outcome }: Operation): string {
  return outcome.kind === 'told' ? `was told ${outcome.said}` : 'was never answered';
}

class Checker {
  private ways: readonly Way[];
  private readonly open = new Map<HistoryId, Open>();
  private readonly endsAt = new Map<HistoryId, number>();

  constructor(before: HistoryId, operations: readonly Operation[]) {
    this.ways = [{ value: before, had: 0n }];
    for (const { id, endsAt } of operations) if (endsAt !== undefined) this.endsAt.set(id, endsAt);
  }

  begin(operation: Operation): void {
    const taken = [...this.open.values()].reduce((bits, { bit }) => bits | bit, 0n);
    let bit = 1n;
    while ((taken & bit) !== 0n) bit <<= 1n;
    this.open.set(operation.id, { operation, bit });
  }

  /** @returns whether there is a way left */
  end({ id, outcome }: Operation, at: number): boolean {
    const { bit } = this.open.get(id) as Open;
    const begun = this.ways.map((way) => this.afterReads(way, at));
    const had = this.waysTo(begun, at, (way) => (way.had & bit) !== 0n);
    const left = this.emptyWays();
    this.open.delete(id);
    // Where nothing was told, it may as well never have its moment.
    for (const way of outcome.kind === 'told' ? had : [...begun, ...had]) left.add({ ...way, had: way.had & ~bit });
    this.ways = left.all();
    return this.ways.length > 0;
  }

  mayHold(value: HistoryId): boolean {
    const at = Number.POSITIVE_INFINITY;
    return this.waysTo(this.ways, at, (way) => this.sights(way.value, at).includes(value)).length > 0;
  }

  /**
   * The ways that go on from those so far to where something holds, and not beyond: any open operations have their moments
   * before, in any order. What may have its moment later as well waits for the end that asks for it.
   */
  private waysTo(from: readonly Way[], at: number, holds: (way: Way) => boolean): readonly Way[] {
    const found = this.emptyWays();
    const work = from.filter((way) => found.add(way));
    for (let way = work.pop(); way !== undefined; way = work.pop()) {
      if (holds(way) || !found.has(way)) continue;
      for (const { operation, bit } of this.open.values()) {
        if ((way.had & bit) !== 0n || isRead(operation)) continue;
        const value = this.written(operation, way.value, at);
        if (value === null) continue;
        const next = this.afterReads({ value, had: way.had | bit }, at);
        if (found.add(next)) work.push(next);
      }
    }
    return found.all().filter(holds);
  }

  private emptyWays(): Ways {
    return new Ways(this.bitsOf(isUnknown), this.bitsOf(isRead));
  }

  private afterReads({ value, had }: Way, at: number): Way {
    let all = had;
    for (const { operation, bit } of this.open.values()) {
      if (isRead(operation) && this.isSeen(operation, value, at)) all |= bit;
    }
    return { value, had: all };
  }

  private isSeen({ what, outcome }: Operation, value: HistoryId, at: number): boolean {
    const sights = this.sights(value, at);
    if (what.kind === 'compare') return sights.some((seen) => seen !== what.expect);
    return outcome.kind !== 'told' || sights.some((seen) => seen === outcome.said);
  }

  /** Null: it would not have been told what it was told, or would have changed nothing. */
  private written({ what, outcome }: Operation, value: HistoryId, at: number): HistoryId | null {
    switch (what.kind) {
      case 'put':
        return what.id;
      case 'compare':
        return this.sights(value, at).includes(what.expect) ? what.id : null;
      case 'take':
        return outcome.kind !== 'told' || this.sights(value, at).some((seen) => seen === outcome.said) ? nothing : null;
      case 'delete':
      case 'get':
        return nothing;
    }
  }

  private sights(value: HistoryId, at: number): readonly HistoryId[] {
    const endsAt = this.endsAt.get(value);
    return endsAt !== undefined && endsAt <= at ? [value, nothing] : [value];
  }

  private bitsOf(wanted: (operation: Operation) => boolean): bigint {
    let bits = 0n;
    for (const { operation, bit } of this.open.values()) if (wanted(operation)) bits |= bit;
    return bits;
  }
}

/** What changes nothing: a read, and a comparison that did not hold. */
function isRead({ what, outcome }: Operation): boolean {
  return what.kind === 'get' || (what.kind === 'compare' && outcome.kind === 'told' && outcome.said === 'unmet');
}

function isUnknown(operation: Operation): boolean {
  return operation.outcome.kind === 'unknown' && !isRead(operation);
}

/** Ways of which none can do all that another can. */
class Ways {
  private readonly byValue = new Map<string, Way[]>();
  private readonly unknown: bigint;
  private readonly reads: bigint;

  constructor(unknown: bigint, reads: bigint) {
    this.unknown = unknown;
    this.reads = reads;
  }

  has(way: Way): boolean {
    return this.byValue.get(this.groupOf(way))?.includes(way) === true;
  }

  /** @returns false: another one can do what it can */
  add(way: Way): boolean {
    const group = this.groupOf(way);
    const others = this.byValue.get(group) ?? [];
    if (others.some((other) => this.canDoAll(other, way))) return false;
    this.byValue.set(group, [...others.filter((other) => !this.canDoAll(way, other)), way]);
    return true;
  }

  all(): readonly Way[] {
    return [...this.byValue.values()].flat();
  }

  private groupOf({ value, had }: Way): string {
    return `${value} ${had & ~this.unknown & ~this.reads}`;
  }

  private canDoAll(one: Way, other: Way): boolean {
    const usesNoMore = (one.had & this.unknown & ~other.had) === 0n;
    const hasReadAll = (other.had & this.reads & ~one.had) === 0n;
    return usesNoMore && hasReadAll;
  }
}
