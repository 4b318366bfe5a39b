/**
 * A view: a range of the store, read in one piece into a spool on disk.
 *
 *     index of the store ──► one consistent listing of a prefix ──► index once more
 *
 * Consul keeps no past and has no ranges: one recursive listing is one state of all below a prefix, and two of them are
 * two. The position is the index of the whole store, which moves with every write of any key. Where it moved while the
 * listing was read, the position says so and equals no other: nobody can tell which of the writes are in it.
 */
import {
  keyFromText,
  rangeHolds,
  type KeyRange,
  type NotCarriedReason,
  type Position,
  type StoredRecord,
  type StoreView,
} from '@keyferry/core';
import type { RecordSpool } from '../spool/record-spool.ts';
import { openSpooledView } from '../spool/spooled-view.ts';
import type { ConsulApi } from './api.ts';
import { assertTokenWhereNeeded } from './access.ts';
import { recordOf, type ConsulEntry } from './entry.ts';
import { listingPrefix } from './key-form.ts';
import type { ValueForm } from './value-form.ts';

export interface ViewContext {
  readonly api: ConsulApi;
  readonly form: ValueForm;
  /** keyferry's own keys, which no scan returns. */
  readonly reserved: KeyRange;
  /** What becomes of records with flags that their value does not say. Locks: carried only where keyferry may meet them. */
  readonly flags: 'carry' | 'leave-out' | 'drop';
  readonly locks: 'carry' | 'leave-out';
}

export async function openView(context: ViewContext, range: KeyRange): Promise<StoreView> {
  const { api } = context;
  const prefix = listingPrefix(range);
  await assertTokenWhereNeeded(api);
  const before = await api.readPosition(prefix);
  return await api.readTree(prefix, (feed) =>
    openSpooledView(async (spool) => {
      await feed({
        take: (entry) => {
          if (rangeHolds(range, entry.key) && !rangeHolds(context.reserved, entry.key)) add(context, entry, spool);
        },
        notText: (name) => addUnnamed(range, name, spool),
      });
      const after = await api.readPosition(prefix);
      return (after === before ? before : `${before}-${after}`) as Position;
    }),
  );
}

function add(context: ViewContext, entry: ConsulEntry, spool: RecordSpool): void {
  const carried = carriedOf(context, entry);
  if (typeof carried === 'string') spool.addNotCarried({ key: entry.key, reason: carried });
  else spool.add(carried);
}

/** The record that an entry is to others, or why it is none. */
export function carriedOf({ form, flags, locks }: ViewContext, entry: ConsulEntry): StoredRecord | NotCarriedReason {
  if (entry.session !== undefined && locks === 'leave-out') return 'lock.held';
  const record = recordOf(entry, form);
  const saysFlags = record.value !== entry.value;
  if (saysFlags && flags === 'leave-out') return 'flags.set';
  return saysFlags && flags === 'drop' ? { ...record, value: entry.value } : record;
}

/** Its name stands for it, with the bytes replaced that could not be read; another one may look the same. */
function addUnnamed(range: KeyRange, name: string, spool: RecordSpool): void {
  const key = keyFromText(name);
  if (rangeHolds(range, key)) spool.addBeside({ key, reason: 'key.not-text' });
}
