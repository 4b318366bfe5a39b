/**
 * Which program a rule means, and the digest of the files that it consists of: its own, and those that the rule lists.
 *
 * A program is named by a path and never looked up in PATH, so that what is hashed is what is started. What it loads
 * besides (an interpreter, libraries of the system) is not hashed; whoever wants more of it pinned lists it in `files`.
 * It is hashed before each start and after each end: one that was replaced in between has made what no plan knows of.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { canonicalJson, KeyferryError } from '@keyferry/core';
import type { ProgramConfig } from '../config/resolved-config.ts';

/** The path to start. @throws {KeyferryError} `program.unusable` */
export function programPath(directory: string, config: ProgramConfig): string {
  const name = programName(config);
  const path = resolve(directory, name);
  reading(name, name, () => {
    if (!statSync(path).isFile())
      throw new KeyferryError('program.unusable', { program: name, detail: 'it is no file' });
    accessSync(path, constants.X_OK);
  });
  return path;
}

/** @throws {KeyferryError} `program.unusable` */
export function assertUsable(config: ProgramConfig, directory: string): void {
  programPath(directory, config);
  programDigest(directory, config);
}

/** As the configuration names it. */
export const programName = ({ run: [program = ''] }: ProgramConfig): string => program;

/** SHA-256 in hexadecimal digits, the same in every checkout. @throws {KeyferryError} `program.unusable` */
export function programDigest(directory: string, config: ProgramConfig): string {
  const name = programName(config);
  const named = [name, ...config.files].flatMap((file) => filesAt(name, directory, file));
  const contents = [...new Set(named)].toSorted().map((file) => {
    const bytes = reading(name, file, () => readFileSync(resolve(directory, file)));
    return [file, createHash('sha256').update(bytes).digest('hex')];
  });
  return createHash('sha256').update(canonicalJson(contents)).digest('hex');
}

/** A file is itself; a directory is all files in it. */
function filesAt(program: string, directory: string, path: string): readonly string[] {
  const absolute = resolve(directory, path);
  return reading(program, path, () => {
    if (!statSync(absolute).isDirectory()) return [path];
    const within = readdirSync(absolute, { recursive: true, encoding: 'utf8' });
    return within
      .filter((file) => statSync(join(absolute, file)).isFile())
      .map((file) => join(path, file).split(sep).join('/'));
  });
}

function reading<T>(program: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof KeyferryError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const why: Readonly<Record<string, string>> = {
      ENOENT: `there is no ${file}`,
      EACCES: file === program ? 'it may not be executed' : `${file} may not be read`,
    };
    throw new KeyferryError('program.unusable', { program, detail: why[code] ?? `${file}: ${code}` }, { cause });
  }
}
