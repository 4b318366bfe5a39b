/**
 * Goal: events and logs tell of a migration and never stop it. Method: sinks that fail at the first write and in the
 * middle, and a result that cannot be written.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { rows, Workbench } from './workbench.ts';

let bench: Workbench;
afterEach(() => bench.remove());

describe('a sink that fails', () => {
  it.each([['--events'], ['--log-file']])('%s /dev/full is left, with a warning, and apply goes on', async (flag) => {
    bench = await Workbench.create(rows(200));
    const { code, stdout, stderr } = await bench.run(['apply', 'config', '--yes', '--json', flag, '/dev/full']);
    expect(stderr.match(/Warning: --\S+ \/dev\/full cannot be written any more \(ENOSPC/g)).toHaveLength(1);
    const document = JSON.parse(stdout) as { outcome: string; warnings: string[] };
    expect([code, document.outcome]).toEqual([0, 'done']);
    expect(document.warnings).toEqual([expect.stringContaining('ENOSPC')]);
  });

  it('a reader of the event stream that goes away does not take the run with it', async () => {
    bench = await Workbench.create(rows(60_000, 200));
    execFileSync('mkfifo', [bench.path('events')]);
    const reader = spawn('head', ['-n', '1', bench.path('events')], { stdio: 'ignore' });
    const run = bench.run(['apply', 'config', '--yes', '--events', 'events', '--json']);
    await once(reader, 'close');
    const { code, stdout, stderr } = await run;
    expect(stderr).toContain('Warning: --events events cannot be written any more (EPIPE');
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ outcome: 'done' })]);
  });

  it('neither does stdout as an event stream', async () => {
    bench = await Workbench.create(rows(200));
    const full = openSync('/dev/full', 'w');
    const { code, stderr } = await bench.run(['apply', 'config', '--yes', '--events', '-'], {}, full);
    expect(stderr).toContain('Warning: --events - cannot be written any more (ENOSPC');
    expect([code, stderr]).toEqual([0, expect.stringContaining('both sides agree')]);
  });

  it('the original error and its exit code stay', async () => {
    bench = await Workbench.create(rows(1));
    const { code, stderr } = await bench.run(['verify', 'config', '--events', '/dev/full']);
    expect([code, stderr]).toEqual([4, expect.stringContaining('Error phase.not-allowed')]);
  });

  it('a result that cannot be written is a failure, said on stderr', async () => {
    bench = await Workbench.create(rows(1));
    const { code, stderr } = await bench.run(['validate'], {}, openSync('/dev/full', 'w'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('the result cannot be written to stdout (ENOSPC')]);
  });
});
