/**
 * One file that runs on hosts without Node: the pinned node binary with the bundle inside (a "single executable
 * application", nodejs.org/docs/latest-v24.x/api/single-executable-applications.html). For the platform that builds it.
 */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundle } from './bundle.ts';
import { licences } from './licences.ts';

const run = promisify(execFile);

/** Of Node: it looks for this mark to learn that something was put in. */
const sentinelFuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const nodeLicence = `Node.js ${process.version}: see https://github.com/nodejs/node/blob/${process.version}/LICENSE`;

export interface Built {
  readonly file: string;
  readonly bytes: number;
  readonly bundleBytes: number;
}

/**
 * @param folder is created; what was there of an earlier build is replaced
 * @param entry what the file runs; the command line unless given
 */
export async function buildExecutable(
  root: string,
  folder: string,
  entry = join(root, 'packages/cli/src/executable.ts'),
): Promise<Built> {
  await mkdir(folder, { recursive: true });
  const main = join(folder, 'bundle.cjs');
  const packages = await bundle(root, entry, main);
  const blob = join(folder, 'bundle.blob');
  const config = { main, output: blob, disableExperimentalSEAWarning: true, useCodeCache: true };
  await writeFile(join(folder, 'sea.json'), JSON.stringify(config));
  await run(process.execPath, ['--experimental-sea-config', join(folder, 'sea.json')]);
  const file = join(folder, process.platform === 'win32' ? 'keyferry.exe' : 'keyferry');
  await copyFile(process.execPath, file);
  await chmod(file, 0o755);
  const isMac = process.platform === 'darwin';
  // A signature does not survive a change; an unsigned program does not start on macOS.
  if (isMac) await run('codesign', ['--remove-signature', file]);
  // A process of its own: it prints a warning for each note of the binary that it keeps as it is.
  const inject = fileURLToPath(import.meta.resolve('postject/dist/cli.js'));
  const segment = isMac ? ['--macho-segment-name', 'NODE_SEA'] : [];
  await run(process.execPath, [inject, file, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', sentinelFuse, ...segment]);
  if (isMac) await run('codesign', ['--sign', '-', file]);
  await writeFile(join(folder, 'THIRD-PARTY-LICENSES.txt'), await licences(root, packages, [nodeLicence]));
  return { file, bytes: (await stat(file)).size, bundleBytes: (await stat(main)).size };
}
