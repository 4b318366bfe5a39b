/** What reading a data directory fails with, in keyferry's codes. A file is named with its path, a place in it in bytes. */
import { KeyferryError } from '@keyferry/core';

/** @param offset of the record or field that is wrong, in bytes from the start of the file */
export function damaged(
  file: string,
  offset: number,
  detail: string,
  cause?: unknown,
): KeyferryError<'datadir.damaged'> {
  return new KeyferryError('datadir.damaged', { file, offset, detail }, { cause });
}

export function incomplete(directory: string, detail: string): KeyferryError<'datadir.incomplete'> {
  return new KeyferryError('datadir.incomplete', { directory, detail });
}

export function inUse(directory: string, detail: string): KeyferryError<'datadir.in-use'> {
  return new KeyferryError('datadir.in-use', { directory, detail });
}

/** Whatever the file system answers. */
export async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unreadable', { file, detail }, { cause: error });
  }
}
