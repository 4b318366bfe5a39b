/**
 * Starts DynamoDB Local on 127.0.0.1 with data of its own, and ends it by its process id.
 *
 * All credentials and regions see the same tables. The data is in memory unless the caller names a directory.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { requireServer } from '../availability.ts';
import { lastLines, startChild, type Child } from '../process/child.ts';
import { freePorts } from '../process/free-ports.ts';
import { openLife, startInOwnDirectory, type OwnPlace } from '../process/server-life.ts';
import { startFailure } from '../process/start-failure.ts';
import { waitUntil } from '../process/wait-until.ts';
import { dynamoDbJar, type DynamoDbKind } from './release.ts';

export interface DynamoDbOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Used and kept. Default: the data is in memory and ends with the server. */
  readonly dataDir?: string;
  /** Leaves the server running after this process. Default false. */
  readonly detached?: boolean;
  /** Default 60 000: it is compiled as it starts, and a busy machine takes its time. */
  readonly startTimeoutMs?: number;
}

export interface DynamoDbServer {
  readonly kind: DynamoDbKind;
  /** Name of its record: what the command line's `stop` takes. */
  readonly id: string;
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  /** The same, as servers of several members have it. */
  readonly endpoints: readonly [string];
  /** Any are accepted; these are as good as others, and no secret. */
  readonly credentials: { readonly AWS_ACCESS_KEY_ID: string; readonly AWS_SECRET_ACCESS_KEY: string };
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const kind = 'dynamodb-local' as const;
const launcher = fileURLToPath(new URL('LoopbackServer.java', import.meta.url));

/**
 * @example
 * await using dynamo = await startDynamoDb();
 * const client = new DynamoDBClient({ endpoint: dynamo.endpoint, region: 'eu-west-1', … });
 * @throws {ServerError} `server.unavailable`, `server.start-failed`, or `server.port-taken` for a port the caller chose.
 */
export async function startDynamoDb(options: DynamoDbOptions = {}): Promise<DynamoDbServer> {
  const { programDirectory } = await requireServer(kind);
  return await startInOwnDirectory(kind, options.port, (place) => startOnce(programDirectory, place, options));
}

async function startOnce(jars: string, place: OwnPlace, options: DynamoDbOptions): Promise<DynamoDbServer> {
  const { directory } = place;
  const { detached = false, startTimeoutMs = 60_000, dataDir } = options;
  const port = options.port ?? (await freePorts(1))[0] ?? 0;
  const logFile = join(directory, 'server.log');
  if (dataDir !== undefined) await mkdir(dataDir, { recursive: true });
  const data = dataDir === undefined ? ['-inMemory'] : ['-dbPath', resolve(dataDir)];
  const endpoint = `http://127.0.0.1:${port}`;
  const endpoints = [endpoint] as const;
  let child: Child | undefined;
  const life = openLife({
    place,
    detached,
    killNow: () => child?.signal('SIGKILL'),
    // Data that is kept is closed gently; what is in memory has nothing to lose.
    end: async () => await child?.end(dataDir === undefined ? 0 : 10_000),
  });
  const failure = (why: string) =>
    startFailure({
      server: 'DynamoDB Local',
      why,
      logFile,
      takenPort: /address already in use|failed to bind/i,
      ports: [port],
    });
  await life.begin(async () => {
    const started = await startChild({
      program: 'java',
      // The serial collector and the first compiler only: a third less time to start, and no second process's worth of threads.
      args: [
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        `-Djava.library.path=${join(jars, 'DynamoDBLocal_lib')}`,
        '-cp',
        join(jars, dynamoDbJar),
        launcher,
        ...data,
        '-sharedDb',
        '-disableTelemetry',
        '-port',
        String(port),
      ],
      logFile,
      detached,
    });
    child = started;
    life.note(endpoints, [started.pid]);
    // Its own line in its own log: whoever else answers on the port is not taken for it.
    const listens = await waitUntil(() => {
      if (started.hasEnded()) throw failure('its process has ended');
      return lastLines(logFile, 50).includes('listening on 127.0.0.1');
    }, startTimeoutMs);
    if (!listens) throw failure(`it did not listen within ${startTimeoutMs} ms`);
  });
  const credentials = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
  const { id, stop } = life;
  return { kind, id, endpoint, endpoints, credentials, stop, [Symbol.asyncDispose]: stop };
}
