/**
 * Starts a PostgreSQL server on 127.0.0.1 with data of its own, and ends it with everything it made.
 *
 *     programs ──► initdb ──► running ──stop, SIGKILL──► ended ──restart──► running ──► server.stop()
 *
 * It listens on TCP alone, asks for a password (SCRAM) and, with TLS, refuses whoever comes without. No test waits for a
 * disk: fsync is off, which only a crash of the machine could tell. Autovacuum is off too: it takes transaction numbers at
 * moments that no test can foresee.
 */
import { chmod, chown, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { requireServer } from '../availability.ts';
import { writeCertificates, type CertificateFiles, type CertificateOptions } from '../net/certificates.ts';
import { lastLines, startChild, type Child } from '../process/child.ts';
import { freePorts } from '../process/free-ports.ts';
import { openLife, startInOwnDirectory, type OwnPlace } from '../process/server-life.ts';
import { startFailure } from '../process/start-failure.ts';
import { waitUntil } from '../process/wait-until.ts';
import { ownDirectory, preparePrograms, runProgram, type Programs } from './programs.ts';
import { account, clientEnvironment, runPsql } from './psql.ts';
import type { PostgresKind } from './release.ts';

export interface PostgresOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default `replica`, as PostgreSQL's own. */
  readonly walLevel?: 'minimal' | 'replica' | 'logical';
  /** Default false: TCP in the clear. True: only TLS; with `clientCertAuth` only with a certificate that the CA signed. */
  readonly tls?: boolean | ({ readonly clientCertAuth: boolean } & CertificateOptions);
  /** Settings of postgresql.conf beside our own, which they may replace. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Used and kept; made into a database cluster where it is none yet. */
  readonly dataDir?: string;
  /** Leaves the server running after this process. Default false. */
  readonly detached?: boolean;
  /** Default 60 000. */
  readonly startTimeoutMs?: number;
}

export interface PostgresServer {
  readonly kind: PostgresKind;
  /** Name of its record: what the command line's `stop` takes. */
  readonly id: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  /** `postgres://127.0.0.1:port` */
  readonly endpoints: readonly [string];
  /** Superuser, password and database that are there from the start; no secret. */
  readonly user: 'postgres';
  readonly password: 'postgres';
  readonly database: 'postgres';
  readonly programDirectory: string;
  /** What its client programs, such as psql, need to come as the superuser without asking. */
  readonly environment: Readonly<Record<string, string>>;
  /** Output of all its processes so far. */
  readonly logFile: string;
  /** Present with TLS: all files made, for the server, a client and an untrusted client. */
  readonly tls: CertificateFiles | undefined;
  /** Runs SQL with psql as the superuser, and stops at its first error. @returns rows as unaligned text */
  psql(sql: string, database?: string): Promise<string>;
  /** Ends it as a machine that fails does (SIGKILL of its main process), and resolves once it is gone. */
  kill(): Promise<void>;
  /** Ends it, unless it was, and starts it again on the same port and data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const kind = 'postgres-15' as const;
/** What was left of a server that was killed has ended by then, on a machine that is slow too. */
const orphansEndMs = 60_000;

/**
 * @example
 * await using postgres = await startPostgres();
 * await postgres.psql('CREATE TABLE greeting (key text PRIMARY KEY, value text)');
 * @throws {ServerError} `server.unavailable`, `server.start-failed`, or `server.port-taken` for a port the caller chose.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { programDirectory } = await requireServer(kind);
  return await startInOwnDirectory(kind, options.port, (place) => startOnce(programDirectory, place, options));
}

async function startOnce(programDirectory: string, place: OwnPlace, options: PostgresOptions): Promise<PostgresServer> {
  const { directory } = place;
  const { detached = false, startTimeoutMs = 60_000 } = options;
  const port = options.port ?? (await freePorts(1))[0] ?? 0;
  const dataDir = options.dataDir === undefined ? join(directory, 'data') : resolve(options.dataDir);
  const logFile = join(directory, 'server.log');
  const programs = await preparePrograms(programDirectory, directory);
  const tls = options.tls === undefined || options.tls === false ? undefined : await prepareTls(options.tls, directory);
  await ensureCluster(programs, directory, dataDir);
  await writeAccess(dataDir, tls);
  const certificates = tls === undefined ? {} : await installCertificates(tls.files, dataDir, programs);
  const settings = { ...settingsOf(port, options), ...certificates, ...options.settings };
  const endpoints = [`postgres://127.0.0.1:${port}`] as const;

  let child: Child | undefined;
  const running = (): Child | undefined => (child?.hasEnded() === false ? child : undefined);
  const end = async (graceMs: number): Promise<void> => {
    await running()?.end(graceMs);
  };
  const life = openLife({
    place,
    detached,
    killNow: () => child?.signal('SIGKILL'),
    async end() {
      // SIGINT is PostgreSQL's "fast": it lets nobody finish, and leaves data that is whole. Others have nothing to lose.
      if (options.dataDir !== undefined) running()?.signal('SIGINT');
      await end(options.dataDir === undefined ? 0 : 10_000);
    },
  });
  const failure = (why: string) =>
    startFailure({
      server: 'PostgreSQL',
      why,
      logFile,
      takenPort: /address already in use|could not bind/i,
      ports: [port],
    });
  const answers = async (): Promise<boolean> => {
    const args = ['-q', '-h', '127.0.0.1', '-p', String(port), '-t', '1'];
    return await runProgram(programs, 'pg_isready', args).then(
      () => true,
      () => false,
    );
  };
  const start = async (): Promise<void> => {
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const from = await readFile(logFile, 'utf8').then(
      (text) => text.length,
      () => 0,
    );
    const started = await startChild({
      program: join(programs.directory, 'postgres'),
      args: ['-D', dataDir, ...args],
      environment: programs.environment,
      logFile,
      detached,
      user: programs.user,
    });
    child = started;
    life.note(endpoints, [started.pid]);
    const healthy = await waitUntil(async () => {
      if (started.hasEnded()) throw failure('its process has ended');
      // Its own line in its own log first: whoever else answers on the port is not taken for it.
      const said = (await readFile(logFile, 'utf8')).slice(from);
      return said.includes('ready to accept connections') && (await answers());
    }, startTimeoutMs);
    if (!healthy) throw failure(`it did not answer within ${startTimeoutMs} ms`);
  };
  await life.begin(start);
  return {
    kind,
    id: life.id,
    host: '127.0.0.1',
    port,
    endpoints,
    ...account,
    programDirectory: programs.directory,
    environment: clientEnvironment(programs.directory, port),
    logFile,
    tls: tls?.files,
    psql: (sql, database = account.database) =>
      runPsql({ programDirectory: programs.directory, port, database, tls: tls?.files }, ['-c', sql]),
    kill: () => end(0),
    restart: async () => {
      running()?.signal('SIGINT');
      await end(10_000);
      await startAgain(start, logFile);
    },
    stop: life.stop,
    [Symbol.asyncDispose]: life.stop,
  };
}

/** Processes of a server that was killed end some time after it, and until then its memory counts as in use. */
async function startAgain(start: () => Promise<void>, logFile: string): Promise<void> {
  const giveUpAtMs = performance.now() + orphansEndMs;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      const isInUse = lastLines(logFile, 4).includes('pre-existing shared memory block');
      if (!isInUse || performance.now() >= giveUpAtMs) throw error;
      await sleep(100);
    }
  }
}

async function ensureCluster(programs: Programs, directory: string, dataDir: string): Promise<void> {
  await ownDirectory(dataDir, programs);
  const isCluster = await readFile(join(dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (isCluster) return;
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, account.password, { mode: 0o644 });
  const named = ['-D', dataDir, '-U', account.user, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  // The collation of many a platform's databases, and one in which order is not byte order.
  await runProgram(programs, 'initdb', [...named, '--encoding=UTF8', '--locale=C', ...icu, '--no-sync']);
}

const icu = ['--locale-provider=icu', '--icu-locale=en-US'];

function settingsOf(port: number, { walLevel = 'replica' }: PostgresOptions): Readonly<Record<string, string>> {
  return {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    wal_level: walLevel,
    ...(walLevel === 'minimal' && { max_wal_senders: '0' }),
    fsync: 'off',
    full_page_writes: 'off',
    autovacuum: 'off',
    jit: 'off',
    max_connections: '60',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
}

interface Tls {
  readonly files: CertificateFiles;
  readonly clientCertAuth: boolean;
}

async function prepareTls(tls: Exclude<PostgresOptions['tls'], false | undefined>, directory: string): Promise<Tls> {
  const { clientCertAuth, ...certificates } = tls === true ? { clientCertAuth: false } : tls;
  return { files: await writeCertificates(join(directory, 'tls'), certificates), clientCertAuth };
}

async function writeAccess(dataDir: string, tls: Tls | undefined): Promise<void> {
  const type = tls === undefined ? 'host' : 'hostssl';
  const more = tls?.clientCertAuth === true ? ' clientcert=verify-ca' : '';
  await writeFile(join(dataDir, 'pg_hba.conf'), `${type} all all 127.0.0.1/32 scram-sha-256${more}\n`);
}

/** The server reads a private key only if it is its own and nobody else's to read. */
async function installCertificates(
  { caFile, serverCertFile, serverKeyFile }: CertificateFiles,
  dataDir: string,
  { user }: Programs,
): Promise<Readonly<Record<string, string>>> {
  const install = async (from: string, name: string): Promise<string> => {
    const to = join(dataDir, name);
    await copyFile(from, to);
    await chmod(to, 0o600);
    if (user !== undefined) await chown(to, user.uid, user.gid);
    return to;
  };
  return {
    ssl: 'on',
    ssl_ca_file: await install(caFile, 'ca.pem'),
    ssl_cert_file: await install(serverCertFile, 'server.pem'),
    ssl_key_file: await install(serverKeyFile, 'server.key'),
  };
}
