/** What writer, control and restore of one migration share. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { KeyferryError, type Fence, type Key } from '@keyferry/core';
import { isAbsent, isExactly } from './conditions.ts';
import type { Action, Connection } from './connection.ts';
import { sameFence, type ControlItems } from './control-items.ts';
import type { GuardedWrites } from './guarded-writes.ts';
import { attributesBytes, type Attributes } from './item-text.ts';
import type { Items } from './items.ts';
import { itemBytesMax } from './limits.ts';
import type { MarkEntry } from './marks.ts';

export interface TargetContext {
  readonly connection: Connection;
  readonly items: Items;
  readonly control: ControlItems;
  readonly writes: GuardedWrites;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Tells what this process wrote to whoever remembers marks. */
  readonly noteMarks: (entries: readonly MarkEntry[]) => void;
}

/** What is there for each of these keys; null: nothing. Keys that no item can have are left out. */
export async function readItems(
  { connection, items }: Pick<TargetContext, 'connection' | 'items'>,
  keys: readonly Key[],
): Promise<Map<Key, Attributes | null>> {
  const byName = new Map<string, Key>();
  const asked: Record<string, AttributeValue>[] = [];
  const found = new Map<Key, Attributes | null>();
  for (const key of new Set(keys)) {
    const itemKey = items.keyOf(key);
    if (itemKey === null) continue;
    asked.push(itemKey);
    byName.set(items.nameOf(itemKey), key);
    found.set(key, null);
  }
  for (const item of await connection.getMany(asked)) {
    const key = byName.get(items.nameOf(item));
    if (key !== undefined) found.set(key, item);
  }
  return found;
}

/** Puts an item in the place of what was read; the reason if no request can say that. */
export function putOver({ mapping }: Items, item: Attributes, before: Attributes | null): Action | string {
  const bytes = attributesBytes(item);
  if (bytes > itemBytesMax) return `an item of ${bytes} bytes, at most ${itemBytesMax}`;
  const when = before === null ? isAbsent(mapping) : isExactly(mapping, before);
  return when === null ? tooMany : { put: item, when };
}

export function deleteExactly(items: Items, key: Key, before: Attributes): Action | string {
  const when = isExactly(items.mapping, before);
  const itemKey = items.keyOf(key);
  return when === null || itemKey === null ? tooMany : { delete: itemKey, when };
}

const tooMany = 'the item there has more attributes than one condition can compare';

/** Reads once more whether the epoch is still this one. @throws {KeyferryError} `fence.lost` */
export async function assertEpoch({ connection, control }: TargetContext, epoch: Fence): Promise<Attributes> {
  const [item] = await connection.getMany([control.epoch(0)]);
  if (item !== undefined && sameFence(control.fenceOf(item), epoch)) return item;
  throw new KeyferryError('fence.lost', { chunk: `all of ${control.migration}` });
}
