/**
 * How a body is kept: a short one as readable JSON, a longer one as gzip of it, and what is too large even so in parts.
 * A write unit is a kilobyte, and plans compress to a tenth. gzip ends in a checksum, so a body that was put together
 * from the wrong parts is found out and not read.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

const plainBytesMax = 8 * 1024;
/** An item may have 400 KB, its names and keys included. */
export const partBytesMax = 300 * 1024;

export type PackedBody =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'gzip'; readonly bytes: Uint8Array }
  | { readonly kind: 'parts'; readonly parts: readonly Uint8Array[] };

export async function packBody(text: string): Promise<PackedBody> {
  if (Buffer.byteLength(text) <= plainBytesMax) return { kind: 'text', text };
  const bytes = await compress(text);
  if (bytes.length <= partBytesMax) return { kind: 'gzip', bytes };
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += partBytesMax) parts.push(bytes.subarray(at, at + partBytesMax));
  return { kind: 'parts', parts };
}

/** @throws whatever zlib does, when the bytes are not what was packed. */
export async function unpack(bytes: Uint8Array): Promise<string> {
  return (await decompress(bytes)).toString();
}
