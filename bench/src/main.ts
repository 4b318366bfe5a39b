/**
 * `npm run bench -- NAME [--rounds N] [--keys N]`: measures, prints, and appends the figures to results/NAME.jsonl.
 * Each benchmark is one file in benchmarks/; its header says what it compares and why that is fair.
 */
import { parseArgs } from 'node:util';
import { copyConsul } from './benchmarks/copy-consul.ts';
import { copyV2 } from './benchmarks/copy-v2.ts';
import { copyV3 } from './benchmarks/copy-v3.ts';
import { cutoverPause } from './benchmarks/cutover-pause.ts';
import { datadir } from './benchmarks/datadir.ts';
import { datadirSnapshot } from './benchmarks/datadir-snapshot.ts';
import { diff } from './benchmarks/diff.ts';
import { dualReadOverhead } from './benchmarks/dual-read-overhead.ts';
import { foregroundP99 } from './benchmarks/foreground-p99.ts';
import { functions } from './benchmarks/functions.ts';
import { losses } from './benchmarks/losses.ts';
import { memory, memoryConsul } from './benchmarks/memory.ts';
import { readPostgres } from './benchmarks/read-postgres.ts';
import { readV3 } from './benchmarks/read-v3.ts';
import { registryClients } from './benchmarks/registry-clients.ts';
import { registryFreeze } from './benchmarks/registry-freeze.ts';
import { startup } from './benchmarks/startup.ts';
import { stateWrites } from './benchmarks/state-writes.ts';
import { tailLag } from './benchmarks/tail-lag.ts';
import type { Benchmark } from './benchmark.ts';
import { printReport, saveReport } from './report.ts';

const benchmarks: Readonly<Record<string, Benchmark>> = {
  'copy-v3': copyV3,
  'read-v3': readV3,
  'read-postgres': readPostgres,
  'copy-v2': copyV2,
  'copy-consul': copyConsul,
  datadir,
  'datadir-snapshot': datadirSnapshot,
  memory,
  'memory-consul': memoryConsul,
  diff,
  startup,
  'state-writes': stateWrites,
  'tail-lag': tailLag,
  'cutover-pause': cutoverPause,
  losses,
  'dual-read-overhead': dualReadOverhead,
  'foreground-p99': foregroundP99,
  functions,
  'registry-freeze': registryFreeze,
  'registry-clients': registryClients,
};
const usage = `npm run bench -- NAME [--rounds N] [--keys N]\n\nNAME is one of ${Object.keys(benchmarks).join(', ')}\n`;

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string' }, keys: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  allowPositionals: true,
});
const [name = ''] = positionals;
const benchmark = benchmarks[name];
const rounds = positiveNumber(values.rounds, benchmark?.rounds ?? 1);
const keys = positiveNumber(values.keys, benchmark?.keys ?? 1);
if (values.help === true || benchmark === undefined || rounds === null || keys === null) {
  (values.help === true ? process.stdout : process.stderr).write(usage);
  process.exit(values.help === true ? 0 : 64);
}

const note = (text: string): void => void process.stderr.write(`${text}\n`);
note(`${name}: ${rounds} rounds, ${keys.toLocaleString('en')} keys`);
const result = await benchmark.run({ rounds, keys, note });
const report = await saveReport(name, { rounds, keys }, result);
printReport(report, (text) => process.stdout.write(text));
process.exit(0); // connections of a peer's client may still be open

function positiveNumber(text: string | undefined, byDefault: number): number | null {
  const number = text === undefined ? byDefault : Number(text.replaceAll('_', ''));
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}
