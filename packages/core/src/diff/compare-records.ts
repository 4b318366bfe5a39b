/** When two records count as the same: equal bytes, and both expire or neither does. Time left moves by itself. */
import type { StoredRecord } from '../model/record.ts';

export type RecordContent = Pick<StoredRecord, 'value' | 'expiresAtMs'>;

export function recordsEqual(a: RecordContent, b: RecordContent): boolean {
  return (a.expiresAtMs === null) === (b.expiresAtMs === null) && bytesEqual(a.value, b.value);
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
