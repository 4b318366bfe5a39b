/**
 * The tails of a migration that write to Consul.
 *
 *     look at the records ─► transaction: tail at its index, epoch, records at theirs, tombstones ─► the next part
 *          ▲                                      │                                              the last has the position
 *          └── a record moved, or was locked ◄────┘
 *
 * A transaction holds 64 operations and 512 KiB, so what one `apply` brings may take several; the position goes with the last.
 * Each writes the tail's record anew, at the index at which the one before it left it: a request that is late finds another
 * index. An answer that was lost leaves that index unknown, and the next call reads it: what it finds under its own fence
 * can only be what the lost one left.
 *
 * Records are looked at first, because a key that a session holds as a lock is never written over, and only their indexes
 * tell that nobody took one meanwhile.
 */
import {
  compareFences,
  fenceFromText,
  fenceToText,
  invariant,
  keyForDisplay,
  KeyferryError,
  recordBytes,
  type Fence,
  type Key,
  type Position,
  type TailCapabilities,
  type TailChange,
  type TailClaim,
  type TailControl,
  type TailName,
  type TailOutcome,
  type TailRecord,
  type TailWriter,
} from '@keyferry/core';
import { operationsMax, recordBytesMaxOf } from './capabilities.ts';
import type { WriterContext } from './chunk-writer.ts';
import { fenceOf } from './control-keys.ts';
import { noBytes, versionOf, type ConsulEntry } from './entry.ts';
import { unfitKey } from './key-form.ts';
import { lookUp } from './look-up.ts';
import { bytesOf, plain, type Operation } from './operations.ts';

/** The tail's record, the epoch, and the sign of tombstones. */
const guardOperations = 3;
const changesMax = Math.floor((operationsMax - guardOperations) / 2);
/** Of a transaction, beside the records and the position. */
const guardBytes = 4096;

export class ConsulTail implements TailControl {
  // Not atomic: changes that take several transactions are there before their position is.
  readonly capabilities: TailCapabilities = { atomic: false, fencing: true, changesMax };
  private readonly context: WriterContext;

  constructor(context: WriterContext) {
    this.context = context;
  }

  async readTail(tail: TailName): Promise<TailRecord | null> {
    const { api, keys, store } = this.context;
    const [entry = null] = await lookUp(api, [keys.tail(tail)]);
    const held = tailOf(store, entry);
    return held && { fence: held.fence, position: held.position };
  }

  async claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { api, keys, operations, store } = this.context;
    const key = keys.tail(tail);
    for (;;) {
      const [entry = null, epochEntry = null] = await lookUp(api, [key, keys.epoch]);
      const held = tailOf(store, entry);
      const epochHeld = fenceOf(store, epochEntry);
      const isHigher = held === null || compareFences(fence, held.fence) > 0;
      if (!isHigher || epochEntry === null || epochHeld === null || compareFences(epoch, epochHeld) !== 0) {
        return { kind: 'refused', fence: held?.fence ?? null, epoch: epochHeld };
      }
      const position = held?.position ?? null;
      const answer = await api.writeTransaction([
        operations.cas(key, plain(tailValue({ fence, position, sent: 0 })), entry?.modifyIndex ?? 0),
        operations.checkIndex(keys.epoch, epochEntry.modifyIndex),
      ]);
      if (answer.kind === 'refused') continue; // somebody was quicker: see who
      const state = { index: indexIn(answer.entries, key), position, sent: 0 };
      const claim = { tail, fence, epochIndex: epochEntry.modifyIndex };
      return { kind: 'claimed', position, writer: new ConsulTailWriter(this.context, claim, state) };
    }
  }
}

interface Claim {
  readonly tail: TailName;
  readonly fence: Fence;
  /** At which the target holds the epoch of this claim. */
  readonly epochIndex: number;
}

/** The tail's record as its writer left it. */
interface State {
  readonly index: number;
  readonly position: Position | null;
  /** Transactions sent, so that no two of them write the same record. */
  readonly sent: number;
}

interface Pending {
  readonly ord: number;
  readonly change: TailChange;
  readonly operations: readonly Operation[];
}

class ConsulTailWriter implements TailWriter {
  private readonly context: WriterContext;
  private readonly claim: Claim;
  private state: State;
  /** The answer of a transaction was lost, so the state may be behind. */
  private isUnsure = false;

  constructor(context: WriterContext, claim: Claim, state: State) {
    this.context = context;
    this.claim = claim;
    this.state = state;
  }

  async apply(changes: readonly TailChange[], position: Position | null): Promise<readonly TailOutcome[]> {
    invariant(changes.length <= changesMax, `${changes.length} changes at once`);
    invariant(new Set(changes.map(({ key }) => key)).size === changes.length, 'a key twice in one apply');
    const outcomes = Array.from<TailOutcome | undefined>({ length: changes.length });
    if (this.isUnsure) await this.readState();
    for (;;) {
      const left = [...changes.keys()].filter((ord) => outcomes[ord] === undefined);
      const pending = await this.prepare(changes, left, outcomes);
      const { part, isLast } = this.firstPart(pending, position);
      if (part.length === 0 && position === null) break;
      const done = await this.send(part, isLast ? position : null, outcomes);
      if (done && isLast) break;
    }
    return outcomes.map((outcome) => {
      invariant(outcome !== undefined, 'a change without an outcome');
      return outcome;
    });
  }

  /** Looks at the records, and says what each takes; what can never be there is refused. */
  private async prepare(
    changes: readonly TailChange[],
    left: readonly number[],
    outcomes: (TailOutcome | undefined)[],
  ): Promise<readonly Pending[]> {
    const wanted = left.map((ord) => ({ ord, change: changes[ord] as TailChange }));
    const found = await lookUp(
      this.context.api,
      wanted.map(({ change }) => change.key),
    );
    const pending: Pending[] = [];
    for (const [i, { ord, change }] of wanted.entries()) {
      const entry = found[i] ?? null;
      const detail = this.refusal(change, entry);
      if (detail !== null) outcomes[ord] = { kind: 'refused', detail };
      else if (change.kind === 'delete' && unfitKey(change.key) !== null) outcomes[ord] = { kind: 'deleted' };
      else pending.push({ ord, change, operations: this.operationsOf(change, entry) });
    }
    return pending;
  }

  private operationsOf(change: TailChange, entry: ConsulEntry | null): readonly Operation[] {
    const { operations, keys, form } = this.context;
    const { key } = change;
    const tomb = keys.tomb(key);
    if (change.kind === 'put') {
      return [operations.cas(key, form.toStored(change.value), entry?.modifyIndex ?? 0), operations.delete(tomb)];
    }
    // At an index: also where it is gone by now. Where nothing was, nothing may have come.
    const gone = entry === null ? operations.checkAbsent(key) : operations.deleteAt(key, entry.modifyIndex);
    return this.claim.tail === 'forward' ? [gone, operations.set(tomb, plain(noBytes))] : [gone];
  }

  /** As much as one transaction holds. */
  private firstPart(pending: readonly Pending[], position: Position | null) {
    let bytes = guardBytes + (position ?? '').length * 4;
    let count = guardOperations;
    const part = [];
    for (const each of pending) {
      bytes += each.operations.reduce((sum, operation) => sum + bytesOf(operation), 0);
      count += each.operations.length;
      // One alone fits, or was refused.
      if (part.length > 0 && (bytes > this.context.transactionBytes || count > operationsMax)) break;
      part.push(each);
    }
    return { part, isLast: part.length === pending.length };
  }

  /** @returns false where records moved meanwhile, or the state was another one of this writer's own: look again */
  private async send(
    part: readonly Pending[],
    position: Position | null,
    outcomes: (TailOutcome | undefined)[],
  ): Promise<boolean> {
    const { api, keys, operations } = this.context;
    const { tail, fence, epochIndex } = this.claim;
    const key = keys.tail(tail);
    const next = { position: position ?? this.state.position, sent: this.state.sent + 1 };
    const sent = [
      operations.cas(key, plain(tailValue({ fence, ...next })), this.state.index),
      operations.checkIndex(keys.epoch, epochIndex),
      ...part.flatMap((each) => each.operations),
      ...(tail === 'forward' && part.some(({ change }) => change.kind === 'delete')
        ? [operations.set(keys.entombed, plain(noBytes))]
        : []),
    ];
    this.isUnsure = true;
    const answer = await api.writeTransaction(sent);
    this.isUnsure = false;
    if (answer.kind === 'refused') {
      if (answer.failed.has(1)) throw this.lost();
      if (answer.failed.has(0)) await this.readState();
      return false;
    }
    this.state = { index: indexIn(answer.entries, key), ...next };
    const versions = new Map(answer.entries.map((entry) => [entry.key, versionOf(entry)]));
    for (const { ord, change } of part) {
      const version = versions.get(change.key);
      if (change.kind === 'delete') outcomes[ord] = { kind: 'deleted' };
      else {
        invariant(version !== undefined, 'a put without a version');
        outcomes[ord] = { kind: 'written', version };
      }
    }
    return true;
  }

  /** What a lost request left, or somebody else. @throws {KeyferryError} `fence.lost` */
  private async readState(): Promise<void> {
    const { api, keys, store } = this.context;
    const [entry = null] = await lookUp(api, [keys.tail(this.claim.tail)]);
    const held = tailOf(store, entry);
    if (entry === null || held === null || compareFences(held.fence, this.claim.fence) !== 0) throw this.lost();
    // One that is still under way carries the number after the last one known, so the next has to be another.
    const sent = Math.max(held.sent, this.state.sent) + 1;
    this.state = { index: entry.modifyIndex, position: held.position, sent };
    this.isUnsure = false;
  }

  private lost(): KeyferryError {
    return new KeyferryError('fence.lost', { chunk: `the ${this.claim.tail} tail` });
  }

  private refusal(change: TailChange, entry: ConsulEntry | null): string | null {
    const { keys, form, transactionBytes } = this.context;
    if (change.key.startsWith(keys.reservedPrefix)) {
      return `the key lies under ${keys.reservedPrefix}, where keyferry keeps its own`;
    }
    if (entry?.session !== undefined) return 'a session holds the key as a lock, and locks are not touched';
    if (change.kind === 'delete') return null;
    const bytes = recordBytes(change);
    const bytesMax = recordBytesMaxOf(transactionBytes);
    if (bytes > bytesMax) return `${bytes} bytes, at most ${bytesMax}`;
    return unfitKey(change.key) ?? form.unfit(change.value);
  }
}

interface TailState {
  readonly fence: Fence;
  readonly position: Position | null;
  readonly sent: number;
}

/** `<fence>\n<number of the transaction>\n<position>`, without the last line where there is none yet. */
function tailValue({ fence, position, sent }: TailState): Uint8Array {
  const lines = [fenceToText(fence), String(sent), ...(position === null ? [] : [position])];
  return Buffer.from(lines.join('\n'), 'utf8');
}

/** @throws {KeyferryError} `fence.unreadable`: what is there was not written by keyferry. */
function tailOf(store: string, entry: ConsulEntry | null): TailState | null {
  if (entry === null) return null;
  const [first = '', sent = '', ...rest] = Buffer.from(entry.value).toString('utf8').split('\n');
  const fence = fenceFromText(first);
  if (fence === null || !/^\d{1,15}$/.test(sent)) {
    throw new KeyferryError('fence.unreadable', { store, where: keyForDisplay(entry.key) });
  }
  return { fence, sent: Number(sent), position: rest.length === 0 ? null : (rest.join('\n') as Position) };
}

function indexIn(entries: readonly ConsulEntry[], key: Key): number {
  return entries.find((entry) => entry.key === key)?.modifyIndex ?? 0;
}
