import {
  keyFromBytes,
  keyToBytes,
  PackedPage,
  toTargetKey,
  type GuardedPut,
  type NotCarried,
  type PackedPuts,
  type StoredRecord,
  type Version,
} from '../src/index.ts';

/** A page of these records, packed: key and value one behind the other, with bytes of nobody's in front. */
export function packedPageOf(records: readonly StoredRecord[], notCarried: readonly NotCarried[] = []): PackedPage {
  const parts = records.flatMap(({ key, value }) => [keyToBytes(key), value]);
  const front = 3;
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, front));
  const spans = new Uint32Array(2 * parts.length);
  let at = front;
  for (const [i, part] of parts.entries()) {
    bytes.set(part, at);
    spans.set([at, at + part.length], 2 * i);
    at += part.length;
  }
  const packed = {
    bytes,
    spans,
    count: records.length,
    keyOf: (start: number, end: number) => keyFromBytes(bytes.subarray(start, end)),
    valueOf: (start: number, end: number) => bytes.subarray(start, end),
    versionOf: (index: number) => records[index]?.version as Version,
    expiresAtMsOf: (index: number) => records[index]?.expiresAtMs ?? null,
    createdOf: (index: number) => records[index]?.created,
  };
  return new PackedPage(packed, notCarried);
}

/** The same as changes, each by itself. */
export function putsOf({ page, start, end, ...rule }: PackedPuts): readonly GuardedPut[] {
  return page.records.slice(start, end).map(({ key, value, expiresAtMs }) => ({
    kind: 'put',
    key: toTargetKey(rule, key),
    value,
    expiresAtMs,
    expect: 'absent',
  }));
}
