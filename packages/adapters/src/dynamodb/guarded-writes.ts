/**
 * Several conditional writes under one guard: in transactions, or as single requests behind one.
 *
 *     transactions   [ guard, mark, writes … ]                all or nothing; what was refused is left out, and it is sent again
 *     single         [ guard, mark ]  then  write, write …    half the price; a write that is under way when the guard falls still lands
 *
 * Both open with a transaction, so in both nobody writes a mark for a batch under a fence that was lost.
 */
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import { invariant, KeyferryError } from '@keyferry/core';
import type { Lanes } from '../lanes.ts';
import { actionBytes, type Action, type Connection, type Refusal } from './connection.ts';
import { versionOf } from './items.ts';
import { transactionBytesMax, writesMax, type WriteMode } from './limits.ts';
import type { MarkEntry } from './marks.ts';

/** A write and what a mark is to say of it, once it is done; null: nothing. */
export interface Step {
  readonly action: Action;
  readonly entry: MarkEntry | null;
}

/** What writes rest on, and where it is noted what they did. */
export interface Guard {
  /** The first items of a transaction: what must hold, and the mark of these entries. Three at most (limits.ts). */
  items(entries: readonly MarkEntry[]): readonly TransactWriteItem[];
  /** One of the items was refused. Comes back when it is worth another try. @throws {KeyferryError} `fence.lost` */
  refused(): Promise<void>;
  /** A transaction with these entries was done. */
  done(entries: readonly MarkEntry[]): void;
  /** Of the entries that were noted last only these have come true. */
  amend(entries: readonly MarkEntry[]): Promise<void>;
}

/** Each try but the last is lost to somebody else's change in between. */
const triesMax = 20;

export type WriteOutcome = 'done' | { readonly found: Refusal['found'] };

export class GuardedWrites {
  private readonly connection: Connection;
  private readonly mode: WriteMode;
  private readonly lanes: Lanes;

  constructor(connection: Connection, mode: WriteMode, lanes: Lanes) {
    this.connection = connection;
    this.mode = mode;
    this.lanes = lanes;
  }

  /** One outcome for each step, in order. No two of them may be about one item. */
  async run(steps: readonly Step[], guard: Guard): Promise<readonly WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    for (const group of groupsOf(steps)) {
      outcomes.push(
        ...(this.mode === 'transactions' ? await this.together(group, guard) : await this.oneByOne(group, guard)),
      );
    }
    return outcomes;
  }

  private async together(steps: readonly Step[], guard: Guard): Promise<readonly WriteOutcome[]> {
    const outcomes = Array.from<WriteOutcome>({ length: steps.length });
    let open = [...steps.keys()];
    for (let tries = 1; open.length > 0; tries += 1) {
      this.assertPatience(tries);
      const sent = open.map((i) => steps[i] as Step);
      const entries = entriesOf(sent);
      const guards = guard.items(entries);
      const result = await this.connection.transact([
        ...guards,
        ...sent.map(({ action }) => this.connection.transactItem(action)),
      ]);
      if (result.kind === 'done') {
        guard.done(entries);
        for (const i of open) outcomes[i] = 'done';
        return outcomes;
      }
      if (result.refused.some(({ at }) => at < guards.length)) {
        await guard.refused();
        continue;
      }
      const refused = new Map(result.refused.map(({ at, found }) => [open[at - guards.length] as number, found]));
      for (const [i, found] of refused) outcomes[i] = { found };
      open = open.filter((i) => !refused.has(i));
    }
    return outcomes;
  }

  private async oneByOne(steps: readonly Step[], guard: Guard): Promise<readonly WriteOutcome[]> {
    const entries = entriesOf(steps);
    for (let tries = 1; ; tries += 1) {
      this.assertPatience(tries);
      const result = await this.connection.transact(guard.items(entries));
      if (result.kind === 'done') break;
      await guard.refused();
    }
    guard.done(entries);
    const outcomes = await this.lanes.all(steps, async ({ action }): Promise<WriteOutcome> => {
      const refusal = await this.connection.write(action);
      return refusal === null || isDone(action, refusal) ? 'done' : { found: refusal.found };
    });
    const came = entriesOf(steps.filter((_, i) => outcomes[i] === 'done'));
    if (came.length < entries.length) await guard.amend(came);
    return outcomes;
  }

  private assertPatience(tries: number): void {
    if (tries <= triesMax) return;
    const detail = `${triesMax} tries in a row met somebody else's change`;
    throw new KeyferryError('store.throttled', { store: this.connection.name, detail });
  }
}

/** What stands in the way of a put is that very item: the request was delivered twice. */
function isDone(action: Action, { found }: Refusal): boolean {
  return 'put' in action && found !== null && found !== undefined && versionOf(found) === versionOf(action.put);
}

const entriesOf = (steps: readonly Step[]): readonly MarkEntry[] =>
  steps.flatMap(({ entry }) => (entry === null ? [] : [entry]));

/** Cut at what a transaction takes; a write that is larger than that by itself, with what it is compared with, is alone. */
function groupsOf(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups: Step[][] = [];
  let group: Step[] = [];
  let bytes = 0;
  for (const step of steps) {
    const size = actionBytes(step.action);
    if (group.length === writesMax || (group.length > 0 && bytes + size > transactionBytesMax)) {
      groups.push(group);
      [group, bytes] = [[], 0];
    }
    group.push(step);
    bytes += size;
  }
  if (group.length > 0) groups.push(group);
  invariant(
    groups.every(({ length }) => length <= writesMax),
    'a transaction of too many writes',
  );
  return groups;
}
