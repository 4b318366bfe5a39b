/**
 * What etcd v2 does for directories, out of operations on single keys and lists: each of those has an order over both stores
 * in every mode (SPEC I13), and what is here adds no request of its own to that.
 *
 *     deleteTree       list ─► delete each key, so many at a time
 *     createDirectory  is anything below it? ─► create its mark where none is
 *     deleteDirectory  is nothing but its mark below it? ─► delete that very mark
 *     createInOrder    take a number from the counter ─► create the key of that number
 *
 * A list is over before the first write: an instance acknowledges no mode while one of its lists is open, and writes that
 * wait for a mode would wait for that list.
 */
import {
  childOf,
  keyInOrder,
  KeyferryError,
  lastNumber,
  markOf,
  nextNumber,
  prefixOf,
  type Directory,
  type IndexBridge,
  type InOrder,
  type Token,
} from '@keyferry/core';
import type { ClientValue, ListedRecord, OnlineClient, PutOptions } from './client.ts';

/** Of a directory's list. */
export type DirectoryEntry =
  | ({ readonly kind: 'record' } & ListedRecord)
  /** As in `list` of keys: it stands where the first key below it does. */
  | { readonly kind: 'directory'; readonly directory: Directory };

/** As much of a client as trees are made of. */
export type KeyOperations = Pick<OnlineClient, 'get' | 'delete' | 'compareAndSwap' | 'compareAndDelete' | 'list'>;

export interface TreeParts {
  readonly keys: KeyOperations;
  /** Whether the source takes writes: an index that it gives now is above all names that it gave to POSTs. */
  readonly countsInSource: () => boolean;
  readonly bridge: () => IndexBridge;
}

const deletesAtOnce = 16;

/** @throws {KeyferryError} `client.tree-unfinished`, with the failure of the first key that failed as its cause */
export async function deleteTree({ keys }: TreeParts, at: Directory): Promise<{ readonly deleted: number }> {
  const found = (await keys.get(at)) === null ? [] : [at as string];
  for await (const page of keys.list(prefixOf(at))) for (const { key } of page) found.push(key);
  let deleted = 0;
  const failed: { key: string; error: unknown }[] = [];
  const left = found.values();
  const work = async (): Promise<void> => {
    for (const key of left) {
      if (failed.length > 0) return;
      try {
        await keys.delete(key);
        deleted += 1;
      } catch (error) {
        failed.push({ key, error });
      }
    }
  };
  await Promise.all(Array.from({ length: deletesAtOnce }, work));
  const [first] = failed;
  if (first === undefined) return { deleted };
  const details = { directory: at, key: first.key, deleted, total: found.length };
  throw new KeyferryError('client.tree-unfinished', details, { cause: first.error });
}

export async function* listDirectory(
  { keys }: TreeParts,
  at: Directory,
): AsyncGenerator<readonly DirectoryEntry[], void, undefined> {
  let last: Directory | null = null;
  for await (const page of keys.list(prefixOf(at))) {
    const entries: DirectoryEntry[] = [];
    for (const record of page) {
      const child = childOf(at, record.key);
      if (child.kind === 'record') entries.push({ kind: 'record', ...record });
      if (child.kind !== 'below' || child.directory === last) continue;
      last = child.directory;
      entries.push({ kind: 'directory', directory: child.directory });
    }
    if (entries.length > 0) yield entries;
  }
}

export async function createDirectory({ keys }: TreeParts, at: Directory): Promise<'created' | 'exists'> {
  const [first] = await firstBelow(keys, at);
  if (first !== undefined) return 'exists';
  const swap = await keys.compareAndSwap(markOf(at), null, '');
  return swap.kind === 'written' ? 'created' : 'exists';
}

export async function deleteDirectory(
  { keys }: TreeParts,
  at: Directory,
): Promise<'deleted' | 'missing' | 'not-empty'> {
  for (;;) {
    const [first, second] = await firstBelow(keys, at);
    if (first === undefined) return 'missing';
    if (second !== undefined || first.key !== markOf(at)) return 'not-empty';
    const swap = await keys.compareAndDelete(first.key, first.token);
    if (swap.kind === 'written') return 'deleted'; // else somebody was at the mark: look again
  }
}

/** Two at the most. */
async function firstBelow(keys: KeyOperations, at: Directory): Promise<readonly ListedRecord[]> {
  const first: ListedRecord[] = [];
  for await (const page of keys.list(prefixOf(at))) {
    first.push(...page.slice(0, 2));
    if (first.length >= 2) break;
  }
  return first;
}

export async function createInOrder(
  parts: TreeParts,
  order: InOrder,
  value: ClientValue,
  options?: PutOptions,
): Promise<{ readonly key: string; readonly token: Token }> {
  for (;;) {
    const key = keyInOrder(order, await takeNumber(parts, order));
    const swap = await parts.keys.compareAndSwap(key, null, value, options);
    if (swap.kind === 'written' && swap.token !== null) return { key, token: swap.token };
    // Somebody who does not count here has made a key of that name: a POST, while the number was taken.
  }
}

async function takeNumber({ keys, countsInSource, bridge }: TreeParts, order: InOrder): Promise<bigint> {
  const { counter } = order;
  /** A state of the counter that came to be after this began: every POST that had ended by then has a lower index. */
  let seen: Token | null = null;
  for (let looks = 1; ; looks += 1) {
    const held = await keys.get(counter);
    const last = lastNumber(counter, held?.value ?? null);
    let token = held?.token ?? null;
    if (seen === null && countsInSource()) {
      if (looks > 1)
        seen = token; // somebody has counted since the first look
      else {
        // Written as it is, for its index.
        const touched = await keys.compareAndSwap(counter, token, held?.value ?? '0');
        if (touched.kind !== 'written') continue;
        token = touched.token;
        seen = touched.token;
      }
    }
    const number = nextNumber(last, seen, bridge());
    const taken = await keys.compareAndSwap(counter, token, String(number));
    if (taken.kind === 'written') return number;
  }
}
