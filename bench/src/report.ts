/** Figures as people read them, and as results/NAME.jsonl keeps them: one run a line, never overwritten. */
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchmarkResult, Ratio } from './benchmark.ts';
import { thisMachine, type Machine } from './measure/machine.ts';
import { spreadOf, type Spread } from './measure/spread.ts';

export interface Report {
  readonly benchmark: string;
  readonly at: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly workload: string;
  readonly keys: number;
  readonly rounds: number;
  readonly commands: Readonly<Record<string, string>>;
  readonly series: readonly (Spread & { readonly name: string; readonly unit: string })[];
  readonly ratios: readonly (Spread & Pick<Ratio, 'name' | 'wanted'> & { readonly met: boolean | null })[];
  readonly notMeasured: readonly string[];
}

const results = new URL('../results/', import.meta.url);

export async function saveReport(
  benchmark: string,
  { rounds, keys }: { readonly rounds: number; readonly keys: number },
  result: BenchmarkResult,
): Promise<Report> {
  const { workload, commands, notMeasured, versions } = result;
  const report: Report = {
    benchmark,
    at: new Date().toISOString(),
    machine: thisMachine(),
    versions: { keyferry: await ownVersion(), ...versions },
    workload,
    keys,
    rounds,
    commands,
    series: result.series.map(({ name, unit, samples }) => ({ name, unit, ...rounded(spreadOf(samples)) })),
    ratios: result.ratios.map(({ name, samples, wanted }) => {
      const spread = rounded(spreadOf(samples));
      return { name, ...spread, wanted, met: wanted === null ? null : isMet(spread.median, wanted) };
    }),
    notMeasured,
  };
  await mkdir(results, { recursive: true });
  await appendFile(new URL(`${benchmark}.jsonl`, results), `${JSON.stringify(report)}\n`);
  return report;
}

export function printReport(report: Report, print: (text: string) => void): void {
  const { machine, versions } = report;
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  print(`\n${report.benchmark}: ${report.workload}; ${report.rounds} rounds, median (min … max)\n`);
  print(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${all.join(', ')}\n\n`);
  for (const [name, command] of Object.entries(report.commands)) print(`  ${name}: ${command}\n`);
  const width = Math.max(0, ...[...report.series, ...report.ratios].map(({ name }) => name.length));
  print('\n');
  for (const row of report.series) print(`  ${row.name.padEnd(width)}  ${spreadText(row)} ${row.unit}\n`);
  print('\n');
  for (const row of report.ratios) print(`  ${row.name.padEnd(width)}  ${spreadText(row)}  ${wantedText(row)}\n`);
  print(`\n  kept in bench/results/${report.benchmark}.jsonl\n`);
  for (const what of report.notMeasured) print(`  not measured: ${what}\n`);
}

function spreadText({ median, min, max }: Spread): string {
  return `${numberText(median).padStart(10)}  (${numberText(min)} … ${numberText(max)})`;
}

function numberText(value: number): string {
  return value.toLocaleString('en', {
    maximumSignificantDigits: Math.abs(value) >= 100 ? 6 : 3,
    maximumFractionDigits: 2,
  });
}

function wantedText({ wanted, met }: Report['ratios'][number]): string {
  if (wanted === null) return '';
  const text = 'atLeast' in wanted ? `at least ${wanted.atLeast}` : `at most ${wanted.atMost}`;
  return `${text}: ${met === true ? 'met' : 'MISSED'}`;
}

function isMet(value: number, wanted: NonNullable<Ratio['wanted']>): boolean {
  return 'atLeast' in wanted ? value >= wanted.atLeast : value <= wanted.atMost;
}

const rounded = ({ median, min, max }: Spread): Spread => ({
  median: Number(median.toPrecision(5)),
  min: Number(min.toPrecision(5)),
  max: Number(max.toPrecision(5)),
});

/** With the commit, where there is a repository, and a `+` where files differ from it. */
async function ownVersion(): Promise<string> {
  const manifest = await readFile(new URL('../../packages/cli/package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: fileURLToPath(results) })).stdout.trim();
  try {
    const isChanged = (await git('status', '--porcelain', '--', '../../packages')) !== '';
    return `${version} (${await git('rev-parse', '--short', 'HEAD')}${isChanged ? '+' : ''})`;
  } catch {
    return version; // no git, or no repository: an archive of the sources can be measured too
  }
}
