/**
 * Notes on disk about each running server: what `list` and `stop` read, and what a later run uses to end leftovers.
 *
 *     owner alive ──► in use        owner gone ──► swept: processes killed, directory removed
 *     no owner    ──► detached, lives until `stop`
 *
 * Every process is noted with its identity, and killed only if that still matches (see process-identity.ts).
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../cache-directory.ts';
import { processIdentity } from './process-identity.ts';
import { waitUntil } from './wait-until.ts';

export interface ProcessNote {
  readonly pid: number;
  readonly identity: string;
}

export interface RunRecord {
  /** Short, and unique on this machine: what `stop` takes. */
  readonly id: string;
  readonly kind: string;
  readonly endpoints: readonly string[];
  readonly owner: ProcessNote | undefined;
  readonly processes: readonly ProcessNote[];
  /** Logs, certificates and, unless the caller brought a data directory, the data. Removed with the server. */
  readonly temporaryDirectory: string;
}

export interface OpenRecord {
  readonly id: string;
  write(state: Pick<RunRecord, 'endpoints'> & { readonly pids: readonly number[] }): void;
  /** From now on the server belongs to nobody and lives until `stop`. */
  disown(): void;
  remove(): void;
}

/** Written at once, so that the directory of a start that is killed half-way is known too. */
export function openRecord(kind: string, temporaryDirectory: string): OpenRecord {
  const id = `${kind}-${randomBytes(3).toString('hex')}`;
  const path = join(recordDirectory(), `${id}.json`);
  let record: RunRecord = { id, kind, endpoints: [], owner: note(process.pid), processes: [], temporaryDirectory };
  const update = (change: Partial<RunRecord>): void => {
    record = { ...record, ...change };
    writeFileSync(`${path}.tmp`, JSON.stringify(record, null, 2));
    renameSync(`${path}.tmp`, path);
  };
  update({});
  return {
    id,
    write: ({ endpoints, pids }) => update({ endpoints, processes: pids.flatMap((pid) => note(pid) ?? []) }),
    disown: () => update({ owner: undefined }),
    remove: () => rmSync(path, { force: true }),
  };
}

/** Records of servers of which at least one process still runs. */
export function readRecords(): readonly RunRecord[] {
  return allRecords().filter((record) => record.processes.some(isAlive));
}

/** Ends the processes of one record, gently first, and removes what it left. Safe to repeat. */
export async function endRecord(record: RunRecord, graceMs: number): Promise<void> {
  const signal = (name: NodeJS.Signals): void => record.processes.filter(isAlive).forEach(({ pid }) => send(pid, name));
  const ended = (): boolean => !record.processes.some(isAlive);
  if (graceMs > 0 && !ended()) {
    signal('SIGTERM');
    signal('SIGCONT');
    await waitUntil(ended, graceMs);
  }
  signal('SIGKILL');
  await waitUntil(ended, 10_000);
  rmSync(record.temporaryDirectory, { recursive: true, force: true, maxRetries: 5 });
  rmSync(join(recordDirectory(), `${record.id}.json`), { force: true });
}

let swept: Promise<void> | undefined;

/** Ends what earlier processes left behind, once a process. Servers of live owners and detached ones stay. */
export function sweepLeftovers(): Promise<void> {
  swept ??= (async () => {
    for (const record of allRecords()) {
      const abandoned = record.owner === undefined ? !record.processes.some(isAlive) : !isAlive(record.owner);
      if (abandoned) await endRecord(record, 0);
    }
  })();
  return swept;
}

function allRecords(): readonly RunRecord[] {
  const directory = recordDirectory();
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(directory, name), 'utf8')) as RunRecord];
      } catch {
        return []; // removed by its owner between listing and reading
      }
    });
}

function recordDirectory(): string {
  const directory = join(cacheDirectory(), 'running');
  mkdirSync(directory, { recursive: true });
  return directory;
}

function note(pid: number): ProcessNote | undefined {
  const identity = processIdentity(pid);
  return identity === undefined ? undefined : { pid, identity };
}

function isAlive({ pid, identity }: ProcessNote): boolean {
  return processIdentity(pid) === identity;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between the look and the signal, which is what was wanted.
  }
}
