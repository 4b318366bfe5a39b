/**
 * What every server goes through, whichever it is:
 *
 *     directory of its own ──► record ──► processes started ──► answers ──► stop(): processes ended, directory and record gone
 *             ▲                                  │
 *             └──────── a port was taken ────────┘
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerError } from '../server-error.ts';
import { onProcessEnd } from './exit-cleanup.ts';
import { openRecord, sweepLeftovers, type OpenRecord } from './run-records.ts';

const attemptsMax = 5;

/** Where a server lives. */
export interface OwnPlace {
  /** Temporary, and removed with the server. */
  readonly directory: string;
  /** On disk from the first moment, so that a start which is killed half-way is swept later. */
  readonly record: OpenRecord;
}

/**
 * Starts a server in a temporary directory, and does so anew where a port that looked free was taken meanwhile. A port that
 * the caller chose is tried once.
 */
export async function startInOwnDirectory<Server>(
  kind: string,
  portWanted: number | undefined,
  startOnce: (place: OwnPlace) => Promise<Server>,
): Promise<Server> {
  await sweepLeftovers();
  for (let attempt = 1; ; attempt += 1) {
    const directory = await mkdtemp(join(tmpdir(), `keyferry-${kind}-`));
    const record = openRecord(kind, directory);
    try {
      return await startOnce({ directory, record });
    } catch (error) {
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
      record.remove();
      const isTaken = error instanceof ServerError && error.code === 'server.port-taken';
      if (!isTaken || portWanted !== undefined || attempt === attemptsMax) throw error;
    }
  }
}

export interface LifeOptions {
  readonly place: OwnPlace;
  /** The server outlives this process. */
  readonly detached: boolean;
  /** Ends its processes, and resolves once they are gone. */
  readonly end: () => Promise<void>;
  /** For the end of this process, which cannot wait. */
  readonly killNow: () => void;
}

export interface ServerLife {
  /** Name of its record: what the command line's `stop` takes. */
  readonly id: string;
  /** Says which processes it has now. Without effect once it is stopped. */
  readonly note: (endpoints: readonly string[], pids: readonly number[]) => void;
  /** Waits until it is at work. What fails ends it. */
  readonly begin: (ready: () => Promise<void>) => Promise<void>;
  /** Safe to repeat. */
  readonly stop: () => Promise<void>;
}

export function openLife({ place: { directory, record }, detached, end, killNow }: LifeOptions): ServerLife {
  let isStopped = false;
  const withdraw = onProcessEnd(() => {
    killNow();
    // A process that still writes for a moment can make this throw. Then the record stays, and a later sweep takes both.
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    record.remove();
  });
  const stop = async (): Promise<void> => {
    isStopped = true;
    await end();
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    record.remove();
    withdraw();
  };
  return {
    id: record.id,
    note: (endpoints, pids) => {
      if (!isStopped) record.write({ endpoints, pids });
    },
    async begin(ready) {
      try {
        await ready();
      } catch (error) {
        await stop();
        throw error;
      }
      if (!detached) return;
      withdraw();
      record.disown();
    },
    stop,
  };
}
