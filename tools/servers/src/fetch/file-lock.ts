/**
 * A lock between processes, so that a test run with many workers downloads each server once.
 *
 * It only saves work and never guards correctness: what it protects ends in an atomic rename. That is why the removal of
 * a dead owner's lock may be simple; two waiters can, rarely, both get in, and then one download is thrown away.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processIdentity } from '../process/process-identity.ts';

export async function withFileLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const owner = `${process.pid} ${processIdentity(process.pid) ?? ''}`;
  while (!(await tryCreate(path, owner))) {
    if (!(await isHeld(path))) await rm(path, { force: true });
    else await delay(100);
  }
  try {
    return await action();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryCreate(path: string, owner: string): Promise<boolean> {
  try {
    await writeFile(path, owner, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function isHeld(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return true; // just released: come round again
  // Created and not yet written. Its owner may have died in between, so believe that only for a moment.
  if (text === '')
    return await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs < 5000,
      () => true,
    );
  const [pid = '', ...identity] = text.split(' ');
  return processIdentity(Number(pid)) === identity.join(' ');
}
