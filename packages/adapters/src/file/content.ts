/**
 * The bytes of a file as a stream: unpacked if it is packed, digested on the way, and the same from start to end.
 *
 * The digest is of the unpacked content: it is the file's position, and packing a file again changes nothing in it.
 * A file that changes while it is read would give half of one state and half of another, so its size and times are
 * compared before and after (a file that is replaced by a rename stays whole: the old one is read to its end).
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { KeyferryError, type Position } from '@keyferry/core';

const pieceBytes = 256 * 1024;
const gzipMagic = [0x1f, 0x8b] as const;

/**
 * Calls `take` for every piece of the content. A piece is only good until the next one.
 * @throws {KeyferryError} `file.unreadable`; whatever `take` throws passes through.
 */
export async function readContent(file: string, take: (piece: Uint8Array) => void): Promise<Position> {
  const handle = await reading(file, () => open(file, 'r'));
  let pieces: AsyncIterator<Uint8Array> | null = null;
  try {
    const before = await reading(file, () => handle.stat({ bigint: true }));
    if (!before.isFile()) throw unreadable(file, 'it is not a regular file');
    const hash = createHash('sha256');
    const source = (pieces = await unpacked(file, handle));
    for (;;) {
      const next = await reading(file, () => source.next());
      if (next.done === true) break;
      hash.update(next.value);
      take(next.value);
    }
    const after = await reading(file, () => handle.stat({ bigint: true }));
    if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
      throw unreadable(file, 'it was changed while it was read');
    }
    return `sha256:${hash.digest('hex')}` as Position;
  } finally {
    await pieces?.return?.();
    await handle.close();
  }
}

/** Packed or not is seen from the first two bytes: a name can be wrong. */
async function unpacked(file: string, handle: FileHandle): Promise<AsyncIterator<Uint8Array>> {
  const head = Buffer.alloc(gzipMagic.length);
  const { bytesRead } = await reading(file, () => handle.read(head, 0, head.length, 0));
  const packed = bytesRead === gzipMagic.length && gzipMagic.every((byte, at) => head[at] === byte);
  const raw = handle.createReadStream({ start: 0, autoClose: false, highWaterMark: pieceBytes });
  if (!packed) return iterator(raw);
  const unpacker = createGunzip({ chunkSize: pieceBytes });
  raw.on('error', (error) => unpacker.destroy(error));
  return iterator(raw.pipe(unpacker));
}

function iterator(stream: AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> {
  return stream[Symbol.asyncIterator]();
}

async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw unreadable(file, error instanceof Error ? error.message : String(error), error);
  }
}

function unreadable(file: string, detail: string, cause?: unknown): KeyferryError {
  return new KeyferryError('file.unreadable', { file, detail }, { cause });
}
