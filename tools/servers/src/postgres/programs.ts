/**
 * Runs PostgreSQL's programs as somebody who may: the server and initdb refuse root, so root hands them to `nobody`.
 *
 *     not root           the programs where they are, as the user of this process
 *     root               setpriv --reuid nobody; the programs copied to where nobody can read them, if need be
 *
 * The usual cache is below /root, which only root may enter; the copy lies in the server's own directory and goes with it.
 * The programs find their own files (time zones, catalogs) by where they lie, so the whole tree keeps its shape.
 */
import { execFile, spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { asUser, type UnprivilegedUser } from '../process/child.ts';
import { ServerError } from '../server-error.ts';

export interface Programs {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Whose the data has to be; `undefined`: of the user of this process. */
  readonly user: UnprivilegedUser | undefined;
}

/** `nobody` and `nogroup`, which every Debian has by these numbers. */
const nobody: UnprivilegedUser = { uid: 65_534, gid: 65_534 };
const run = promisify(execFile);

/** @param directory the server's own, where a copy may go */
export async function preparePrograms(programDirectory: string, directory: string): Promise<Programs> {
  const user = process.getuid?.() === 0 ? nobody : undefined;
  if (user === undefined) return programsAt(programDirectory, user);
  await chmod(directory, 0o711); // made for its owner alone, and nobody has to get through
  if (mayRun(join(programDirectory, 'postgres'), user)) return programsAt(programDirectory, user);
  const root = rootOf(programDirectory);
  const copy = join(directory, 'programs');
  await mkdir(copy, { mode: 0o755 });
  await copyTree(join(root, 'usr'), copy);
  return programsAt(join(copy, programDirectory.slice(root.length)), user);
}

/** Files are linked where that can be: nobody writes to them, and a hundred megabytes would take a second. */
async function copyTree(from: string, into: string): Promise<void> {
  const copy = (how: string) => run('cp', ['--archive', how, from, into]);
  await copy('--link').catch(async () => {
    await rm(into, { recursive: true, force: true }); // another file system, and what was begun there
    await mkdir(into, { mode: 0o755 });
    await copy('--reflink=auto');
  });
}

/** Runs one program to its end. @throws {ServerError} `server.command-failed` with what it said. */
export async function runProgram(
  { directory, environment, user }: Programs,
  program: string,
  args: readonly string[],
): Promise<string> {
  const path = join(directory, program);
  const words = user === undefined ? [path, ...args] : ['setpriv', ...asUser(user), '--', path, ...args];
  const [first = path, ...rest] = words;
  try {
    const options = { env: environment, cwd: user === undefined ? process.cwd() : '/', maxBuffer: 64 * 1024 * 1024 };
    return (await run(first, rest, options)).stdout;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new ServerError('server.command-failed', `${program} failed: ${said}`, 'See what it says above.', error);
  }
}

/** Makes a directory, or takes one over, for whoever runs the server. */
export async function ownDirectory(path: string, { user }: Programs): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(path, user.uid, user.gid);
}

function programsAt(directory: string, user: UnprivilegedUser | undefined): Programs {
  // PG* variables would silently act as options of every program here.
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  const environment = { ...Object.fromEntries(kept), LD_LIBRARY_PATH: libraryPath(directory), LC_ALL: 'C', TZ: 'UTC' };
  return { directory, environment, user };
}

/** Of the libraries that came with the programs. */
export function libraryPath(programDirectory: string): string {
  return join(rootOf(programDirectory), 'usr', 'lib', process.arch === 'arm64' ? aarch64 : x86);
}

const x86 = 'x86_64-linux-gnu';
const aarch64 = 'aarch64-linux-gnu';

/** The directory that the packages were unpacked into: above usr/lib/postgresql/15/bin. */
function rootOf(programDirectory: string): string {
  return resolve(programDirectory, '..', '..', '..', '..', '..');
}

function mayRun(program: string, user: UnprivilegedUser): boolean {
  return spawnSync('setpriv', [...asUser(user), '--', 'test', '-x', program]).status === 0;
}
