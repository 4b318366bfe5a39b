/**
 * A file that comes into being whole or not at all, and never in the place of another.
 *
 *     content ──► .NAME.UNIQUE.part, for its owner only ──fsync──► link as NAME ──► fsync of the folder
 *
 * A link is made only if nothing has the name: no moment lies between looking and writing. What a kill leaves is a part
 * file, which the next try removes.
 */
import { randomUUID } from 'node:crypto';
import { constants, existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KeyferryError, type Position } from '@keyferry/core';

export interface PartFile {
  /** Of its content, as the position of a file is. */
  readonly digest: Position;
  /** @returns false, and nothing done, when the name is taken. */
  publish(): boolean;
  remove(): Promise<void>;
}

/** Writes the content of an empty file; @returns its digest */
export type FillPart = (handle: FileHandle) => Promise<Position>;

/** @throws {KeyferryError} `file.unwritable` */
export async function writePart(file: string, fill: FillPart): Promise<PartFile> {
  const path = join(dirname(file), `.${basename(file)}.${randomUUID()}.part`);
  const remove = (): Promise<void> => rm(path, { force: true });
  try {
    await removeParts(file);
    const digest = await write(path, fill);
    return { digest, publish: () => publish(file, path), remove };
  } catch (error) {
    await remove();
    throw error instanceof KeyferryError ? error : unwritable(file, error);
  }
}

/** Those that an earlier try left. A try that still runs finds its own gone, and fails. */
export async function removeParts(file: string): Promise<void> {
  const [folder, start] = [dirname(file), `.${basename(file)}.`];
  for (const name of await readdir(folder)) {
    const middle = name.startsWith(start) && name.endsWith('.part') ? name.slice(start.length, -'.part'.length) : '';
    if (/^[0-9a-f-]{36}$/.test(middle)) await rm(join(folder, name), { force: true });
  }
}

/** Makes a new name, or its end, last through a power cut. Not every platform lets a folder be opened. */
export async function syncFolderOf(file: string): Promise<void> {
  const handle = await open(dirname(file), 'r').catch(() => null); // Windows: EISDIR or EPERM
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

async function write(path: string, fill: FillPart): Promise<Position> {
  const { O_CREAT, O_EXCL, O_RDWR } = constants;
  const handle = await open(path, O_CREAT | O_EXCL | O_RDWR, 0o600);
  try {
    const digest = await fill(handle);
    await handle.sync();
    return digest;
  } finally {
    await handle.close();
  }
}

function publish(file: string, part: string): boolean {
  try {
    linkSync(part, file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EEXIST') return false;
    // A filesystem without links (FAT, some network ones): the name is looked for, then taken.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw unwritable(file, error);
    if (existsSync(file)) return false;
    renameSync(part, file);
  }
  rmSync(part, { force: true });
  return true;
}

function unwritable(file: string, cause: unknown): KeyferryError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new KeyferryError('file.unwritable', { file, detail }, { cause });
}
