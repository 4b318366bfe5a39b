/** Single rows by the keys of records. */
import type { Key, StoredRecord, Version } from '@keyferry/core';
import { byTable, lookAtRows, type RowInput } from './rows.ts';
import type { Session } from './session.ts';
import type { ResolvedTable } from './catalog.ts';
import type { Tables } from './tables.ts';

/**
 * One for each key, in order; null: nothing is there.
 * @param lock what is there stays so until the transaction ends
 */
export async function lookUpRows(
  session: Session,
  tables: Tables,
  keys: readonly Key[],
  lock = false,
): Promise<readonly (StoredRecord | null)[]> {
  const records: (StoredRecord | null)[] = keys.map(() => null);
  const entries = keys.flatMap((key, ord): (RowInput & { readonly table: ResolvedTable })[] => {
    const located = tables.locate(key);
    return located === null ? [] : [{ ...located, ord, key, value: null, expect: null }];
  });
  for (const [table, inputs] of byTable(entries)) {
    for (const { ord, version, value } of await lookAtRows(session, table, inputs, { value: true, lock })) {
      if (version === null) continue;
      records[ord] = {
        key: keys[ord] as Key,
        value: value ?? new Uint8Array(0),
        version: version as Version,
        expiresAtMs: null,
      };
    }
  }
  return records;
}
