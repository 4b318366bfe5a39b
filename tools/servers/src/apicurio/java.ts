/**
 * Finds a Java that is new enough, wherever this machine keeps its own: named by a variable, in the PATH, or in the
 * directory where Debian's and other packages put them. The oldest that will do is taken: it is the nearest to what the
 * servers were released for.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

interface FoundJava {
  readonly program: string;
  readonly version: number;
}

let found: readonly FoundJava[] | undefined;

/** @param least major version @returns the program, or `undefined`: there is none */
export function findJava(least: number): string | undefined {
  const named = process.env['KEYFERRY_JAVA'];
  if (named !== undefined && named !== '') return (versionOf(named) ?? 0) >= least ? named : undefined;
  found ??= candidates().flatMap((program) => {
    const version = versionOf(program);
    return version === undefined ? [] : [{ program, version }];
  });
  return found.filter(({ version }) => version >= least).toSorted((a, b) => a.version - b.version)[0]?.program;
}

function candidates(): readonly string[] {
  const home = process.env['JAVA_HOME'];
  const installed = '/usr/lib/jvm';
  return [
    ...(home === undefined || home === '' ? [] : [join(home, 'bin', 'java')]),
    'java',
    ...namesIn(installed).map((name) => join(installed, name, 'bin', 'java')),
  ];
}

function versionOf(program: string): number | undefined {
  const { status, stderr, error } = spawnSync(program, ['-version'], { encoding: 'utf8' });
  if (error !== undefined || status !== 0) return undefined;
  const version = /version "(\d+)/.exec(stderr)?.[1];
  return version === undefined ? undefined : Number(version);
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch {
    return [];
  }
}
