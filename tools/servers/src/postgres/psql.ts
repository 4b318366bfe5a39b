/** psql against a server that was started here, as its superuser. */
import { requireServer } from '../availability.ts';
import type { CertificateFiles } from '../net/certificates.ts';
import { ServerError } from '../server-error.ts';
import { libraryPath, runProgram } from './programs.ts';

/** There from the start; no secret. */
export const account = { user: 'postgres', password: 'postgres', database: 'postgres' } as const;

/** What client programs need to come as the superuser without asking. */
export function clientEnvironment(programDirectory: string, port: number): Readonly<Record<string, string>> {
  return {
    LD_LIBRARY_PATH: libraryPath(programDirectory),
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: account.user,
    PGPASSWORD: account.password,
    PGDATABASE: account.database,
  };
}

export interface PsqlTarget {
  readonly programDirectory: string;
  readonly port: number;
  readonly database?: string;
  readonly tls?: CertificateFiles | undefined;
}

/** Stops at the first error. @returns rows as unaligned text. @throws {ServerError} `server.command-failed` */
export async function runPsql(
  { programDirectory, port, database = account.database, tls }: PsqlTarget,
  args: readonly string[],
): Promise<string> {
  const files =
    tls === undefined
      ? {}
      : { PGSSLROOTCERT: tls.caFile, PGSSLCERT: tls.clientCertFile, PGSSLKEY: tls.clientKeyFile, PGSSLMODE: 'require' };
  const environment = { ...clientEnvironment(programDirectory, port), PGDATABASE: database, ...files };
  // As the user of this process, who can read the certificates; psql is a client and minds no root.
  const programs = { directory: programDirectory, environment: { ...process.env, ...environment }, user: undefined };
  return await runProgram(programs, 'psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...args]);
}

/** @param endpoint `postgres://127.0.0.1:port` */
export async function loadSql(endpoint: string, file: string): Promise<void> {
  const url = URL.parse(endpoint);
  if (url?.protocol !== 'postgres:' || url.hostname !== '127.0.0.1') {
    throw new ServerError('server.bad-argument', `"${endpoint}" is no endpoint of a server here.`, 'See `list`.');
  }
  const { programDirectory } = await requireServer('postgres-15');
  await runPsql({ programDirectory, port: Number(url.port) }, ['-f', file]);
}
