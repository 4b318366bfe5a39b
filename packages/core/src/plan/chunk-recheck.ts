/**
 * One planned chunk, diffed again: the same code over the same range as when it was planned, every change with its
 * row, for `staleness.ts` to compare.
 */
import type { JoinVisitor } from '../diff/merge-join.ts';
import { keyToJson, type Key, type KeyJson } from '../model/key.ts';
import type { NotCarried, StoredRecord } from '../model/record.ts';
import { ChunkDiff, diffContext, type DiffRules } from './chunk-diff.ts';
import type { PlannedChange, PlannedChunk } from './plan.ts';

/** How many keys without a source are kept to be named. */
const orphansMax = 5;

export interface RecheckedChunk {
  readonly chunk: PlannedChunk;
  readonly changes: readonly PlannedChange[];
  /** The first few target keys that no source key maps to. */
  readonly targetOnlyKeys: readonly KeyJson[];
}

export class ChunkRecheck implements JoinVisitor {
  private readonly diff: ChunkDiff;
  private readonly rows: PlannedChange[] = [];
  private readonly orphans: KeyJson[] = [];

  constructor(rules: DiffRules, index: number, listCreates: boolean) {
    this.diff = new ChunkDiff(
      diffContext(rules, () => listCreates),
      index,
    );
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.add(source, targetKey, null);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.add(source, target.key, target);
  }

  targetOnly(target: StoredRecord): void {
    this.diff.addTargetOnly();
    if (this.orphans.length < orphansMax) this.orphans.push(keyToJson(target.key));
  }

  notCarried(_entry: NotCarried): void {
    this.diff.notCarried += 1;
  }

  finish(start: Key, end: Key | null): RecheckedChunk {
    return { chunk: this.diff.finish(start, end), changes: this.rows, targetOnlyKeys: this.orphans };
  }

  private add(source: StoredRecord, targetKey: Key, target: StoredRecord | null): void {
    const { row } = this.diff.addSource(source, targetKey, target);
    if (row !== null) this.rows.push(row);
  }
}
