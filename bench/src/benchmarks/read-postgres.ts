/**
 * Reading PostgreSQL: keyferry's view, sorted by key and kept in a scratch file, beside what psql copies out of the same table.
 *
 * psql writes to /dev/null and decodes nothing. `COPY … TO STDOUT` as text is what everybody takes a table out with, in no
 * order; the ordered binary COPY is the same work for the server as the view's.
 */
import { startPostgres, type PostgresServer } from '@keyferry/servers';
import { join } from 'node:path';
import { Samples, type Benchmark } from '../benchmark.ts';
import { runChild } from '../measure/run-node.ts';
import { runShell } from '../measure/run-shell.ts';
import { fillPostgres } from '../workload/fill-postgres.ts';

const copies = {
  'psql, text': 'COPY kv TO STDOUT',
  'psql, binary': 'COPY kv TO STDOUT (FORMAT binary)',
  'psql, binary by key': 'COPY (SELECT key, value FROM kv ORDER BY key) TO STDOUT (FORMAT binary)',
} as const;

export const readPostgres: Benchmark = {
  rounds: 5,
  keys: 1_000_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    await using server = await startPostgres();
    await fillPostgres(server, keys);
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}`);
      const run = await runChild('scan-postgres', { endpoint: server.endpoints[0] });
      if (run.keys !== keys) throw new Error(`read ${run.keys} of ${keys} rows`);
      samples.add('view', 'ms', run.wallMs);
      samples.add('view, CPU', 'CPU s', run.cpuSeconds);
      samples.add('view, peak memory', 'MiB', run.peakMiB);
      for (const [name, sql] of Object.entries(copies)) {
        samples.add(name, 'ms', (await runShell(`${psqlWords(server)} -c "${sql}" > /dev/null`, '/')).wallMs);
      }
    }
    return {
      workload: `${keys.toLocaleString('en')} rows, keys of 26 B and values of 100 B, of PostgreSQL 15`,
      commands: {
        view: 'children/scan-postgres.ts: openView and scan of the postgres adapter, pages of 1,000 keys',
        ...Object.fromEntries(Object.entries(copies).map(([name, sql]) => [name, `psql -c "${sql}" > /dev/null`])),
      },
      series: samples.series(),
      ratios: [
        samples.ratio('view / psql, binary by key', 'view', 'psql, binary by key', { atMost: 1.15 }),
        samples.ratio('view / psql, text', 'view', 'psql, text', { atMost: 1.5 }),
      ],
      versions: { postgres: '15.18' },
      notMeasured: ['values that are rows of JSON', 'TLS, network latency', 'a cold page cache', 'psql’s own memory'],
    };
  },
};

function psqlWords({ programDirectory, environment }: PostgresServer): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return `${variables.join(' ')} ${join(programDirectory, 'psql')} -X -q`;
}
