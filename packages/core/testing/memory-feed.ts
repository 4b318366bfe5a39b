/**
 * The changes of a memory store as a feed: its log, from a revision on. A wait looks at the log once a turn of the event
 * loop at most, so that virtual time is whoever's owns it: the caller repeats the read.
 */
import {
  rangeHolds,
  type ChangeFeed,
  type FeedCapabilities,
  type FeedNotice,
  type FeedReadOptions,
  type FeedStep,
  type KeyRange,
  type OpenFeed,
  type Position,
  type SourceChange,
} from '../src/index.ts';
import type { MemoryData } from './memory-data.ts';

export type FeedOperation = 'feedHead' | 'feedOpen' | 'feedRead' | 'feedUnread';

type Run = <T>(operation: FeedOperation, effect: () => T) => T;

export class MemoryFeed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: true,
    retention: { changesMax: null, ageMsMax: null },
  };
  private readonly log: string;
  private readonly data: MemoryData;
  private readonly run: Run;

  /** @param log its name, as notices have it */
  constructor(log: string, data: MemoryData, run: Run) {
    this.log = log;
    this.data = data;
    this.run = run;
  }

  async head(): Promise<Position> {
    return this.run('feedHead', () => positionAt(this.data.revision()));
  }

  hasReached(position: Position, mark: Position): boolean {
    return Number(position) >= Number(mark);
  }

  changesBetween(position: Position, mark: Position): number {
    return Math.max(0, Number(mark) - Number(position));
  }

  async unread(position: Position | null, notices: readonly FeedNotice[]): Promise<readonly FeedNotice[]> {
    return this.run('feedUnread', () =>
      notices.filter(({ log, number }) => log === this.log && Number(number) > Number(position ?? 0)),
    );
  }

  /** What the log tells whoever is called by it, from a revision on. */
  noticesAfter(revision: number): readonly FeedNotice[] {
    const logged = this.data.changesAfter(revision) ?? [];
    return logged.map((each) => ({ log: this.log, number: String(each.revision), keys: {} }));
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    return this.run('feedOpen', () => {
      let at = Number(after);
      return {
        read: async (options) =>
          this.run('feedRead', () => {
            const step = this.step(range, at, options);
            if (step.kind === 'changes') at = Number(step.position);
            return step;
          }),
        close: async () => undefined,
      };
    });
  }

  private step(range: KeyRange, after: number, { changesMax }: FeedReadOptions): FeedStep {
    const logged = this.data.changesAfter(after);
    if (logged === null) return { kind: 'lost', why: `what followed revision ${after} was compacted` };
    const changes: SourceChange[] = [];
    let at = after;
    for (const { revision, change } of logged) {
      if (changes.length >= changesMax) break;
      at = revision;
      if (meets(range, change)) changes.push(change);
    }
    return { kind: 'changes', changes, position: positionAt(at) };
  }
}

function meets(range: KeyRange, change: SourceChange): boolean {
  if (change.kind !== 'delete-range') return rangeHolds(range, change.key);
  const { start, end } = change.range;
  return (end === null || range.start < end) && (range.end === null || start < range.end);
}

const positionAt = (revision: number): Position => String(revision) as Position;
