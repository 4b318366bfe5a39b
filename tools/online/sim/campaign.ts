/**
 * A long run of simulated online migrations, in as many processes as the machine has cores:
 *
 *     npm run sim:online                                 the first 100,000 histories (seeds 1 to 25,000)
 *     npm run sim:online -- --histories 1000000          a million; goes on with what is missing of them
 *     npm run sim:online -- --from 250001                as many, from another seed on
 *     npm run sim:online -- --by functions               as many of migrations that functions do
 *     npm run sim:online -- --work trees                 of applications that use directories and keys in order
 *     npm run sim:online -- --report                     what ran of this code, and nothing else
 *     npm run sim:online -- --seed 17335                 one seed, with its trace
 *     npm run sim:online -- --seed 17335 --shrink        where it fails: the fewest faults with which it does, and their trace
 *
 * A slice that came to its end is written down before the next one begins (seed-ledger.ts), so that whoever stops it loses
 * seconds. A seed that fails does not end the campaign; its exit code is 1, now and in each report, until the code is
 * another one.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { KeyferryError } from '@keyferry/core';
import type { SliceAsked, SliceDone } from './campaign-worker.ts';
import { keyNames, type OnlineWorldOptions } from './online-world.ts';
import { shrinkSeed } from './replay.ts';
import { runOnlineSeed } from './run-online-seed.ts';
import { appendToLedger, digestOfCode, rangesOf, readLedger, slicesLeft, type Slice } from './seed-ledger.ts';

const sliceSeeds = 50;
const root = fileURLToPath(new URL('../../../', import.meta.url));
const worker = fileURLToPath(new URL('campaign-worker.ts', import.meta.url));

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '100000' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    ledger: { type: 'string', default: `${root}.cache/online-seeds.jsonl` },
    report: { type: 'boolean', default: false },
    by: { type: 'string', default: 'machine' },
    work: { type: 'string', default: 'keys' },
    seed: { type: 'string' },
    shrink: { type: 'boolean', default: false },
  },
});
const ledger = values.ledger;
const variant = { by: oneOf('by', ['machine', 'functions']), work: oneOf('work', ['keys', 'trees']) };
const code = `${digestOfCode(root)}${values.by === 'machine' && values.work === 'keys' ? '' : ` by ${values.by}, ${values.work}`}`;

if (values.seed !== undefined) await replay({ ...variant, seed: whole(values.seed, 'seed') });
else {
  if (!values.report) await runCampaign();
  report();
}

async function replay(options: OnlineWorldOptions): Promise<void> {
  const shrunk = values.shrink ? await shrinkSeed(options) : null;
  const result = shrunk?.result ?? (await runOnlineSeed({ ...options, keepTrace: true }));
  const faults = shrunk === null ? `${result.faults} faults` : `${shrunk.faults.size} of ${shrunk.drawn} faults`;
  const broke = result.violations.length === 0 ? ['nothing was broken'] : result.violations;
  process.stdout.write(`${[...result.trace, `seed ${options.seed}, ${faults}:`, ...broke].join('\n')}\n`);
  if (result.violations.length > 0) process.exitCode = 1;
}

async function runCampaign(): Promise<void> {
  const from = whole(values.from, 'from');
  const seeds = Math.ceil(whole(values.histories, 'histories') / keyNames.length);
  const ran = rangesOf(readLedger(ledger, code));
  const left = [...slicesLeft({ from, to: from + seeds - 1 }, ran, sliceSeeds)];
  const startedAtMs = performance.now();
  const total = left.length;
  let histories = 0;
  const take = async (): Promise<void> => {
    // Errors' stacks are a third of what a seed costs; a failure is replayed with them.
    const child = fork(worker, { execArgv: ['--conditions=keyferry-source', '--stack-trace-limit=0'] });
    for (let slice = left.shift(); slice !== undefined; slice = left.shift()) {
      const done = await ask(child, { ...variant, ...slice });
      for (const { text } of done.failures) process.stdout.write(`${text}\n`);
      const failed = done.failures.map(({ seed }) => seed);
      appendToLedger(ledger, {
        code,
        ...slice,
        histories: done.histories,
        events: done.events,
        elapsedMs: done.elapsedMs,
        failed,
      });
      histories += done.histories;
      const ended = total - left.length;
      if (ended % 20 === 0 && left.length > 0) progress(ended, total, histories, performance.now() - startedAtMs);
    }
    child.disconnect();
  };
  await Promise.all(Array.from({ length: Math.min(total, whole(values.workers, 'workers')) }, take));
  progress(total, total, histories, performance.now() - startedAtMs);
}

async function ask(child: ChildProcess, slice: SliceAsked): Promise<SliceDone> {
  const died = new AbortController();
  const exit = once(child, 'exit', { signal: died.signal }).then(([status]) => {
    throw new KeyferryError('internal.invariant', {
      what: `the seeds from ${slice.from} on ended their process: ${String(status)}`,
    });
  });
  child.send(slice);
  const [done] = (await Promise.race([once(child, 'message', { signal: died.signal }), exit])) as [SliceDone];
  exit.catch(() => undefined);
  died.abort();
  return done;
}

function progress(ended: number, total: number, histories: number, elapsedMs: number): void {
  const rate = Math.round((histories * 1000) / Math.max(1, elapsedMs));
  process.stdout.write(
    `${ended} of ${total} slices, ${histories} histories in ${Math.round(elapsedMs / 1000)} s, ${rate} a second\n`,
  );
}

function report(): void {
  const slices = readLedger(ledger, code);
  const sum = (of: (slice: Slice) => number): number => slices.reduce((all, slice) => all + of(slice), 0);
  const ranges = rangesOf(slices).map(({ from, to }) => `${from} to ${to}`);
  const failed = [...new Set(slices.flatMap((slice) => slice.failed))];
  process.stdout.write(
    [
      `code ${code}: seeds ${ranges.join(', ') || 'none'}`,
      `${sum((each) => each.histories)} histories, ${sum((each) => each.events)} events, ${Math.round(sum((each) => each.elapsedMs) / 1000)} s of processes`,
      failed.length === 0 ? 'none failed' : `failed: seeds ${failed.join(', ')}`,
      '',
    ].join('\n'),
  );
  if (failed.length > 0) process.exitCode = 1;
}

function oneOf<T extends string>(option: 'by' | 'work', names: readonly T[]): T {
  const name = names.find((each) => each === values[option]);
  if (name !== undefined) return name;
  throw new RangeError(`--${option} is ${names.join(' or ')}, and not ${values[option]}`);
}

function whole(text: string, option: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new RangeError(`--${option} is a whole number above 0, and not ${text}`);
}
