/**
 * CRC-32C (Castagnoli), as a running value: what etcd guards its log and its snapshots with.
 *
 * `zlib.crc32` is the other polynomial (IEEE), so this is by hand: eight tables, eight bytes a step, which keeps the
 * check well below the cost of reading the bytes from a disk.
 */
const polynomial = 0x82f63b78; // reflected
const tables = buildTables();
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** A window of a file is asked about record by record: a view costs more than a short one. */
let viewed: Uint8Array = new Uint8Array();
let view: DataView = new DataView(viewed.buffer);

/**
 * @param crc the value so far; 0 at the start. `crc32c(crc32c(0, a), b)` is the value of `a` followed by `b`.
 * @returns an unsigned 32-bit number
 */
export function crc32c(crc: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  return crc32cWord(crc, bytes, start, end) >>> 0;
}

/** As `crc32c`, with a sign, as which every value is a small integer of V8's. */
export function crc32cWord(crc: number, bytes: Uint8Array, start: number, end: number): number {
  if (bytes !== viewed) {
    viewed = bytes;
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  const words = view;
  let c = ~crc;
  let at = start;
  for (const last = end - 7; at < last; at += 8) {
    c ^= words.getInt32(at, true);
    const high = words.getInt32(at + 4, true);
    c =
      (t7[c & 0xff] as number) ^
      (t6[(c >>> 8) & 0xff] as number) ^
      (t5[(c >>> 16) & 0xff] as number) ^
      (t4[c >>> 24] as number) ^
      (t3[high & 0xff] as number) ^
      (t2[(high >>> 8) & 0xff] as number) ^
      (t1[(high >>> 16) & 0xff] as number) ^
      (t0[high >>> 24] as number);
  }
  for (; at < end; at += 1) c = (t0[(c ^ (bytes[at] as number)) & 0xff] as number) ^ (c >>> 8);
  return ~c;
}

function buildTables(): readonly Int32Array[] {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    let c = byte;
    for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
    first[byte] = c;
  }
  const all = [first];
  for (let table = 1; table < 8; table += 1) {
    const before = all[table - 1] as Int32Array;
    all.push(before.map((c) => (first[c & 0xff] as number) ^ (c >>> 8)));
  }
  return all;
}
