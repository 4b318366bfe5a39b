/**
 * A comparison that can say between two pages up to which key it is complete, so that a slice may stop there and another one
 * go on behind it. What the rules find no place for comes with its page, before the records of it, so it is held back until
 * its key is passed.
 */
import type { ComparisonPart, JoinVisitor, Key, StoredRecord, Unplaced } from '@keyferry/core';
import type { Comparison } from '../comparison.ts';

/** What was found of the keys up to one, itself included. */
export interface Reached {
  readonly key: Key;
  readonly part: ComparisonPart;
}

export class PartialComparison implements JoinVisitor {
  private readonly comparison: Comparison;
  private readonly targetPrefix: Key;
  private held: { readonly entry: Unplaced; readonly targetKey: Key }[] = [];
  private last: Key | null = null;

  constructor(comparison: Comparison, targetPrefix: Key) {
    this.comparison = comparison;
    this.targetPrefix = targetPrefix;
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.last = targetKey;
    this.comparison.sourceOnly(source, targetKey);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.last = target.key;
    this.comparison.matched(source, target);
  }

  targetOnly(target: StoredRecord): void {
    this.last = target.key;
    this.comparison.targetOnly(target);
  }

  notCarried(): void {
    this.comparison.notCarried();
  }

  unplaced(entry: Unplaced, targetKey: Key): void {
    this.held.push({ entry, targetKey });
  }

  /** Null before the first key, and while the last one has no counterpart in the source to go on behind. */
  reached(): Reached | null {
    const { last } = this;
    if (last?.startsWith(this.targetPrefix) !== true) return null;
    this.release((targetKey) => targetKey <= last);
    return { key: last, part: this.comparison.part() };
  }

  whole(): ComparisonPart {
    this.release(() => true);
    return this.comparison.part();
  }

  private release(isPassed: (targetKey: Key) => boolean): void {
    const { held } = this;
    this.held = held.filter(({ targetKey }) => !isPassed(targetKey));
    for (const { entry, targetKey } of held) if (isPassed(targetKey)) this.comparison.unplaced(entry, targetKey);
  }
}
