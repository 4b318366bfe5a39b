/**
 * Parameters that are arrays, in PostgreSQL's binary form (src/backend/utils/adt/arrayfuncs.c, array_recv): one parameter
 * for a column of a batch, whatever its size, and bytes as they are instead of in two digits each.
 */
const oids = { bytea: 17, text: 25, int4: 23 } as const;

export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  return arrayOf(oids.bytea, values);
}

export function textArray(values: readonly (string | null)[]): Buffer {
  return arrayOf(
    oids.text,
    values.map((value) => (value === null ? null : Buffer.from(value, 'utf8'))),
  );
}

export function intArray(values: readonly number[]): Buffer {
  return arrayOf(
    oids.int4,
    values.map((value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(value);
      return bytes;
    }),
  );
}

const headLength = 20;

function arrayOf(oid: number, values: readonly (Uint8Array | null)[]): Buffer {
  const length = values.reduce((sum, value) => sum + 4 + (value?.length ?? 0), headLength);
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeInt32BE(1, 0); // dimensions
  bytes.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  bytes.writeInt32BE(oid, 8);
  bytes.writeInt32BE(values.length, 12);
  bytes.writeInt32BE(1, 16); // it counts from 1
  let at = headLength;
  for (const value of values) {
    bytes.writeInt32BE(value === null ? -1 : value.length, at);
    at += 4;
    if (value === null) continue;
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}
