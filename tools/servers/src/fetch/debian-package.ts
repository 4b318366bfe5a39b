/**
 * Brings pinned Debian packages into the cache and unpacks them there. Nothing is installed, and no root is needed.
 *
 *     download to a temporary name ──► checksum ──► unpack to a temporary directory ──► rename into place
 *
 * The download is left to apt's own client, which honours the machine's proxy, credentials and policy. The last step is
 * one rename, so a half-made directory is never seen under its final name, whoever is interrupted or runs beside us.
 */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache-directory.ts';
import type { DebianPackage, DebianServer } from '../server-definition.ts';
import { withFileLock } from './file-lock.ts';
import { machineMirrors } from './machine-mirrors.ts';

export type FetchOutcome =
  | { readonly kind: 'ready'; readonly directory: string }
  /** `hint` ends the sentence of the remedy and says what else would help. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly hint: string };

const run = promisify(execFile);
const APT_HELPER = '/usr/lib/apt/apt-helper';
const HINT = ', or set KEYFERRY_DEBIAN_MIRROR to a mirror that has it.';

/** Safe to call from any number of processes at once. Failures of network or checksum are values, never thrown. */
export async function fetchPackages(name: string, definition: DebianServer): Promise<FetchOutcome> {
  const architecture = debianArchitecture();
  const pins = definition.packages.map((wanted) => ({ wanted, sha256: wanted.sha256[architecture] }));
  const directory = directoryFor(name, definition, pins.map(({ sha256 }) => sha256 ?? '').join());
  if (existsSync(directory)) return { kind: 'ready', directory };

  const missing = pins.find(({ sha256 }) => sha256 === undefined);
  if (missing !== undefined || process.platform !== 'linux') {
    return refuse(`there is no pinned ${name} package for ${process.platform} on ${process.arch}`, '.');
  }
  if (!existsSync(APT_HELPER)) return refuse('this machine has no apt to fetch packages with', '.');
  const mirrors = machineMirrors();
  if (mirrors.length === 0) return refuse("this machine's apt sources name no Debian mirror", HINT);

  return withFileLock(`${directory}.lock`, async () => {
    if (existsSync(directory)) return { kind: 'ready', directory };
    const work = await mkdtemp(`${directory}.tmp-`);
    try {
      const root = join(work, 'root');
      await mkdir(root);
      for (const { wanted, sha256 = '' } of pins) {
        const file = join(work, `${wanted.name}.deb`);
        const failure = await download(mirrors, wanted, architecture, sha256, file);
        if (failure !== undefined)
          return refuse(`${wanted.name} ${wanted.version} could not be fetched: ${failure}`, HINT);
        await run('dpkg-deb', ['--extract', file, root]);
      }
      await rename(root, directory);
      return { kind: 'ready', directory };
    } catch (error) {
      return refuse(`unpacking ${name} failed: ${firstLine(error)}`, '.');
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

/** Tries each mirror in turn. @returns why the last one failed, or `undefined` once the verified file is at `file`. */
async function download(
  mirrors: readonly string[],
  wanted: DebianPackage,
  architecture: string,
  sha256: string,
  file: string,
): Promise<string | undefined> {
  let failure = 'no mirror was asked';
  for (const mirror of mirrors) {
    const url = `${mirror}/${poolPath(wanted, architecture)}`;
    const options = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=20', '-o', 'Acquire::https::Timeout=20'];
    const partial = `${file}.${randomUUID()}`;
    try {
      await run(APT_HELPER, [...options, 'download-file', url, partial, `SHA256:${sha256}`]);
    } catch (error) {
      failure = aptFailure(error);
      continue;
    }
    // Checked here as well: apt's own check is only as good as the argument above, and this is the line of defence.
    const actual = createHash('sha256')
      .update(await readFile(partial))
      .digest('hex');
    if (actual === sha256) {
      await rename(partial, file);
      return undefined;
    }
    failure = `its SHA-256 is ${actual} instead of ${sha256}`;
  }
  return failure;
}

/** Debian policy: pool/<component>/<first letter>/<source>/<package>_<version without epoch>_<architecture>.deb */
export function poolPath({ source, name, version }: DebianPackage, architecture: string): string {
  const prefix = source.startsWith('lib') ? source.slice(0, 4) : source.slice(0, 1);
  return `pool/main/${prefix}/${source}/${name}_${version.replace(/^\d+:/, '')}_${architecture}.deb`;
}

/** A changed pin gets a new directory, so that two checkouts with different pins can share the cache. */
function directoryFor(name: string, definition: DebianServer, pins: string): string {
  const fingerprint = createHash('sha256').update(pins).digest('hex').slice(0, 12);
  return join(cacheDirectory(), `${name}-${definition.version}-${debianArchitecture()}-${fingerprint}`);
}

function debianArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

function refuse(reason: string, hint: string): FetchOutcome {
  return { kind: 'unavailable', reason, hint };
}

function aptFailure(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
  const line = stderr.split('\n').find((text) => text.startsWith('E:'));
  // The address is dropped: the reason ends up in test reports, which outlive the machine they were written on.
  return (
    line
      ?.slice(2)
      .replace(/https?:\/\/\S+/g, '')
      .replace(/\[IP:[^\]]*\]/g, '') ?? firstLine(error)
  )
    .replace(/\s+/g, ' ')
    .trim();
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
