/**
 * Goal: what a function writes are lines that CloudWatch understands, without a secret, and not one for each batch.
 * Method: messages and metrics through a host that keeps its lines.
 */
import { Redactor } from '@keyferry/adapters';
import { KeyferryError, noCounts, unlimited, type Message } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { FunctionHost } from './function-host.ts';
import { count, milliseconds, writeMetrics } from './metrics.ts';

function hostOf(secret = 'hunter22') {
  const redactor = new Redactor();
  redactor.add(secret);
  const lines: string[] = [];
  const host = new FunctionHost(redactor, (line) => void lines.push(line));
  host.begin({ migration: 'move', function: 'backfill', requestId: 'r-1', warm: false });
  return { host, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const progress: Message = {
  code: 'backfill.progress',
  data: {
    counts: noCounts,
    total: 1,
    chunksDone: 0,
    chunksTotal: 1,
    elapsedMs: 0,
    pace: { limitedBy: 'nothing', perSecondMax: null, p99Ms: { source: null, target: null }, limits: unlimited },
  },
};
const retrying = (code: string): Message => ({
  code: 'store.retrying',
  data: { what: 'scan', code, tries: 1, waitMs: 5 },
});

describe('a line', () => {
  it('says when, how grave, where and what', () => {
    const { host, parsed } = hostOf();
    host.emit({ code: 'chunk.lost', data: { chunk: 'c00001', worker: 'run_A.w0', token: 2 } });
    expect(parsed()).toEqual([
      {
        at: expect.stringMatching(/Z$/) as unknown,
        level: 'warning',
        migration: 'move',
        function: 'backfill',
        requestId: 'r-1',
        warm: false,
        message: 'chunk.lost',
        data: { chunk: 'c00001', worker: 'run_A.w0', token: 2 },
      },
    ]);
  });

  it('holds no secret, whoever lets it out', () => {
    const { host, lines } = hostOf();
    host.log('info', 'x', { url: 'http://root:hunter22@a' });
    host.failure(new Error('refused: hunter22'));
    host.failure(new KeyferryError('store.unreachable', { store: 'new', detail: 'password hunter22' }));
    expect(lines).toHaveLength(3);
    expect(lines.join('')).not.toContain('hunter22');
  });

  it('of progress comes once a second at most, and details not at all unless they are asked for', () => {
    const { host, parsed } = hostOf();
    for (let i = 0; i < 100; i += 1) host.emit(progress);
    host.emit({ code: 'chunk.claimed', data: { chunk: 'c00001', worker: 'run_A.w0', token: 2 } });
    expect(parsed().map(({ message }) => message)).toEqual(['backfill.progress']);
  });

  it('about a failure has its code and what to do', () => {
    const { host, parsed } = hostOf();
    host.failure(new KeyferryError('slices.not-fit', { migration: 'move', why: 'it does not fence' }));
    expect(parsed()[0]).toMatchObject({
      level: 'error',
      message: 'slices.not-fit',
      data: { retry: 'never', remedy: expect.stringContaining('keyferry apply move') as unknown },
    });
  });
});

describe('metrics', () => {
  it('are one line in the embedded format', () => {
    const { host, parsed } = hostOf();
    const dimensions = { Migration: 'move', Function: 'backfill' };
    writeMetrics(host, dimensions, { RecordsDone: count(7), SlowestRequest: milliseconds(12.6) });
    writeMetrics(host, dimensions, {});
    expect(parsed()).toEqual([
      {
        _aws: {
          Timestamp: expect.any(Number) as unknown,
          CloudWatchMetrics: [
            {
              Namespace: 'Keyferry',
              Dimensions: [['Migration'], ['Migration', 'Function']],
              Metrics: [
                { Name: 'RecordsDone', Unit: 'Count' },
                { Name: 'SlowestRequest', Unit: 'Milliseconds' },
              ],
            },
          ],
        },
        ...dimensions,
        RecordsDone: 7,
        SlowestRequest: 13,
      },
    ]);
  });

  it('count what was repeated, and what was refused for being too much, anew in each invocation', () => {
    const { host } = hostOf();
    for (const code of ['state.throttled', 'store.timeout', 'state.busy']) host.emit(retrying(code));
    expect(host.counted).toEqual({ retries: 3, throttled: 2 });
    host.begin({ migration: 'move', function: 'backfill', requestId: 'r-2', warm: true });
    expect(host.counted).toEqual({ retries: 0, throttled: 0 });
  });
});
