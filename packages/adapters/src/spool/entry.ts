/**
 * An entry as it lies in memory and on disk, one behind the other: a head of fixed length, then key, value, text, created.
 *
 *     0 keyLength   4 valueLength   8 textLength   12 createdLength   16 expiresAtMs   24 place (48 bits)   30 kind   32 key …
 *
 * Little-endian. The text is the version of a record, or the detail of what is not carried, whose reason is its value.
 */

export const headBytes = 32;

export const kinds = {
  record: 0,
  notCarried: 1,
  /** Not carried, and its key may be another's, so it takes the next one that is free. */
  beside: 2,
  /** Takes the place of a key, and is not there. */
  nothing: 3,
} as const;
export type Kind = (typeof kinds)[keyof typeof kinds];

/** For `createdLength`: it says none. */
const none = 0xff_ff_ff_ff;
const lowFactor = 2 ** 32;

export interface Head {
  readonly keyLength: number;
  readonly valueLength: number;
  readonly textLength: number;
  /** Null: it says none. */
  readonly createdLength: number | null;
  readonly expiresAtMs: number | null;
  /** Where it was found, for whoever added it; less than 2^48. */
  readonly place: number;
  readonly kind: Kind;
}

export function writeHead(view: DataView, at: number, head: Head): void {
  view.setUint32(at, head.keyLength, true);
  view.setUint32(at + 4, head.valueLength, true);
  view.setUint32(at + 8, head.textLength, true);
  view.setUint32(at + 12, head.createdLength ?? none, true);
  view.setFloat64(at + 16, head.expiresAtMs ?? Number.NaN, true);
  view.setUint32(at + 24, head.place % lowFactor, true);
  view.setUint16(at + 28, Math.floor(head.place / lowFactor), true);
  view.setUint16(at + 30, head.kind, true);
}

export const keyLengthAt = (view: DataView, at: number): number => view.getUint32(at, true);
export const valueLengthAt = (view: DataView, at: number): number => view.getUint32(at + 4, true);
export const textLengthAt = (view: DataView, at: number): number => view.getUint32(at + 8, true);
export const kindAt = (view: DataView, at: number): Kind => view.getUint16(at + 30, true) as Kind;
export const placeAt = (view: DataView, at: number): number =>
  view.getUint16(at + 28, true) * lowFactor + view.getUint32(at + 24, true);

export function createdLengthAt(view: DataView, at: number): number | null {
  const length = view.getUint32(at + 12, true);
  return length === none ? null : length;
}

export function expiresAtMsAt(view: DataView, at: number): number | null {
  const expiresAtMs = view.getFloat64(at + 16, true);
  return Number.isNaN(expiresAtMs) ? null : expiresAtMs;
}

/** Of the whole entry, whose head must be there. */
export function entryBytesAt(view: DataView, at: number): number {
  const created = view.getUint32(at + 12, true);
  return (
    headBytes +
    view.getUint32(at, true) +
    view.getUint32(at + 4, true) +
    view.getUint32(at + 8, true) +
    (created === none ? 0 : created)
  );
}

/** Below, at or above zero: as the key of one entry is before, the same as, behind that of another. */
export function compareEntries(a: DataView, aAt: number, b: DataView, bAt: number): number {
  const [aLength, bLength] = [keyLengthAt(a, aAt), keyLengthAt(b, bAt)];
  const shared = sharedKeyBytes(a, aAt, b, bAt, Infinity);
  if (shared === aLength || shared === bLength) return aLength - bLength;
  return a.getUint8(aAt + headBytes + shared) - b.getUint8(bAt + headBytes + shared);
}

/** How many bytes two keys begin with alike, at most `max`. */
export function sharedKeyBytes(a: DataView, aAt: number, b: DataView, bAt: number, max: number): number {
  const [aKey, bKey] = [aAt + headBytes, bAt + headBytes];
  const end = Math.min(keyLengthAt(a, aAt), keyLengthAt(b, bAt), max);
  let shared = 0;
  while (shared + 4 <= end && a.getInt32(aKey + shared) === b.getInt32(bKey + shared)) shared += 4;
  while (shared < end && a.getUint8(aKey + shared) === b.getUint8(bKey + shared)) shared += 1;
  return shared;
}

/** Four bytes of a key from `from` on as a number, the first one highest; zero for what is behind its end. */
export function keyWord(view: DataView, at: number, from: number): number {
  const left = keyLengthAt(view, at) - from;
  const start = at + headBytes + from;
  if (left >= 4) return view.getUint32(start);
  let word = 0;
  for (let i = 0; i < 4; i += 1) word = (word << 8) | (i < left ? view.getUint8(start + i) : 0);
  return word >>> 0;
}

/** Four bytes at a time, into a view that has room for it. For a few hundred bytes quicker than a call into Node. */
export function copyWords(from: DataView, start: number, length: number, into: DataView, at: number): void {
  const words = length & ~3;
  let i = 0;
  for (; i < words; i += 4) into.setInt32(at + i, from.getInt32(start + i));
  for (; i < length; i += 1) into.setUint8(at + i, from.getUint8(start + i));
}
