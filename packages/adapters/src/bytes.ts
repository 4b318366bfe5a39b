/** Few bytes at a time, where a call into Node costs more than the bytes do. */

/** Up to here a loop is faster than a call that copies. */
const loopBytesMax = 256;

export const noBytes = Buffer.alloc(0);

/** Node's own slice, which its types leave out: half the cost of `toString` with a name to look up. */
interface Latin1 {
  latin1Slice(start: number, end: number): string;
}

/** As a byte string: each unit is one byte. */
export function byteString(bytes: Buffer, start: number, end: number): string {
  return start === end ? '' : (bytes as Buffer & Latin1).latin1Slice(start, end);
}

const scratch = Buffer.alloc(256);

/** A byte string as bytes, from the start of what is returned on; good until the next call. */
export function textBytes(text: string): Buffer {
  if (text.length > scratch.length) return Buffer.from(text, 'latin1');
  scratch.write(text, 0, 'latin1');
  return scratch;
}

/** Into a buffer that has room for it. */
export function copyBytes(from: Buffer, start: number, end: number, into: Buffer, at: number): void {
  const length = end - start;
  if (length > loopBytesMax) from.copy(into, at, start, end);
  else for (let i = 0; i < length; i += 1) into[at + i] = from[start + i] as number;
}

/** 32 bits with a sign, for tables in memory: FNV-1a, mixed once more for its low bits. */
export function hashOfBytes(bytes: Buffer, from: number, end: number, seed: number): number {
  let hash = Math.imul(0x811c9dc5 ^ seed, 0x01000193);
  for (let i = from; i < end; i += 1) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 12);
}

/** A byte string, into a buffer that has room for it. @returns where it ends there */
export function writeByteString(text: string, into: Buffer, at: number): number {
  const { length } = text;
  if (length > loopBytesMax) into.write(text, at, 'latin1');
  else for (let i = 0; i < length; i += 1) into[at + i] = text.charCodeAt(i);
  return at + length;
}
