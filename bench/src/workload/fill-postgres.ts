/** The canonical records as rows of a table `kv`, in the order in which they were made: not that of their keys. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { PostgresServer } from '@keyferry/servers';
import { records } from './records.ts';

export async function fillPostgres(server: PostgresServer, count: number): Promise<void> {
  const { programDirectory, environment } = server;
  await server.psql('CREATE TABLE kv (key text COLLATE "C" PRIMARY KEY, value text NOT NULL)');
  const psql = spawn(join(programDirectory, 'psql'), ['-X', '-q', '-c', 'COPY kv FROM STDIN'], {
    env: { ...process.env, ...environment },
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = once(psql, 'close');
  for (const { key, value } of records(count)) {
    if (!psql.stdin.write(`${key}\t${value}\n`)) await once(psql.stdin, 'drain');
  }
  psql.stdin.end();
  const [code] = (await ended) as [number];
  if (code !== 0) throw new Error(`psql ended with ${code}`);
  await server.psql('VACUUM ANALYZE kv');
}
