/**
 * How a batch becomes transactions: the operations of each record, their number and size, and where to cut.
 *
 *     check-index fence, check-index epoch, set mark, check-not-exists sign of tombstones
 *     put     cas key (absent, or at its version)    (online: set its origin)    (behind a sign: check-not-exists its tombstone)
 *     delete  check-index key, delete-cas key        set its note in gone/
 *
 * All or nothing: a transaction in which one condition does not hold does nothing, and names all whose do not. A check of
 * the index stands for one of the value: what was read at that index was understood. A delete checks the index by itself
 * because `delete-cas` of an absent key succeeds [measured, 1.8.7].
 *
 * What governs is Consul's work for an operation, and a check costs as much of it as a write: a record without a check of its
 * own tombstone takes two thirds of one with it (bench/README.md). Whoever writes a tombstone sets the sign in the same
 * transaction, so that its absence stands for that of all of them (SPEC R124).
 */
import { originText, recordBytes, type GuardedChange } from '@keyferry/core';
import { guardOperations, operationsMax, recordBytesMaxOf } from './capabilities.ts';
import { attemptValue, type ControlKeys } from './control-keys.ts';
import { indexOf, isHeld } from './entry.ts';
import { unfitKey } from './key-form.ts';
import { bytesOf, plain, type Operation, type Operations } from './operations.ts';
import type { ValueForm } from './value-form.ts';

/** Fence, epoch and mark with their keys. */
const guardBytes = 4096;

export interface PreparedChange {
  /** In the batch. */
  readonly index: number;
  readonly operations: readonly Operation[];
}

export interface BatchContext {
  readonly operations: Operations;
  readonly keys: ControlKeys;
  readonly form: ValueForm;
  readonly transactionBytes: number;
}

export interface Cutting {
  readonly attempt: number;
  /** Places in the batch of the changes that have no outcome yet, ascending. */
  readonly open: readonly number[];
  /** Each put checks its tombstone; else the sign of tombstones is checked once for all. */
  readonly checksTombs: boolean;
}

/** Cuts a batch at the limits, in order. A record that fits into no transaction is in none of the parts. */
export function cutBatch(
  context: BatchContext,
  changes: readonly GuardedChange[],
  { attempt, open, checksTombs }: Cutting,
  refuse: (index: number, detail: string) => void,
): readonly (readonly PreparedChange[])[] {
  const parts: PreparedChange[][] = [];
  let part: PreparedChange[] = [];
  const guards = checksTombs ? guardOperations - 1 : guardOperations;
  let [count, bytes] = [guards, guardBytes];
  for (const index of open) {
    const change = changes[index] as GuardedChange;
    const detail = refusalOf(context, change);
    if (detail !== null) {
      refuse(index, detail);
      continue;
    }
    const operations = operationsOf(context, change, attempt, checksTombs);
    const size = operations.reduce((sum, each) => sum + bytesOf(each), 0);
    const whole = guardBytes + size + (checksTombs ? 0 : tombCheckBytes(context, change, size));
    if (whole > context.transactionBytes) {
      refuse(index, `a transaction of ${whole} bytes, at most ${context.transactionBytes}`);
      continue;
    }
    if (part.length > 0 && (count + operations.length > operationsMax || bytes + size > context.transactionBytes)) {
      parts.push(part);
      [part, count, bytes] = [[], guards, guardBytes];
    }
    part.push({ index, operations });
    count += operations.length;
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** A record must fit also once its tombstone has to be looked for. Only a large one is asked. */
function tombCheckBytes(
  { operations, keys, transactionBytes }: BatchContext,
  { kind, key }: GuardedChange,
  size: number,
) {
  if (kind === 'delete' || size < transactionBytes / 4) return 0;
  return bytesOf(operations.checkAbsent(keys.tomb(key)));
}

function operationsOf(
  { operations, keys, form }: BatchContext,
  change: GuardedChange,
  attempt: number,
  checksTombs: boolean,
): Operation[] {
  const { key } = change;
  if (change.kind === 'delete') {
    const index = indexOf(change.expect.version);
    return [
      operations.checkIndex(key, index),
      operations.deleteAt(key, index),
      operations.set(keys.gone(key), plain(attemptValue(attempt))),
    ];
  }
  const expected = change.expect === 'absent' ? 0 : indexOf(change.expect.version);
  const origin = change.origin === undefined ? [] : [Buffer.from(originText(change.origin), 'latin1')];
  return [
    operations.cas(key, form.toStored(change.value), expected),
    ...(checksTombs ? [operations.checkAbsent(keys.tomb(key))] : []),
    ...origin.map((text) => operations.set(keys.origin(key), plain(text))),
  ];
}

function refusalOf({ keys, form, transactionBytes }: BatchContext, change: GuardedChange): string | null {
  const { key, expect } = change;
  const unfit = unfitKey(key);
  if (unfit !== null) return unfit;
  if (key.startsWith(keys.reservedPrefix)) {
    return `the key lies under ${keys.reservedPrefix}, where keyferry keeps its own`;
  }
  if (expect !== 'absent' && isHeld(expect.version))
    return 'a session holds the key as a lock, and locks are not touched';
  // 0 is a condition of its own: the key must be absent.
  if (expect !== 'absent' && indexOf(expect.version) === 0) return 'its version is none of Consul';
  if (change.kind === 'delete') return null;
  const recordBytesMax = recordBytesMaxOf(transactionBytes);
  if (recordBytes(change) > recordBytesMax) return `${recordBytes(change)} bytes, at most ${recordBytesMax}`;
  return form.unfit(change.value);
}
