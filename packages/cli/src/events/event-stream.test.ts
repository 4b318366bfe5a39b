/**
 * Goal: a reader can follow a run by its events alone. Method: a stream with a clock of its own, its lines parsed again.
 */
import { EventEmitter } from 'node:events';
import { noCounts, unlimited, type Message } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { EventStream, type EventLevel } from './event-stream.ts';
import { streamSink } from './sinks.ts';

function record(least: EventLevel = 'info') {
  const lines: string[] = [];
  let nowMs = Date.parse('2026-11-21T06:30:00Z');
  let closed = false;
  const broken: string[] = [];
  const stream = new EventStream({
    sink: { write: (line) => void lines.push(line), close: () => void (closed = true) },
    clean: (value) => JSON.parse(JSON.stringify(value).replaceAll('hunter2', '[redacted]')) as unknown,
    nowMs: () => nowMs,
    least,
    onBroken: (why) => void broken.push(why),
  });
  const events = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { stream, events, lines, wait: (ms: number) => (nowMs += ms), isClosed: () => closed };
}
const pace = {
  limitedBy: 'nothing',
  perSecondMax: null,
  p99Ms: { target: null, source: null },
  limits: unlimited,
} as const;
const progress = (written: number): Message => ({
  code: 'backfill.progress',
  data: { counts: { ...noCounts, written }, total: 10, chunksDone: 0, chunksTotal: 1, elapsedMs: 0, pace },
});
const started: Message = {
  code: 'apply.started',
  data: { plan: 'pln_1', run: 'run_1', attempt: 1, chunksTotal: 2, chunksDone: 0, resumed: false },
};

describe('the event stream', () => {
  it('begins with the version, ends with the exit code, and counts its lines', () => {
    const { stream, events, isClosed } = record();
    stream.migration = 'm';
    stream.message(started);
    stream.end(0, null);
    expect(events().map(({ seq, type, migration, run }) => [seq, type, migration, run])).toEqual([
      [1, 'version', null, null],
      [2, 'apply.started', 'm', 'run_1'],
      [3, 'end', 'm', 'run_1'],
    ]);
    expect(events()[0]).toMatchObject({
      at: '2026-11-21T06:30:00.000Z',
      level: 'info',
      data: { format: 'keyferry.events' },
    });
    expect(events()[2]).toMatchObject({ data: { exitCode: 0, error: null } });
    expect(isClosed()).toBe(true);
  });

  it('has every member in every line, one line an event', () => {
    const { stream, events, lines } = record('debug');
    stream.message({ code: 'chunk.claimed', data: { chunk: 'c00000', worker: 'run_1.w0', token: 1 } });
    for (const event of events()) {
      expect(Object.keys(event)).toEqual(['at', 'seq', 'type', 'level', 'message', 'migration', 'run', 'data']);
    }
    expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
  });

  it('shows progress at most once a second, of each kind', () => {
    const { stream, events, wait } = record();
    for (let i = 0; i < 25; i += 1) {
      stream.message(progress(i));
      wait(100);
    }
    stream.message({ code: 'verify.progress', data: { keys: 1 } });
    expect(events().map(({ type }) => type)).toEqual([
      'version',
      'backfill.progress',
      'backfill.progress',
      'backfill.progress',
      'verify.progress',
    ]);
  });

  it('leaves out what is below its level', () => {
    const { stream, events } = record();
    stream.message({ code: 'chunk.claimed', data: { chunk: 'c00000', worker: 'run_1.w0', token: 1 } });
    expect(events()).toHaveLength(1);
  });

  it('is redacted, and says nothing after its end', () => {
    const { stream, lines } = record();
    stream.emit({ type: 'error', level: 'error', message: 'password hunter2 refused', data: { detail: 'hunter2' } });
    stream.end(1, 'store.auth-failed');
    stream.message(started);
    expect(lines).toHaveLength(3);
    expect(lines.join('')).not.toContain('hunter2');
  });

  it('tells stacks to a log in full detail only', () => {
    const [stream, log] = [record(), record('debug')];
    for (const { stream: each } of [stream, log]) {
      each.emit({ type: 'error', level: 'error', message: 'm', data: {}, stack: 'at x' });
    }
    expect(stream.events()[1]).toMatchObject({ data: {} });
    expect(log.events()[1]).toMatchObject({ data: { stack: 'at x' } });
  });

  it('is left at its first failed write, said once, and never throws into the run', () => {
    const broken: string[] = [];
    let writes = 0;
    const stream = new EventStream({
      sink: {
        write: () => {
          writes += 1;
          throw new Error('ENOSPC: no space left on device, write');
        },
        close: () => {
          throw new Error('EBADF');
        },
      },
      clean: (value) => value,
      nowMs: () => 0,
      least: 'info',
      onBroken: (why) => void broken.push(why),
    });
    stream.message(started);
    stream.end(0, null);
    expect([writes, broken]).toEqual([1, ['ENOSPC: no space left on device, write']]);
  });

  it('is left when its stream fails later', () => {
    const stdout = Object.assign(new EventEmitter(), { write: () => true });
    const broken: string[] = [];
    const sink = streamSink(stdout);
    const stream = new EventStream({
      sink,
      clean: (value) => value,
      nowMs: () => 0,
      least: 'info',
      onBroken: (why) => void broken.push(why),
    });
    stdout.emit('error', new Error('EPIPE: broken pipe, write'));
    stream.message(started);
    stream.message(started);
    expect(broken).toEqual(['EPIPE: broken pipe, write']);
  });
});
