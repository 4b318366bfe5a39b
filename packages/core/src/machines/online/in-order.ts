/**
 * Keys in order, as etcd v2 makes them on POST: `/queue/00000000000000001042`, each sorted behind all that were made before.
 *
 *     counter 1042 ─compare-and-swap─► 1043     the number is taken: whoever comes later gets a higher one
 *                  ─create──────────► /queue/…1043
 *
 * The counter is a record of the application's, so its order goes where records go: there, back, and there again (SPEC R112).
 * A number is above every index of the source that a POST could have used as a name: while the source takes writes, above
 * one that it gave just now; once it is frozen, above the freeze. Pure.
 */
import { KeyferryError } from '../../errors/keyferry-error.ts';
import type { Brand } from '../../model/brand.ts';
import type { Version } from '../../model/record.ts';
import type { Token } from './client-operation.ts';
import { prefixOf, type Directory } from './directory.ts';
import { indexOf, type IndexBridge } from './index-bridge.ts';

/** Where keys are made in order. Made by `inOrder`. */
export interface InOrder {
  readonly directory: Directory;
  /** The key of the record that holds the last number. */
  readonly counter: Brand<string, 'Counter'>;
}

/** As many as etcd v2 pads to, since 2.2. */
const digits = 20;

/**
 * @param counter key of a record that is for this alone; it moves with the others, so it lies under the migration's prefix
 * @throws {KeyferryError} `client.path-refused`: the counter lies in the directory, where whoever reads that would take it
 *   for one of its keys
 */
export function inOrder(at: Directory, counter: string): InOrder {
  if (counter === at || counter.startsWith(prefixOf(at)))
    throw new KeyferryError('client.path-refused', { path: counter, why: `it is a counter, and lies in ${at} itself` });
  return { directory: at, counter: counter as InOrder['counter'] };
}

/** The last number that a counter gave; 0: none. @throws {KeyferryError} `client.counter-unreadable` */
export function lastNumber(counter: InOrder['counter'], value: Uint8Array | null): bigint {
  if (value === null) return 0n;
  const text = String.fromCharCode(...value.subarray(0, digits + 1));
  if (!/^\d{1,20}$/.test(text)) throw new KeyferryError('client.counter-unreadable', { key: counter });
  return BigInt(text);
}

/**
 * The next number.
 * @param seen token that the counter's record got just now, if that was to learn how far the source counted
 */
export function nextNumber(last: bigint, seen: Token | null, bridge: IndexBridge): bigint {
  const frozen: Token | null =
    bridge.frozenAt === null ? null : { store: 'source', version: String(bridge.frozenAt) as Version };
  const floors = [seen, frozen].map((token) => BigInt((token && indexOf(token, bridge)) ?? 0));
  return [last, ...floors].reduce((a, b) => (a > b ? a : b)) + 1n;
}

export function keyInOrder({ directory }: InOrder, number: bigint): string {
  return `${prefixOf(directory)}${String(number).padStart(digits, '0')}`;
}
