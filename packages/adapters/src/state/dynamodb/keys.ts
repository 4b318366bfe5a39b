/**
 * The keys of the one table: who lies where, and why.
 *
 *     pk                             sk                        holds
 *     item#<kind>#<scope>#<shard>    #<id>                     an item, or the head of one that is in parts
 *     part#<version>#<n>             #                         the n-th part of that version of an item
 *     ledger                         #<version>                sets of parts that no item refers to (part-sets.ts)
 *     table                          #format                   which format the keys of this table are of
 *     switch#<name>                  record, instances/<id>    a switch (switch.ts), where one lies beside a state
 *
 * One partition takes 1,000 write units a second. So kinds of which a scope may hold many are spread over shards by a
 * hash of the id, and a list merges the shards; kinds of which there are few lie together. How a kind is spread is part
 * of the format: changing it for a kind that exists loses sight of its items.
 *
 * A sort key holds 1,024 bytes, and an id may be longer: that of a dead letter is the text of a key. A long id is cut,
 * marked by the greatest character there is, and told from others with the same beginning by a hash. The mark keeps the
 * order: what follows the cut is longer in UTF-8 than what a shorter id can have there, and so greater.
 */
import { createHash } from 'node:crypto';
import { compareKeys, keyFromText, type StateKind } from '@keyferry/core';

/** Of the keys and of what is in the items; a newer one is refused. */
export const format = 1;

export interface ItemKey {
  readonly pk: string;
  readonly sk: string;
}

export const tableKey: ItemKey = { pk: 'table', sk: '#format' };
export const ledgerPartition = 'ledger';
export const ledgerKey = (version: string): ItemKey => ({ pk: ledgerPartition, sk: `#${version}` });
export const partKey = (version: string, n: number): ItemKey => ({ pk: `part#${version}#${n}`, sk: '#' });

/** 4,000 writes a second; a list asks each of them, so no more than are of use. */
const shardsOfMany = 4;
/** One of a migration, or a handful; of any other kind, a newer one too, there may be many. */
const fewOfAScope: ReadonlySet<StateKind> = new Set<StateKind>(['migration', 'lock', 'plan']);

const shardCount = (kind: StateKind): number => (fewOfAScope.has(kind) ? 1 : shardsOfMany);

/** All partitions that hold items of a kind and scope. */
export function partitionsOf(kind: StateKind, scope: string): readonly string[] {
  return Array.from({ length: shardCount(kind) }, (_, shard) => `item#${kind}#${scope}#${shard}`);
}

export function itemKey(kind: StateKind, scope: string, id: string): ItemKey {
  const shards = shardCount(kind);
  // Long ids that begin alike lie in one shard, where a list can put them in order.
  const shard = shards === 1 ? 0 : (sha256(cutOf(id) ?? id)[0] ?? 0) % shards;
  return { pk: `item#${kind}#${scope}#${shard}`, sk: sortKeyOf(id) };
}

const bytesMax = 900;
const cutMark = '\u{10ffff}';

function sortKeyOf(id: string): string {
  const cut = cutOf(id);
  return cut === null ? `#${id}` : `#${cut}${cutMark}${sha256(id).toString('hex')}`;
}

/** A sort key that no id after `id` lies before; ids up to `id` may follow it too, if `id` is long. */
export const sortKeyBefore = (id: string): string => `#${cutOf(id) ?? id}`;

/** Whether two sort keys are of long ids that begin alike, whose order the table does not know. */
export function areUnordered(a: string, b: string): boolean {
  const end = a.lastIndexOf(cutMark);
  return end !== -1 && b.length === a.length && b.startsWith(a.slice(0, end + cutMark.length));
}

/** Null where the id is not cut: then its sort key tells it in full. */
export function cutOf(id: string): string | null {
  const bytes = Buffer.from(id);
  if (bytes.length <= bytesMax) return null;
  let end = bytesMax;
  // Back to where a character begins.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}

/** In the order of their UTF-8 bytes, as the table has them; JavaScript's own order differs beyond U+FFFF. */
export const compareIds = (a: string, b: string): number => compareKeys(keyFromText(a), keyFromText(b));

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
