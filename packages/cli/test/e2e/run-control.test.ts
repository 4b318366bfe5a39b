/**
 * Goal: a run can be slowed, paused, stopped and mended by whoever watches it, from another process, and whatever is done
 * to it the counts are exact in the end.
 * Method: the built binary from a file into a real etcd, slow enough to be met half-way; each step is taken at a line of
 * the run's own log, and judged by what the engine reports and the server holds, never by a clock. Dead letters are real:
 * the server is started with a request limit below the largest values, and restarted without.
 */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readV3 } from './etcd-data.ts';
import { MigrationFolder, until, type LogLine } from './migration-folder.ts';

const server = await serverOrSkip('etcd-3.5');
const keyCount = 3000;
const largeValue = 'x'.repeat(100_000);
const smallRequests = ['--max-request-bytes=65536'];

interface PaceReport {
  readonly limitedBy: string;
  readonly perSecondMax: number | null;
}
const paceOf = ({ data }: LogLine): PaceReport => data['pace'] as PaceReport;

describe.skipIf(!server.ok)(`a run, from another terminal${server.ok ? '' : server.note}`, () => {
  let etcd: EtcdServer;
  let folder: MigrationFolder;
  let prefix: string;
  let prefixes = 0;

  /** Under a prefix of its own in the target, planned. */
  const planned = async (limits: object, large: readonly number[] = [], more: object = {}): Promise<void> => {
    prefixes += 1;
    prefix = `/${prefixes}/`;
    folder = await MigrationFolder.create({
      source: { kind: 'file', path: 'source.ndjson', format: 'ndjson' },
      target: { kind: 'etcd-v3', endpoints: etcd.endpoints, reservedPrefix: `own${prefixes}/` },
      targetPrefix: prefix,
      settings: { limits: { chunkKeys: 500, workers: 2, ...limits }, ...more },
    });
    const lines = Array.from({ length: keyCount }, (_, i) => ({
      key: `/config/${String(i).padStart(5, '0')}`,
      value: large.includes(i) ? largeValue : `value ${i}`,
    }));
    await folder.write('source.ndjson', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect((await folder.run(['plan', 'move', '--out', 'move.kfplan'])).exitCode).toBe(0);
  };
  const apply = (...flags: readonly string[]) => folder.start(['apply', 'move.kfplan', ...flags]);
  const inTarget = async (): Promise<number> => (await readV3(etcd.endpoints[0] as string, prefix)).size;
  const whole = { outcome: 'done', counts: { written: keyCount, equal: 0, kept: 0, deadLetters: 0 } };

  beforeAll(async () => {
    etcd = await startEtcd({ version: '3.5', unsafeNoFsync: true, extraArgs: smallRequests });
  });
  afterEach(() => folder.remove());
  afterAll(() => etcd?.stop());

  it('is paused, writes nothing while it is, and goes on with exact counts once it is resumed', async () => {
    await planned({ rate: '40/s' });
    const run = apply();
    await run.reaches('backfill.progress', 3);
    expect(await folder.run(['runs', 'pause', 'move'])).toMatchObject({
      exitCode: 0,
      document: { format: 'keyferry.run-control', changed: true, control: { standing: 'paused' } },
    });
    expect(await run.output).toMatchObject({
      exitCode: 6,
      document: { error: { code: 'run.stopped', details: { why: expect.stringMatching(/^paused by .+@/) as string } } },
    });
    const stopped = await inTarget();
    expect(stopped).toBeGreaterThan(0);
    expect(stopped).toBeLessThan(keyCount);
    expect((await folder.run(['runs', 'show', 'move'])).document).toMatchObject({
      running: false,
      counts: { written: stopped },
      control: { standing: 'paused' },
      next: 'keyferry runs resume move',
    });
    expect(await apply().output).toMatchObject({ exitCode: 4, document: { error: { code: 'run.paused' } } });
    expect(await inTarget()).toBe(stopped);

    expect((await folder.run(['runs', 'resume', 'move'])).exitCode).toBe(0);
    expect((await folder.run(['runs', 'throttle', 'move', '--rate', '100000/s'])).exitCode).toBe(0);
    expect(await apply().output).toMatchObject({ exitCode: 0, document: { resumed: true, ...whole } });
    expect(await inTarget()).toBe(keyCount);
  });

  it('takes another rate while it works, and says by what it is limited', async () => {
    await planned({ rate: '40/s' });
    const run = apply();
    await run.reaches('backfill.progress', 4);
    const shown = await folder.run(['runs', 'list']);
    expect(shown.document).toMatchObject({ runs: [{ migration: 'move', phase: 'applying', running: true }] });
    expect((await folder.run(['runs', 'throttle', 'move', '--rate', '1000000/s'])).exitCode).toBe(0);
    expect(await run.output).toMatchObject({ exitCode: 0, document: whole });
    const log = await run.log();
    const at = log.findIndex(({ type }) => type === 'run.throttled');
    const paces = (lines: readonly LogLine[]) => lines.filter(({ type }) => type === 'backfill.progress').map(paceOf);
    const [before, after] = [paces(log.slice(0, at)), paces(log.slice(at))];
    expect(before.some(({ limitedBy }) => limitedBy === 'rate')).toBe(true);
    expect(new Set(before.map(({ perSecondMax }) => perSecondMax))).toEqual(new Set([40]));
    // Progress is told once a second, and the rest may take less.
    expect(after.every(({ perSecondMax }) => perSecondMax === 1_000_000)).toBe(true);
    // At the former rate, the rest would have taken many times as long.
    const [heardAt, endedAt] = [log[at], log.at(-1)].map((line) => Date.parse(line?.at ?? ''));
    expect(endedAt as number).toBeLessThan((heardAt as number) + (keyCount / 2 / 40) * 1000);
  });

  it('slows down while the target is slower than it should be', async () => {
    // No server answers a request within a millisecond for long: the run must fall back, and must end all the same.
    await planned({ rate: '300/s', targetP99: '1ms' });
    const run = apply();
    const heldBack = (line: LogLine): boolean =>
      line.type === 'backfill.progress' && paceOf(line).limitedBy === 'target-latency';
    await until(async () => (await run.log()).some(heldBack));
    const { perSecondMax } = paceOf((await run.log()).find(heldBack) as LogLine);
    expect(perSecondMax).toBeLessThan(300);
    const off = ['--target-p99', '1h', '--rate', '1000000/s'];
    expect((await folder.run(['runs', 'throttle', 'move', ...off])).exitCode).toBe(0);
    expect(await run.output).toMatchObject({ exitCode: 0, document: whole });
  });

  it('stops after so many chunks, or when its time is over, and the next one goes on', async () => {
    await planned({ rate: '1000/s' });
    expect(await apply('--chunks-max', '2').output).toMatchObject({
      exitCode: 6,
      document: { error: { code: 'run.stopped', details: { why: 'after 2 chunks; 2 of 6 are done' } } },
    });
    expect(await inTarget()).toBe(1000);
    expect(await apply('--timeout', '1s').output).toMatchObject({
      exitCode: 6,
      document: { error: { code: 'run.interrupted', details: { signal: 'timeout' } } },
    });
    expect((await folder.run(['runs', 'throttle', 'move', '--rate', '1000000/s'])).exitCode).toBe(0);
    expect(await apply().output).toMatchObject({ exitCode: 0, document: whole });
  });

  it('is cancelled for good: only a new plan or the way back leads on', async () => {
    await planned({ rate: '300/s' });
    const run = apply();
    await run.reaches('backfill.progress', 3);
    expect((await folder.run(['runs', 'cancel', 'move'])).exitCode).toBe(0);
    const cancelled = { exitCode: 4, document: { error: { code: 'run.cancelled' } } };
    expect(await run.output).toMatchObject(cancelled);
    expect(await apply().output).toMatchObject(cancelled);
    expect(await folder.run(['runs', 'resume', 'move'])).toMatchObject(cancelled);
    const removed = await inTarget();
    expect(await folder.run(['rollback', 'move', '--yes'])).toMatchObject({ exitCode: 0, document: { removed } });
    expect(await inTarget()).toBe(0);
  });

  it('that was cancelled is begun anew by the name of its migration, with a plan of its own', async () => {
    await planned({});
    expect((await folder.run(['apply', 'move', '--yes', '--chunks-max', '1'])).exitCode).toBe(6);
    expect((await folder.run(['runs', 'cancel', 'move'])).exitCode).toBe(0);
    expect(await folder.run(['apply', 'move', '--yes'])).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', attempt: 2, resumed: false, counts: { written: keyCount - 500, equal: 500 } },
    });
    expect((await folder.run(['rollback', 'move', '--yes'])).document).toMatchObject({ removed: keyCount, left: 0 });
  });

  it('stops once too many records are dead letters, and ends well when their cause is mended', async () => {
    const large = Array.from({ length: 30 }, (_, i) => i * 100);
    await planned({ deadLettersMax: 4 }, large, { sensitive: ['**/00100'] });
    expect(await apply().output).toMatchObject({
      exitCode: 7,
      document: { error: { code: 'dead-letters.over-budget', details: { deadLettersMax: 4 } } },
    });
    const { document } = await folder.run(['runs', 'show', 'move', '--dead-letters']);
    const shown = document as {
      readonly counts: { readonly deadLetters: number; readonly written: number };
      readonly deadLetters: readonly { readonly targetKey: { readonly text: string }; readonly sensitive: boolean }[];
      readonly next: string;
    };
    const dead = shown.deadLetters.length;
    expect(dead).toBeGreaterThan(4);
    expect(shown.counts).toMatchObject({ deadLetters: dead, written: await inTarget() });
    expect(shown.next).toBe('keyferry runs retry move');
    for (const { targetKey, sensitive } of shown.deadLetters) {
      const name = targetKey.text.slice(prefix.length);
      expect(large).toContain(Number(name));
      expect(sensitive).toBe(name === '00100');
    }
    expect(JSON.stringify(document)).not.toContain(largeValue.slice(0, 100));

    // Nothing is mended yet: they stay dead, and nothing is lost.
    expect(await folder.run(['runs', 'retry', 'move'])).toMatchObject({
      exitCode: 7,
      document: { outcome: 'unfinished', tried: { written: 0, deadLetters: dead } },
    });
    await etcd.members[0]?.restart({ extraArgs: [] });
    expect(await folder.run(['runs', 'retry', 'move'])).toMatchObject({
      exitCode: 0,
      document: { outcome: 'unfinished', tried: { written: dead, deadLetters: 0 }, next: 'keyferry apply move.kfplan' },
    });
    expect(await apply().output).toMatchObject({ exitCode: 0, document: whole });
    expect(await inTarget()).toBe(keyCount);
    await etcd.members[0]?.restart({ extraArgs: smallRequests });
  });

  it('that has come to its end with dead letters is as planned after a retry', async () => {
    await planned({}, [7, 1007]);
    expect(await apply().output).toMatchObject({
      exitCode: 7,
      document: { outcome: 'deviated', counts: { written: keyCount - 2, deadLetters: 2 } },
    });
    await etcd.members[0]?.restart({ extraArgs: [] });
    expect(await folder.run(['runs', 'retry', 'move'])).toMatchObject({
      exitCode: 0,
      document: { outcome: 'done', tried: { written: 2 }, verify: { verdict: 'agree' }, counts: { written: keyCount } },
    });
    expect((await folder.run(['status', 'move'])).document).toMatchObject({
      migrations: [{ phase: 'verified', deadLetters: [] }],
    });
    expect(await folder.run(['verify', 'move'])).toMatchObject({ exitCode: 0 });
    expect((await folder.run(['rollback', 'move', '--yes'])).document).toMatchObject({ removed: keyCount, left: 0 });
    await etcd.members[0]?.restart({ extraArgs: smallRequests });
  });

  it('refuses calls that say nothing or too much, and runs that are not there', async () => {
    await planned({});
    const codeOf = async (...args: readonly string[]) => (await folder.run(args)).exitCode;
    expect(await codeOf('runs', 'throttle', 'move')).toBe(64);
    expect(await codeOf('runs', 'throttle', 'move', '--rate', '500')).toBe(64);
    expect(await codeOf('runs', 'throttle', 'move', '--off', '--rate', '5/s')).toBe(64);
    expect(await codeOf('runs', 'show', 'run_NONE')).toBe(64);
    expect(await codeOf('runs', 'pause', 'moev')).toBe(64);
    expect(await codeOf('runs', 'pause', 'move')).toBe(4);
    expect(await folder.run(['runs', 'list'])).toMatchObject({ exitCode: 0, document: { runs: [] } });
  });
});
