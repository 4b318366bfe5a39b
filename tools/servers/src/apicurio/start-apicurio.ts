/**
 * Starts an Apicurio Registry on 127.0.0.1 with data of its own, and ends it by its process id.
 *
 * The data is in memory unless the caller names a directory. From 3.2 on health is on a port of its own, which is never the
 * fixed default: two of them would be in each other's way.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { requireServer } from '../availability.ts';
import { request } from '../net/request.ts';
import { lastLines, startChild, type Child } from '../process/child.ts';
import { freePorts, isFree } from '../process/free-ports.ts';
import { openLife, startInOwnDirectory, type OwnPlace } from '../process/server-life.ts';
import { portTaken, startFailure } from '../process/start-failure.ts';
import { waitUntil } from '../process/wait-until.ts';
import type { ServerError } from '../server-error.ts';
import { findJava } from './java.ts';
import { apicurioDefinitions, javaOf, type ApicurioKind, type ApicurioVersion } from './releases.ts';

export interface ApicurioOptions {
  readonly version: ApicurioVersion;
  /** Default: a free one. */
  readonly port?: number;
  /** Used and kept: an H2 database in it. Default: in memory, gone with the server. */
  readonly dataDir?: string;
  /** Further system properties; they win: `{ 'apicurio.import.zip.max-entry-count': '100' }`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Leaves the server running after this process. Default false. */
  readonly detached?: boolean;
  /** Default 90 000. */
  readonly startTimeoutMs?: number;
}

export interface ApicurioServer {
  readonly kind: ApicurioKind;
  /** Name of its record: what the command line's `stop` takes. */
  readonly id: string;
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  /** The same, as servers of several members have it. */
  readonly endpoints: readonly [string];
  readonly logFile: string;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const server = 'Apicurio Registry';

/**
 * @example
 * await using registry = await startApicurio({ version: '2.6' });
 * await request(`${registry.endpoint}/apis/registry/v2/system/info`);
 * @throws {ServerError} `server.unavailable`, `server.start-failed`, or `server.port-taken` for a port the caller chose.
 */
export async function startApicurio(options: ApicurioOptions): Promise<ApicurioServer> {
  const kind: ApicurioKind = `apicurio-${options.version}`;
  const { programDirectory } = await requireServer(kind);
  return await startInOwnDirectory(kind, options.port, (place) => startOnce(programDirectory, place, options));
}

async function startOnce(programs: string, place: OwnPlace, options: ApicurioOptions): Promise<ApicurioServer> {
  const { directory } = place;
  const { version, detached = false, startTimeoutMs = 90_000, dataDir } = options;
  const kind: ApicurioKind = `apicurio-${version}`;
  const [first = 0, healthPort = 0] = await freePorts(2);
  const port = options.port ?? first;
  // 3.3 may call itself healthy, on the port beside, before it finds this one taken.
  if (!(await isFree(port))) throw portTaken(server, [port]);
  const logFile = join(directory, 'server.log');
  if (dataDir !== undefined) await mkdir(dataDir, { recursive: true });
  const properties = { ...propertiesOf(version, port, healthPort, dataDir, directory), ...options.properties };
  const endpoint = `http://127.0.0.1:${port}`;
  const endpoints = [endpoint] as const;
  let child: Child | undefined;
  const life = openLife({
    place,
    detached,
    killNow: () => child?.signal('SIGKILL'),
    // A database that is kept is closed gently; what is in memory has nothing to lose.
    end: async () => await child?.end(dataDir === undefined ? 0 : 10_000),
  });
  const health = `http://127.0.0.1:${version === '3.3' ? healthPort : port}`;
  await life.begin(async () => {
    child = await startChild({
      program: findJava(javaOf[version]) ?? 'java',
      // The serial collector and the first compiler only: less time to start, and no second process's worth of threads.
      args: [
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-Xmx512m',
        ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
        '-jar',
        join(programs, apicurioDefinitions[kind].programs[0]),
      ],
      logFile,
      detached,
    });
    life.note(endpoints, [child.pid]);
    await untilReady(child, health, logFile, startTimeoutMs);
  });
  const { id, stop } = life;
  return { kind, id, endpoint, endpoints, logFile, stop, [Symbol.asyncDispose]: stop };
}

function propertiesOf(
  version: ApicurioVersion,
  port: number,
  healthPort: number,
  dataDir: string | undefined,
  directory: string,
): Readonly<Record<string, string>> {
  const common = {
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': String(port),
    'java.io.tmpdir': directory,
  };
  // A name of its own for what is in memory, so that nothing rests on one database a process.
  const url =
    dataDir === undefined ? `jdbc:h2:mem:keyferry_${port}` : `jdbc:h2:file:${join(resolve(dataDir), 'registry')}`;
  if (version === '2.6') {
    const pool = {
      'quarkus.datasource.jdbc.min-size': '1',
      'quarkus.datasource.jdbc.initial-size': '1',
      // 5 by default, and it does not start where the first connection takes longer, as on a busy machine.
      'quarkus.datasource.jdbc.acquisition-timeout': '60',
    };
    return { ...common, ...pool, 'quarkus.datasource.jdbc.url': url };
  }
  return {
    ...common,
    'quarkus.management.host': '127.0.0.1',
    'quarkus.management.port': String(healthPort),
    'apicurio.datasource.url': url,
  };
}

async function untilReady(child: Child, health: string, logFile: string, timeoutMs: number): Promise<void> {
  const ready = await waitUntil(
    async () => {
      if (child.hasEnded()) throw failure(logFile, 'its process has ended');
      const reply = await request(`${health}/health/ready`, { timeoutMs: 2_000 }).catch(() => undefined);
      return reply?.status === 200;
    },
    timeoutMs,
    50,
  );
  if (!ready) throw failure(logFile, `it was not ready within ${timeoutMs} ms`);
  // Ready, but is it ours? Whoever else answers on the port is not taken for it.
  if (child.hasEnded()) throw failure(logFile, 'its process has ended');
}

function failure(logFile: string, why: string): ServerError {
  const takenPort = /address already in use|port already bound|in use by another process/i;
  return startFailure({ server, why, logFile, takenPort, told: withoutFrames });
}

/** The reason stands above some hundred lines of frames. */
function withoutFrames(logFile: string): string {
  const lines = lastLines(logFile, 400).split('\n');
  return lines
    .filter((line) => !/^\s+(?:at |\.\.\. )/.test(line))
    .slice(-12)
    .join('\n');
}
