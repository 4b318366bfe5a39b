/**
 * Reading PostgreSQL: in no order and nothing kept, and keyferry's view, sorted by the server or by keyferry, beside what psql
 * copies out of the same table, whose rows lie in another order than that of their keys.
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

const orders = { unordered: 'none', 'sorted by keyferry': 'local', 'sorted by the server': 'server' } as const;

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
      for (const [name, order] of Object.entries(orders)) {
        const run = await runChild('scan-postgres', { endpoint: server.endpoints[0], order });
        if (run.keys !== keys) throw new Error(`read ${run.keys} of ${keys} rows`);
        samples.add(name, 'ms', run.wallMs);
        samples.add(`${name}, CPU`, 'CPU s', run.cpuSeconds);
        samples.add(`${name}, peak memory`, 'MiB', run.peakMiB);
      }
      for (const [name, sql] of Object.entries(copies)) {
        samples.add(name, 'ms', (await runShell(`${psqlWords(server)} -c "${sql}" > /dev/null`, '/')).wallMs);
      }
    }
    return {
      workload: `${keys.toLocaleString('en')} rows, keys of 26 B and values of 100 B, of PostgreSQL 15`,
      commands: {
        unordered: 'children/scan-postgres.ts: readUnordered of the postgres adapter',
        'sorted by keyferry': 'children/scan-postgres.ts: openView (order: local) and scan, pages of 1,000 keys',
        'sorted by the server': 'the same, order: server',
        ...Object.fromEntries(Object.entries(copies).map(([name, sql]) => [name, `psql -c "${sql}" > /dev/null`])),
      },
      series: samples.series(),
      ratios: [
        samples.ratio('unordered / psql, text', 'unordered', 'psql, text', { atMost: 1.5 }),
        samples.ratio('sorted by keyferry / psql, text', 'sorted by keyferry', 'psql, text', { atMost: 1.5 }),
        samples.ratio('sorted by the server / psql, text', 'sorted by the server', 'psql, text', null),
        samples.ratio('sorted by the server / psql, binary by key', 'sorted by the server', 'psql, binary by key', {
          atMost: 1.15,
        }),
        samples.ratio('sorted by keyferry / psql, binary by key', 'sorted by keyferry', 'psql, binary by key', null),
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
