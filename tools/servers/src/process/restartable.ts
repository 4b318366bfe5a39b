/**
 * One process of a cluster, for tests that hurt it: ended, killed, frozen, and brought back on the same ports and data.
 *
 *     running ──stop, SIGKILL──► ended ──restart──► running
 *        └─SIGSTOP─► frozen ─SIGCONT─► running
 */
import type { ServerError } from '../server-error.ts';
import type { Child } from './child.ts';
import { waitUntil } from './wait-until.ts';

export interface RestartableOptions {
  readonly startTimeoutMs: number;
  /** Called whenever the set of processes may have changed. */
  readonly onProcessesChanged: () => void;
  /** Whether who answers on the port is this process, and no other that took the port before it. */
  readonly isItself: () => Promise<boolean>;
  /** `healthy`, or what it answered in place of that. */
  readonly health: () => Promise<string>;
  readonly failure: (why: string) => ServerError;
}

export interface Restartable {
  /** `undefined` while it is ended. A restart gives a new one. */
  readonly pid: number | undefined;
  /** SIGTERM, and SIGKILL should it not obey within 10 s. */
  readonly stop: () => Promise<void>;
  /** SIGKILL resolves once the process is gone; the other two as soon as they are sent. */
  readonly kill: (signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => Promise<void>;
  /** For handlers that cannot wait. */
  readonly killNow: () => void;
  /** Ends it if it runs, then starts it. */
  readonly restart: (start: () => Promise<Child>) => Promise<void>;
  /** @throws {ServerError} `server.start-failed`, `server.port-taken` */
  readonly waitHealthy: (timeoutMs?: number) => Promise<void>;
}

export function restartable(options: RestartableOptions): Restartable {
  const { startTimeoutMs, onProcessesChanged, isItself, health, failure } = options;
  let child: Child | undefined;
  const running = (): Child | undefined => (child?.hasEnded() === false ? child : undefined);
  const end = async (graceMs: number): Promise<void> => {
    await running()?.end(graceMs);
    onProcessesChanged();
  };
  return {
    get pid() {
      return running()?.pid;
    },
    stop: () => end(10_000),
    kill: async (signal) => {
      if (signal === 'SIGKILL') return await end(0);
      running()?.signal(signal);
    },
    killNow: () => running()?.signal('SIGKILL'),
    async restart(start) {
      await end(10_000);
      child = await start();
      onProcessesChanged();
    },
    async waitHealthy(timeoutMs = startTimeoutMs) {
      let answer = 'no answer yet';
      let answersItself = false;
      const healthy = await waitUntil(async () => {
        if (running() === undefined) throw failure('its process has ended');
        answersItself ||= await isItself();
        answer = answersItself ? await health() : 'no answer of its own yet';
        return answer === 'healthy';
      }, timeoutMs);
      if (!healthy) throw failure(`it was not healthy within ${timeoutMs} ms (${answer})`);
    },
  };
}
