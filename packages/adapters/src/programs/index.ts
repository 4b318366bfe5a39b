/** Programs of the user's among the rules; see README.md. */
import {
  KeyferryError,
  type ProgramAnswer,
  type ProgramInput,
  type ProgramRun,
  type RecordProgram,
} from '@keyferry/core';
import type { Redactor } from '../config/redactor.ts';
import type { ProgramConfig } from '../config/resolved-config.ts';
import { runJsonLines } from './json-lines-protocol.ts';
import { runMigrate } from './migrate-protocol.ts';
import { programDigest, programName, programPath } from './program-files.ts';
import { ProgramProcess } from './program-process.ts';

export interface ProgramContext {
  readonly migration: string;
  /** What relative paths are relative to, and where the program is started. */
  readonly directory: string;
  readonly redactor: Redactor;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface LoadedProgram {
  /** As the configuration names it. */
  readonly name: string;
  readonly program: RecordProgram;
  /** Of the files that it consists of, as they were when it was loaded. */
  readonly digest: string;
}

/** @throws {KeyferryError} `program.unusable` */
export function loadProgram(config: ProgramConfig, context: ProgramContext): LoadedProgram {
  programPath(context.directory, config);
  const digest = programDigest(context.directory, config);
  const name = `program ${config.run.join(' ')} (${config.protocol})`;
  return {
    name: programName(config),
    digest,
    program: { name, run: (pages, run) => runProgram(config, digest, context, pages, run) },
  };
}

async function* runProgram(
  config: ProgramConfig,
  digest: string,
  context: ProgramContext,
  pages: AsyncIterable<readonly ProgramInput[]>,
  run: ProgramRun,
): AsyncGenerator<readonly ProgramAnswer[]> {
  const { directory, redactor, migration } = context;
  const [program, ...args] = config.run;
  assertUnchanged(config, digest, directory);
  const process = new ProgramProcess({
    program: program ?? '',
    path: programPath(directory, config),
    args,
    directory,
    environment: environmentOf(config, context),
    timeoutMs: config.timeoutMs,
    redactor,
    signal: run.signal,
  });
  try {
    if (config.protocol === 'json-lines') yield* runJsonLines(process, pages, migration);
    else yield* runMigrate(process, pages, run);
    assertUnchanged(config, digest, directory);
  } finally {
    await process.close();
  }
}

/** The files may have been replaced since they were hashed. */
function assertUnchanged(config: ProgramConfig, digest: string, directory: string): void {
  if (programDigest(directory, config) === digest) return;
  const detail = 'its files were changed while the command ran';
  throw new KeyferryError('program.unusable', { program: programName(config), detail });
}

/** PATH, so that a script finds its interpreter; the rest is the same on every machine, or asked for by name. */
function environmentOf({ env: names }: ProgramConfig, { env, redactor }: ProgramContext): Record<string, string> {
  const environment: Record<string, string> = { PATH: env['PATH'] ?? '', LANG: 'C.UTF-8', TZ: 'UTC' };
  for (const name of names) {
    const value = env[name];
    if (value === undefined) continue;
    // Whatever is handed on like this may be a secret.
    redactor.add(value);
    environment[name] = value;
  }
  return environment;
}
