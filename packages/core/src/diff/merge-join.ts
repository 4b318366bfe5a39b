/**
 * Merge join: two scans in byte order, walked side by side, a page at a time.
 *
 * Memory is two pages, whatever the number of keys. It works only because both scans come in the same order and the
 * rule keeps it; a scan that breaks its order would lose keys silently, so each page's order is checked here.
 */
import { invariant } from '../errors/invariant.ts';
import { keyForDisplay, type Key } from '../model/key.ts';
import type { NotCarried, RecordPage, StoredRecord, Unplaced } from '../model/record.ts';
import { toTargetKey, type PrefixRule } from '../transform/prefix-rule.ts';

/**
 * Receives what the join finds, in ascending order of target keys. `notCarried` and `unplaced` come with their page,
 * before its records.
 */
export interface JoinVisitor {
  sourceOnly(source: StoredRecord, targetKey: Key): void;
  matched(source: StoredRecord, target: StoredRecord): void;
  targetOnly(target: StoredRecord): void;
  notCarried(entry: NotCarried): void;
  unplaced(entry: Unplaced, targetKey: Key): void;
}

export type JoinNeeds = 'source' | 'target' | 'nothing';

class Side {
  private records: readonly StoredRecord[] = [];
  private at = 0;
  private last: Key | null = null;
  ended = false;

  offer(page: RecordPage | null): void {
    if (page === null) {
      this.ended = true;
      return;
    }
    let last = this.last;
    for (const { key } of page.records) {
      invariant(last === null || key > last, () => `a scan went back to ${keyForDisplay(key)}`);
      last = key;
    }
    this.last = last;
    this.records = page.records;
    this.at = 0;
  }

  peek(): StoredRecord | undefined {
    return this.records[this.at];
  }

  advance(): void {
    this.at += 1;
  }
}

export class MergeJoin {
  private readonly source = new Side();
  private readonly target = new Side();
  private readonly rule: PrefixRule;
  private readonly visitor: JoinVisitor;

  constructor(rule: PrefixRule, visitor: JoinVisitor) {
    this.rule = rule;
    this.visitor = visitor;
  }

  /** The next page of the source, or null at its end. Only when `step` asked for it. */
  offerSource(page: RecordPage | null): void {
    for (const entry of page?.notCarried ?? []) this.visitor.notCarried(entry);
    for (const entry of page?.unplaced ?? []) this.visitor.unplaced(entry, toTargetKey(this.rule, entry.key));
    this.source.offer(page);
  }

  offerTarget(page: RecordPage | null): void {
    this.target.offer(page);
  }

  /** Goes on until a side runs dry; says which one. */
  step(): JoinNeeds {
    const { source, target, rule, visitor } = this;
    for (;;) {
      const s = source.peek();
      if (s === undefined && !source.ended) return 'source';
      const t = target.peek();
      if (t === undefined && !target.ended) return 'target';
      if (s === undefined && t === undefined) return 'nothing';
      if (s === undefined) {
        visitor.targetOnly(t as StoredRecord);
        target.advance();
        continue;
      }
      const mapped = toTargetKey(rule, s.key);
      if (t === undefined || mapped < t.key) {
        visitor.sourceOnly(s, mapped);
        source.advance();
      } else if (mapped > t.key) {
        visitor.targetOnly(t);
        target.advance();
      } else {
        visitor.matched(s, t);
        source.advance();
        target.advance();
      }
    }
  }
}
