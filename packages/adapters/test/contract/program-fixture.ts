/** What the tests of programs share: a program in a folder of its own, run on some records. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  keyFromText,
  keyToJson,
  type Key,
  type Moving,
  type ProgramAnswer,
  type ProgramInput,
  type ProgramRecord,
  type StopSignal,
  type Version,
} from '@keyferry/core';
import { Redactor } from '../../src/config/redactor.ts';
import type { ProgramConfig } from '../../src/config/resolved-config.ts';
import { loadProgram } from '../../src/programs/index.ts';
import { diskScratch } from '../../src/spool/record-spool.ts';

/** Far beyond what a slow machine needs for a few records. */
const patienceMs = 60_000;

export interface ProgramUse extends Partial<Omit<ProgramConfig, 'run'>> {
  /** Of a script, with its first line. */
  readonly source: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly nowMs?: number;
  readonly signal?: StopSignal;
}

export const javascript = (body: string): string => `#!/usr/bin/env node\n${body}`;

export class ProgramFolder {
  readonly path: string;
  readonly redactor = new Redactor();

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<ProgramFolder> {
    return new ProgramFolder(await mkdtemp(join(tmpdir(), 'keyferry-program-')));
  }

  /** Runs it to its end. Rejects with what it fails with. */
  async run(
    use: ProgramUse,
    pages: readonly (readonly ProgramInput[])[] | AsyncIterable<readonly ProgramInput[]>,
  ): Promise<readonly ProgramAnswer[]> {
    const { source, args = [], environment = {}, nowMs = 0, signal, ...config } = use;
    await writeFile(join(this.path, 'program'), source);
    await chmod(join(this.path, 'program'), 0o755);
    const { program } = loadProgram(
      { protocol: 'json-lines', files: [], env: [], timeoutMs: patienceMs, ...config, run: ['./program', ...args] },
      {
        migration: 'config',
        directory: this.path,
        redactor: this.redactor,
        env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, ...environment },
      },
    );
    const answers: ProgramAnswer[] = [];
    const input = Symbol.asyncIterator in pages ? pages : oneByOne(pages);
    for await (const page of program.run(input, { scratch: diskScratch, nowMs, signal })) answers.push(...page);
    return answers;
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

async function* oneByOne<T>(pages: readonly T[]): AsyncGenerator<T> {
  for (const page of pages) yield await Promise.resolve(page);
}

/** Key, value, and the index that is its version. */
export function record(key: string, value: string | Uint8Array, index: number, more: Partial<ProgramRecord> = {}) {
  return {
    kind: 'record',
    key: keyFromText(key),
    sourceKey: keyFromText(key),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    version: String(index) as Version,
    created: String(index) as Version,
    expiresAtMs: null,
    ...more,
  } satisfies ProgramRecord;
}

export const directory = (key: string): ProgramInput => ({ kind: 'directory', sourceKey: keyFromText(key) });

export function records(count: number, valueBytes = 10): readonly ProgramRecord[] {
  return Array.from({ length: count }, (_, i) =>
    record(`/config/${String(i).padStart(6, '0')}`, `${i} `.padEnd(valueBytes, 'v'), i + 1),
  );
}

/** An answer in the words of docs/protocols/record-programs.md. */
export function answerJson(answer: ProgramAnswer): object {
  switch (answer.kind) {
    case 'kept':
      return { kept: answer.records.map(movingJson) };
    case 'untraced':
      return { untraced: answer.records.map(movingJson) };
    case 'dropped':
      return { dropped: true };
    case 'failed':
      return { failed: answer.detail };
  }
}

function movingJson({ key, value, expiresAtMs }: Moving): object {
  const valueKey = Buffer.from(value).toString('latin1') as Key;
  const expiresAt = expiresAtMs === null ? null : new Date(expiresAtMs).toISOString();
  return { key: keyToJson(key), value: keyToJson(valueKey), expiresAt };
}
