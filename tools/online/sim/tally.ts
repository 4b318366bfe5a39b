/**
 * What applications were told, key by key: each history is checked for linearizability as it happens (SPEC I13), and at the
 * end against what the store in charge holds.
 */
import {
  answered,
  asked,
  mayHold,
  newHistory,
  nothing,
  settled,
  withdrawn,
  type Asked,
  type History,
  type HistoryId,
  type Said,
} from '@keyferry/core/testing';

export class Tally {
  readonly violations: string[] = [];
  private readonly histories = new Map<string, History>();
  private readonly endsMs = new Map<HistoryId, number>();
  private readonly nowMs: () => number;
  private readonly trace: (line: string) => void;
  private operations = 0;

  /** @param trace hears what is asked and told, so that a replay shows the history beside the requests */
  constructor(nowMs: () => number, trace: (line: string) => void) {
    this.nowMs = nowMs;
    this.trace = trace;
  }

  /** A key, and the value that it has before anybody does anything. */
  begin(key: string, held: HistoryId): void {
    this.histories.set(key, newHistory(held));
  }

  keys(): readonly string[] {
    return [...this.histories.keys()];
  }

  /** Names the next operation, and the value that it writes, if it does. */
  next(): HistoryId {
    this.operations += 1;
    return this.operations;
  }

  /** What is written with a TTL may be gone from then on. */
  endsAt(id: HistoryId, atMs: number): void {
    this.endsMs.set(id, atMs);
  }

  asked(key: string, operation: HistoryId, what: Asked): void {
    this.trace(`${key} ${operation} asked ${JSON.stringify(what)}`);
    this.change(key, (history) => asked(history, operation, what), '');
  }

  answered(key: string, operation: HistoryId, said: Said, who: string): void {
    this.trace(`${key} ${operation} ${who} told ${said}`);
    this.change(
      key,
      (history) => answered(history, operation, said, this.over()),
      `${who} ${operation} was told ${said}`,
    );
  }

  withdrawn(key: string, operation: HistoryId): void {
    this.trace(`${key} ${operation} withdrawn`);
    this.change(key, (history) => withdrawn(history, operation), 'an operation that changed nothing has');
  }

  settled(key: string, operation: HistoryId): void {
    this.trace(`${key} ${operation} settled`);
    this.change(key, (history) => settled(history, operation, this.over()), 'an operation was settled');
  }

  /** @param held what the store in charge holds in the end */
  ends(key: string, held: HistoryId): void {
    const history = this.histories.get(key);
    if (history === undefined || history.possible.length === 0) return; // told already
    if (!mayHold(history, held, this.over())) this.violations.push(`${key} holds ${held} in the end`);
  }

  private over(): readonly HistoryId[] {
    const nowMs = this.nowMs();
    return [...this.endsMs].flatMap(([id, atMs]) => (atMs <= nowMs ? [id] : []));
  }

  private change(key: string, by: (history: History) => History, what: string): void {
    const history = this.histories.get(key);
    if (history === undefined || history.possible.length === 0) return;
    const next = by(history);
    this.histories.set(key, next);
    if (next.possible.length === 0) this.violations.push(`${key}: ${what}`);
  }
}

export { nothing, type Asked, type HistoryId, type Said };
