/** Files that are there whole or not at all: written beside their place and then put into it. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { KeyferryError } from '@keyferry/core';

/** @throws {KeyferryError} `file.unwritable` */
export async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}.part`;
  try {
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, file);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined); // the failure that is told is the first one
    const detail = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new KeyferryError('file.unwritable', { file, detail }, { cause });
  }
}
