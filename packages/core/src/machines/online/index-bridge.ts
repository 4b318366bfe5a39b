/**
 * Index bridge: one row of numbers over both stores, for applications that compare the indexes of etcd v2.
 *
 *     source      … 1040 1041 1042 │                          frozen at 1042; a copied record keeps its number
 *     target                    77 │ 78    79    80           its head at that barrier was 77
 *     numbers     … 1040 1041 1042 │ 1043  1044  1045         offset 965, fixed there
 *
 * Every number of the source is at or below the freeze and every one of the target above it, so they only grow, and a number
 * leads back to the token of its record (SPEC R60). A record that is read in the source with a version above the freeze came
 * there by the reverse tail, and has no number: the target holds it by then. Pure.
 */
import type { Position } from '../../model/position.ts';
import type { Version } from '../../model/record.ts';
import type { Token } from './client-operation.ts';
import type { SwitchRecord } from './switch-record.ts';

export type IndexBridge = Pick<SwitchRecord, 'frozenAt' | 'indexOffset'>;

/** Nothing was ever announced, and nothing is in the target. */
export const noBridge: IndexBridge = { frozenAt: null, indexOffset: null };

/**
 * The offset to publish with `migrating`, or null where a store's positions are no numbers.
 * @param frozenAt the source's position, once nobody writes there
 * @param watchFrom the target's, before its first application write
 * @param before the offset of an earlier way forward that was taken back: the target's numbers do not fall below those
 */
export function indexOffsetAt(frozenAt: Position, watchFrom: Position, before: string | null): string | null {
  const [source, target, former] = [frozenAt, watchFrom, before ?? '0'].map(numberOf);
  if (source === undefined || target === undefined || former === undefined) return null;
  const wanted = source - target;
  return String(wanted > former ? wanted : former);
}

/** @returns null where there is none: versions are no numbers, no offset was published, or the reverse tail wrote it */
export function indexOf({ store, version }: Token, { frozenAt, indexOffset }: IndexBridge): number | null {
  const number = numberOf(version);
  if (number === undefined) return null;
  if (store === 'source') {
    const freeze = frozenAt === null ? undefined : numberOf(frozenAt);
    return freeze !== undefined && number > freeze ? null : Number(number);
  }
  const offset = indexOffset === null ? undefined : numberOf(indexOffset);
  return offset === undefined ? null : Number(number + offset);
}

/**
 * The token of the record that had this number.
 * @returns null where that cannot be told: after a rollback a number may have been given in both stores. Read again.
 */
export function tokenAt(index: number, { frozenAt, indexOffset }: IndexBridge): Token | null {
  if (!Number.isSafeInteger(index) || index <= 0) return null;
  const number = BigInt(index);
  if (indexOffset === null) return { store: 'source', version: String(number) as Version };
  const freeze = frozenAt === null ? undefined : numberOf(frozenAt);
  const offset = numberOf(indexOffset);
  if (freeze === undefined || offset === undefined) return null;
  if (number <= freeze) return { store: 'source', version: String(number) as Version };
  const version = number - offset;
  return version > 0n ? { store: 'target', version: String(version) as Version } : null;
}

function numberOf(text: string): bigint | undefined {
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}
