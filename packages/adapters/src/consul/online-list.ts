/**
 * Records and tombstones of a range for a list of an online target, all of one state of the store.
 *
 *     one transaction that reads three trees: origins, records, tombstones ─► a spool on disk ─► pages
 *
 * Consul has no ranges and keeps no past, and a list must see key and tombstone of one moment (SPEC R33): a key that was
 * deleted between two listings would be in neither, and its old record in the source would come back. The answer is read as
 * it comes; what grows in memory with it is one version a copied record.
 */
import {
  keyForDisplay,
  KeyferryError,
  originFromText,
  rangeHolds,
  type Key,
  type KeyRange,
  type OnlineTargetRecord,
  type TargetEntry,
  type Version,
} from '@keyferry/core';
import { RecordSpool } from '../spool/record-spool.ts';
import { assertTokenWhereNeeded } from './access.ts';
import type { ConsulApi } from './api.ts';
import type { ControlKeys } from './control-keys.ts';
import { noBytes, versionOf, type ConsulEntry } from './entry.ts';
import { listingPrefix } from './key-form.ts';
import type { ValueForm } from './value-form.ts';

export interface ListContext {
  readonly api: ConsulApi;
  readonly keys: ControlKeys;
  readonly form: ValueForm;
}

const pageKeysMax = 500;
/** Of a tombstone under which no record lies. */
const noVersion = '' as Version;

/** Ascending by bytes. @throws {KeyferryError} `store.request-refused` for a range that holds keyferry's own keys */
export async function* listEntries(
  context: ListContext,
  range: KeyRange,
): AsyncGenerator<readonly TargetEntry<OnlineTargetRecord>[]> {
  const { api } = context;
  await assertTokenWhereNeeded(api);
  const { origins, records, tombs } = treesOf(context, range);
  const spool = await api.readTrees([origins, records, tombs], async (feed) => {
    const filled = new RecordSpool();
    try {
      await feed({ take: taker(context, range, filled), notText: () => undefined });
      await filled.seal();
      return filled;
    } catch (error) {
      filled.close();
      throw error;
    }
  });
  try {
    for await (const page of spool.scan(range, { pageKeysMax })) {
      yield page.records.map(({ key, value, version, created = null }) => ({
        key,
        record: version === noVersion ? null : { key, value, version, copiedFrom: created },
      }));
    }
  } finally {
    spool.close();
  }
}

/**
 * The prefixes below which all that a range holds lies. A tree of everything is not to be had, and keyferry's own keys must
 * come as trees of their own.
 * @throws {KeyferryError} `store.request-refused` for a range that holds keyferry's own keys
 */
export function treesOf(
  { api, keys }: ListContext,
  range: KeyRange,
): Readonly<Record<'origins' | 'records' | 'tombs', Key>> {
  const records = listingPrefix(range);
  if (keys.reservedPrefix.startsWith(records)) {
    const detail = `what lies below ${keyForDisplay(records) || 'everything'} would hold ${keyForDisplay(keys.reservedPrefix)}`;
    throw new KeyferryError('store.request-refused', { store: api.store, detail });
  }
  return { origins: `${keys.origins}${records}` as Key, records, tombs: `${keys.tombs}${records}` as Key };
}

/** In the order of the trees: an origin is known before its record, and a record has its place before its tombstone. */
function taker({ keys, form }: ListContext, range: KeyRange, spool: RecordSpool): (entry: ConsulEntry) => void {
  const copied = new Map<Key, { readonly index: number; readonly from: Version }>();
  const below = (prefix: Key, key: Key): Key | null =>
    key.startsWith(prefix) ? (key.slice(prefix.length) as Key) : null;
  return (entry) => {
    const origin = below(keys.origins, entry.key);
    const entombed = origin === null ? below(keys.tombs, entry.key) : null;
    const key = origin ?? entombed ?? entry.key;
    if (!rangeHolds(range, key)) return;
    if (origin !== null) {
      const from = originFromText(Buffer.from(entry.value).toString('latin1'));
      if (from !== null) copied.set(key, { index: entry.modifyIndex, from });
      return;
    }
    if (entombed !== null) {
      spool.add({ key, value: noBytes, version: noVersion, expiresAtMs: null });
      return;
    }
    if (key.startsWith(keys.reservedPrefix)) return;
    const origins = copied.get(key);
    const isCopy = origins?.index === entry.modifyIndex;
    const record = { key, value: form.toValue(entry), version: versionOf(entry), expiresAtMs: null };
    spool.add(isCopy ? { ...record, created: origins.from } : record);
  };
}
