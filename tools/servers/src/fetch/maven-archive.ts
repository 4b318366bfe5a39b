/**
 * Downloads one pinned archive by Maven's own client, so that the repository, mirror and proxy of this machine's settings
 * apply without being told twice, and unpacks it into the cache.
 *
 * The plugin is pinned like the archive: what "copy" does must not change under a test bench.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache-directory.ts';
import type { MavenServer } from '../server-definition.ts';
import type { FetchOutcome } from './debian-package.ts';
import { withFileLock } from './file-lock.ts';

const run = promisify(execFile);
const copyGoal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';

/** Safe to call from any number of processes at once. Failures of network or checksum are values, never thrown. */
export async function fetchArchive(name: string, definition: MavenServer): Promise<FetchOutcome> {
  const { version, artifact, sha256, parentLacking } = definition;
  const directory = join(cacheDirectory(), `${name}-${version}-${sha256.slice(0, 12)}`);
  if (existsSync(directory)) return { kind: 'ready', directory };
  return await withFileLock(`${directory}.lock`, async () => {
    if (existsSync(directory)) return { kind: 'ready', directory };
    await mkdir(dirname(directory), { recursive: true });
    const [work, repository] = await Promise.all([mkdtemp(`${directory}.tmp-`), mkdtemp(`${directory}.repository-`)]);
    try {
      const options = parentLacking === undefined ? [] : await standInFor(parentLacking, repository);
      const failure = await copy(artifact, work, options);
      if (failure !== undefined) return refuse(`${artifact} could not be fetched: ${failure}`);
      const [file] = (await readdir(work)).map((each) => join(work, each));
      if (file === undefined) return refuse(`Maven fetched nothing for ${artifact}`);
      const actual = await sha256Of(file);
      if (actual !== sha256) return refuse(`the SHA-256 of ${artifact} is ${actual} instead of ${sha256}`);
      const root = join(work, 'root');
      await mkdir(root);
      await run('tar', ['-xzf', file, '-C', root]);
      await rename(root, directory);
      return { kind: 'ready', directory };
    } catch (error) {
      return refuse(`unpacking ${name} failed: ${firstLine(error)}`);
    } finally {
      await Promise.all([work, repository].map((path) => rm(path, { recursive: true, force: true })));
    }
  });
}

/**
 * Maven reads an artifact's parents before it fetches the artifact, whatever is asked of it. The empty one is put where a local
 * repository has it, and into one of its own, so that no other build on this machine ever meets it.
 * @returns options that have Maven look there
 */
async function standInFor(coordinates: string, repository: string): Promise<readonly string[]> {
  const [group = '', artifact = '', version = ''] = coordinates.split(':');
  const directory = join(repository, ...group.split('.'), artifact, version);
  await mkdir(directory, { recursive: true });
  const names = `<groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>`;
  const pom = `<project><modelVersion>4.0.0</modelVersion>${names}<packaging>pom</packaging></project>\n`;
  await writeFile(join(directory, `${artifact}-${version}.pom`), pom);
  return [`-Dmaven.repo.local=${repository}`];
}

/** @returns why it failed; `undefined`: the archive is in the directory */
async function copy(artifact: string, directory: string, more: readonly string[]): Promise<string | undefined> {
  const options = ['--batch-mode', '--no-transfer-progress', '--quiet', ...more];
  try {
    await run('mvn', [...options, copyGoal, `-Dartifact=${artifact}`, `-DoutputDirectory=${directory}`]);
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'this machine has no mvn';
    const stdout = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    const line = stdout.split('\n').find((text) => text.includes('[ERROR]')) ?? firstLine(error);
    // The address is dropped: the reason ends up in test reports, which outlive the machine they were written on.
    return line.replace(/\[ERROR\]\s*/, '').replace(/\(?https?:\/\/\S+/g, '');
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function refuse(reason: string): FetchOutcome {
  return { kind: 'unavailable', reason, hint: '.' };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
