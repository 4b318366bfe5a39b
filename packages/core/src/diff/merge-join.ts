/**
 * Merge join: two scans in byte order, walked side by side, a page at a time.
 *
 * Memory is two pages, whatever the number of keys. It works only because both scans come in the same order and the
 * rule keeps it; a scan that breaks its order would lose keys silently, so each page's order is checked here.
 */
import { invariant } from '../errors/invariant.ts';
import { compareKeys, keyForDisplay, type Key } from '../model/key.ts';
import { PackedPage, recordCount } from '../model/packed-page.ts';
import type { NotCarried, RecordPage, StoredRecord, Unplaced } from '../model/record.ts';
import { toTargetKey, type PrefixRule } from '../transform/prefix-rule.ts';

/**
 * Receives what the join finds, in ascending order of target keys. `notCarried` and `unplaced` come with their page,
 * before its records.
 */
export interface JoinVisitor {
  sourceOnly(source: StoredRecord, targetKey: Key): void;
  matched(source: StoredRecord, target: StoredRecord): void;
  /** Asked before `matched`, of records that lie in packed pages; false: the visitor wants them made. */
  matchedPacked?(source: PackedPage, sourceIndex: number, target: PackedPage, targetIndex: number): boolean;
  targetOnly(target: StoredRecord): void;
  notCarried(entry: NotCarried): void;
  unplaced(entry: Unplaced, targetKey: Key): void;
}

export type JoinNeeds = 'source' | 'target' | 'nothing';

/**
 * One scan: the page that it is at, and the place in it. Records of a packed page are made for whom they are handed to, and
 * its keys are compared where they lie, from behind the prefix on, if all have it.
 */
class Side {
  readonly prefix: Key;
  /** The page, where its keys can be compared without it making them. */
  packed: PackedPage | null = null;
  at = 0;
  ended = false;
  private page: RecordPage = noPage;
  private count = 0;
  private last: Key | null = null;
  private made: StoredRecord | null = null;

  constructor(prefix: Key) {
    this.prefix = prefix;
  }

  offer(page: RecordPage | null): void {
    if (page === null) {
      this.ended = true;
      return;
    }
    const packed = page instanceof PackedPage ? page : null;
    this.page = page;
    this.count = recordCount(page);
    this.at = 0;
    this.made = null;
    this.packed = null;
    if (this.count === 0) return;
    if (packed === null) for (const { key } of page.records) this.checkNext(key);
    else this.checkPacked(packed);
  }

  get isDry(): boolean {
    return this.at >= this.count;
  }

  /** The record at the place; the same object until `take`. */
  record(): StoredRecord {
    const { page, at } = this;
    this.made ??= page instanceof PackedPage ? page.recordAt(at) : (page.records[at] as StoredRecord);
    return this.made;
  }

  take(): StoredRecord {
    const record = this.record();
    this.made = null;
    this.at += 1;
    return record;
  }

  /** Past records of a packed page that were handed to the visitor. */
  skip(records: number): void {
    this.made = null;
    this.at += records;
  }

  private checkPacked(page: PackedPage): void {
    const first = page.recordAt(0).key;
    this.checkNext(first);
    const broken = page.firstOutOfOrder();
    invariant(broken === null, () => wentBack(page.recordAt(broken as number).key));
    this.last = page.recordAt(page.count - 1).key;
    // In order, so that what the first and the last begin with, all do.
    if (first.startsWith(this.prefix) && this.last.startsWith(this.prefix)) this.packed = page;
  }

  private checkNext(key: Key): void {
    const { last } = this;
    invariant(last === null || key > last, () => wentBack(key));
    this.last = key;
  }
}

const wentBack = (key: Key): string => `a scan went back to ${keyForDisplay(key)}`;

const noPage: RecordPage = { records: [], notCarried: [] };

export class MergeJoin {
  private readonly source: Side;
  private readonly target: Side;
  private readonly rule: PrefixRule;
  private readonly visitor: JoinVisitor;
  /** Records that match have one key. */
  private readonly keepsKeys: boolean;

  constructor(rule: PrefixRule, visitor: JoinVisitor) {
    this.rule = rule;
    this.source = new Side(rule.sourcePrefix);
    this.target = new Side(rule.targetPrefix);
    this.visitor = visitor;
    this.keepsKeys = rule.sourcePrefix === rule.targetPrefix;
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
    const { source, target, visitor } = this;
    for (;;) {
      if (source.isDry && !source.ended) return 'source';
      if (target.isDry && !target.ended) return 'target';
      if (source.isDry) {
        if (target.isDry) return 'nothing';
        visitor.targetOnly(target.take());
        continue;
      }
      if (this.takeMatches()) continue;
      const order = target.isDry ? -1 : this.order();
      if (order < 0) {
        const record = source.take();
        visitor.sourceOnly(record, toTargetKey(this.rule, record.key));
      } else if (order > 0) {
        visitor.targetOnly(target.take());
      } else {
        visitor.matched(source.take(), target.take());
      }
    }
  }

  /** The common case of two stores that are alike: all that match from here on to the end of a page. */
  private takeMatches(): boolean {
    const { source, target, visitor, keepsKeys } = this;
    const { packed: left, at: leftAt } = source;
    const { packed: right, at: rightAt } = target;
    if (left === null || right === null) return false;
    const length = left.matchingKeys(leftAt, source.prefix.length, right, rightAt, target.prefix.length);
    for (let i = 0; i < length; i += 1) {
      if (visitor.matchedPacked?.(left, leftAt + i, right, rightAt + i) === true) continue;
      const record = left.recordAt(leftAt + i);
      visitor.matched(record, right.recordAt(rightAt + i, keepsKeys ? record : null));
    }
    source.skip(length);
    target.skip(length);
    return length > 0;
  }

  /** How the key that the source's record maps to stands to that of the target's: below, at or above zero. */
  private order(): number {
    const { source, target, rule } = this;
    if (source.packed !== null && target.packed !== null)
      return source.packed.compareKeys(source.at, source.prefix.length, target.packed, target.at, target.prefix.length);
    return compareKeys(toTargetKey(rule, source.record().key), target.record().key);
  }
}
