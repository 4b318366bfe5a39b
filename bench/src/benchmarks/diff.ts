/**
 * The diff beside `comm` on the same two files of sorted keys, one in a hundred on one side only.
 *
 * Three sizes of the same thing, so that it shows what costs: the merge join over packed pages of the files, as etcd v3
 * has them of its answers, which does what `comm` does; a whole plan over the same pages in memory, which also hashes and compares every value; and the digest
 * by itself. All are one thread that waits for nothing, so they are held against each other by CPU time, which other
 * programs on the machine disturb least. `comm` writes its differences to nowhere.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Samples, type Benchmark } from '../benchmark.ts';
import { runChild } from '../measure/run-node.ts';
import { runShell } from '../measure/run-shell.ts';
import { writeLines } from '../workload/local-files.ts';
import { recordAt } from '../workload/records.ts';

const comm = 'LC_ALL=C comm -3 source.keys target.keys > /dev/null';

export const diff: Benchmark = {
  rounds: 7,
  keys: 4_000_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-diff-'));
    try {
      const files = { sourceFile: join(folder, 'source.keys'), targetFile: join(folder, 'target.keys') };
      const all = Array.from({ length: keys }, (_, i) => recordAt(i).key).toSorted();
      // Of each 200 keys, the first is missing in the source and the one in the middle in the target.
      const without = (skipped: number) => all.filter((_, i) => i % 200 !== skipped);
      writeLines(files.sourceFile, without(0));
      writeLines(files.targetFile, without(100));
      for (let round = 1; round <= rounds; round += 1) {
        note(`round ${round}`);
        await measure(files, folder, keys, samples);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return {
      workload: `two files of ${keys.toLocaleString('en')} sorted keys of 26 B, 1 in 100 on one side only`,
      commands: {
        comm,
        'pages + join': 'children/diff-pages.ts: both files read into pages of 1,000, MergeJoin of core',
        pages: 'the same without the join',
        plan: 'children/plan-pages.ts: makePlan of the engine over the same pages, in memory, values of 100 B',
        digest: 'children/digest.ts: RecordHasher and DigestSum of core, keys of 26 B, values of 100 B',
      },
      series: samples.series(),
      ratios: [
        samples.ratio('join / comm, by CPU time', 'join, CPU', 'comm, CPU', { atMost: 2 }),
        samples.ratio('pages + join / comm, by CPU time', 'pages + join, CPU', 'comm, CPU', { atMost: 2 }),
        samples.ratio('plan / comm, by CPU time', 'plan, CPU', 'comm, CPU', null),
        {
          name: 'digest, million records a CPU second',
          samples: samples.of('digest, CPU').map((cpuSeconds) => (digestTimes * keys) / cpuSeconds / 1e6),
          wanted: { atLeast: 5 },
        },
      ],
      versions: {},
      notMeasured: ['program start of the Node scripts', 'stores that are slower than memory, which are all of them'],
    };
  },
};

/** More than the keys, so that the compiler's warm-up is a small part. */
const digestTimes = 5;

async function measure(
  files: { readonly sourceFile: string; readonly targetFile: string },
  folder: string,
  keys: number,
  samples: Samples,
): Promise<void> {
  const peer = await runShell(comm, folder);
  samples.add('comm', 'ms', peer.wallMs);
  samples.add('comm, CPU', 'CPU s', peer.cpuSeconds);
  const joined = await runChild('diff-pages', { ...files, join: true });
  const pages = await runChild('diff-pages', { ...files, join: false });
  const plan = await runChild('plan-pages', files);
  const digest = await runChild('digest', { keys: digestTimes * keys });
  for (const run of [joined, plan]) if (run.keys !== keys) throw new Error(`${run.keys} of ${keys} keys were met`);
  for (const [name, run] of Object.entries({ 'pages + join': joined, pages, plan, digest })) {
    samples.add(name, 'ms', run.wallMs);
    samples.add(`${name}, CPU`, 'CPU s', run.cpuSeconds);
  }
  samples.add('join, CPU', 'CPU s', joined.cpuSeconds - pages.cpuSeconds);
}
