/**
 * Builds the programs of a release from its source, for releases that no package holds: Go's own client fetches the modules, by
 * the settings of this machine, and go.sum pins the content of each of them. Built once a machine, into the cache.
 *
 * With the Go that is installed, and no other: a toolchain that is fetched unasked would be a program that nothing pins.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache-directory.ts';
import type { GoServer } from '../server-definition.ts';
import type { FetchOutcome } from './debian-package.ts';
import { withFileLock } from './file-lock.ts';

const run = promisify(execFile);

/** Safe to call from any number of processes at once. Failures are values, never thrown. Takes minutes the first time. */
export async function buildPrograms(name: string, server: GoServer): Promise<FetchOutcome> {
  const { moduleDirectory, programs, goPackages } = server;
  const directory = await directoryOf(name, server);
  if (existsSync(directory)) return { kind: 'ready', directory };
  return await withFileLock(`${directory}.lock`, async () => {
    if (existsSync(directory)) return { kind: 'ready', directory };
    const work = await mkdtemp(`${directory}.tmp-`);
    try {
      for (const [i, program] of programs.entries()) {
        const failure = await build(moduleDirectory, goPackages[i] ?? '', join(work, program));
        if (failure !== undefined)
          return { kind: 'unavailable', reason: `${program} was not built: ${failure}`, hint: '.' };
      }
      await rename(work, directory);
      return { kind: 'ready', directory };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

/** Whether `buildPrograms` would find it in the cache. */
export async function isBuilt(name: string, server: GoServer): Promise<boolean> {
  return existsSync(await directoryOf(name, server));
}

/** Another one for each set of pins. */
async function directoryOf(name: string, { version, moduleDirectory }: GoServer): Promise<string> {
  const pins = createHash('sha256').update(await readFile(join(moduleDirectory, 'go.sum')));
  pins.update(await readFile(join(moduleDirectory, 'go.mod')));
  return join(cacheDirectory(), `${name}-${version}-${process.arch}-${pins.digest('hex').slice(0, 12)}`);
}

/** @returns why it failed; `undefined`: the program is there */
async function build(moduleDirectory: string, goPackage: string, program: string): Promise<string | undefined> {
  const flags = ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags=-s -w'];
  try {
    const env = { ...process.env, GOTOOLCHAIN: 'local', GOWORK: 'off' };
    await run('go', ['build', ...flags, '-o', program, goPackage], { cwd: moduleDirectory, env });
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'this machine has no go';
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    // The address is dropped: the reason ends up in test reports, which outlive the machine they were written on.
    return (stderr.split('\n').at(-1) ?? '').replace(/"?https?:\/\/\S+/g, '');
  }
}
