/**
 * Carries out entries of the log while it is scanned, as soon as nothing that may follow can take them back: so that it need not
 * be read a second time.
 *
 *     entry ──member alone──► the tree
 *       └─otherwise──► waits, as a copy ──a hard state commits it──► the tree
 *
 * What counts is known for certain only at the end (replay.ts). So this is a guess that is looked at there, and given up where
 * it may be wrong: an entry that was carried out was taken back, or the version of etcd turns out to be one that judges requests in
 * the log otherwise, or more waits than is worth a copy (what `etcdctl backup` writes is committed by its last record). Then the
 * log is read again, with all that is known by then.
 */
import type { CarryingOut } from './carry-out.ts';
import { Malformed } from './protobuf.ts';
import type { HexId, LogEntry } from './raft-messages.ts';
import type { LogFacts, LogFollower } from './scan-log.ts';
import type { TreeRules } from './v2-tree.ts';

/** What waits is what a member has written and not heard the fate of: in a log of a server's, a few entries. */
const waitingBytesMax = 1024 * 1024;
/** Of one that waits, besides its content: there may be many that are empty, as `etcdutl backup` makes of all that is not for v2. */
const entryBytes = 200;

interface Waiting extends LogEntry {
  readonly bytes: Buffer;
}

export class AtOnce implements LogFollower {
  /** Null: given up. */
  private carried: CarryingOut | null;
  private readonly rules: TreeRules;
  private readonly appliedMax: number;
  private waiting: Waiting[] = [];
  private waitingBytes = 0;
  /** As of the last hard state so far. */
  private commit = 0;
  /** The last entry that was carried out for no other reason than that it was committed. */
  private reliedOnCommit = 0;

  /** @param rules those that the tree goes by */
  constructor(carried: CarryingOut, rules: TreeRules, appliedMax: number) {
    this.carried = carried;
    this.rules = rules;
    this.appliedMax = appliedMax;
  }

  entry(entry: LogEntry, bytes: Buffer, member: HexId): void {
    if (entry.index > this.appliedMax) return;
    this.takeBackFrom(entry.index);
    const { carried } = this;
    if (carried === null) return;
    if (this.waiting.length === 0 && carried.isAlone(member)) this.take(carried, entry, bytes);
    else this.wait(entry, bytes);
  }

  committed(commit: number, member: HexId): void {
    this.commit = commit;
    if (this.waiting.length > 0) this.takeWaiting(member);
  }

  /** The log was read to its end. @param rules those by which its requests are judged; @returns null: it has to be read again */
  outcome({ end, hardState, metadata }: LogFacts, rules: TreeRules): CarryingOut | null {
    this.takeWaiting(metadata?.nodeId ?? '');
    const { carried } = this;
    const isCertain = end.kind !== 'damaged' && this.reliedOnCommit <= hardState.commit;
    if (carried === null || !isCertain || !this.judgedBy(rules, carried)) this.giveUp();
    return this.carried;
  }

  private judgedBy(rules: TreeRules, { tree }: CarryingOut): boolean {
    return (
      (tree.directoryUpdates === 0 || rules.directoriesCanBeUpdated === this.rules.directoriesCanBeUpdated) &&
      (tree.inOrderNames === 0 || rules.inOrderNamesArePadded === this.rules.inOrderNamesArePadded)
    );
  }

  /** Where an entry comes with an index that another one has, that one is void, and so is what came behind it. */
  private takeBackFrom(index: number): void {
    const { carried, waiting } = this;
    if (carried === null || index > carried.appliedIndex + waiting.length) return;
    if (index <= carried.appliedIndex) this.giveUp();
    else this.waiting = waiting.filter((each) => each.index < index);
  }

  private wait({ index, type, term, dataStart, dataEnd }: LogEntry, bytes: Buffer): void {
    const copy = Buffer.from(bytes.subarray(dataStart, dataEnd));
    this.waiting.push({ index, type, term, bytes: copy, dataStart: 0, dataEnd: copy.length });
    this.waitingBytes += copy.length + entryBytes;
    if (this.waitingBytes > waitingBytesMax) this.giveUp();
  }

  private takeWaiting(member: HexId): void {
    const { waiting } = this;
    let done = 0;
    for (; done < waiting.length && this.carried !== null; done += 1) {
      const { carried } = this;
      const next = waiting[done] as Waiting;
      const isAlone = carried.isAlone(member);
      if (next.index > this.commit && !isAlone) break;
      if (!isAlone) this.reliedOnCommit = next.index;
      this.take(carried, next, next.bytes);
    }
    if (done === 0 || this.carried === null) return;
    this.waiting = waiting.slice(done);
    this.waitingBytes = this.waiting.reduce((sum, { bytes }) => sum + bytes.length + entryBytes, 0);
  }

  private take(carried: CarryingOut, entry: LogEntry, bytes: Buffer): void {
    try {
      carried.take(bytes, entry);
    } catch (error) {
      // It may be one that is taken back later; if not, reading again ends at it, and says so.
      if (!(error instanceof Malformed)) throw error;
      this.giveUp();
    }
  }

  /** The tree is of no use, and may be large. */
  private giveUp(): void {
    this.carried = null;
    this.waiting = [];
  }
}
