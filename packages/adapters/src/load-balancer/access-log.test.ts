/**
 * Goal: requests are read from the logs that nginx and HAProxy write by default, and from nothing else.
 * Method: lines as both wrote them; a latency's place is held against a sorted list.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apiPrefix, Latencies, parseLogLine } from './access-log.ts';

describe('parseLogLine', () => {
  it('reads the combined format of nginx, in any zone', () => {
    const line =
      '10.1.2.3 - bob smith [28/Nov/2026:06:05:04 +0130] "GET /apis/ccompat/v6/subjects?a=1 HTTP/1.1" 200 512 "-" "Java/17"';
    expect(parseLogLine(line)).toEqual({
      client: '10.1.2.3',
      atMs: Date.UTC(2026, 10, 28, 4, 35, 4),
      method: 'GET',
      target: '/apis/ccompat/v6/subjects?a=1',
      status: 200,
      tookMs: null,
    });
  });

  it.each(['0.012', 'rt=0.012', '"0.012"'])('takes a last field %s for the time that it took', (field) => {
    const line = `::1 - - [28/Nov/2026:06:05:04 +0000] "POST /x HTTP/1.1" 405 2 "-" "curl" ${field}`;
    expect(parseLogLine(line)).toMatchObject({ client: '::1', status: 405, tookMs: 12 });
  });

  it('reads httplog of HAProxy, bare and behind syslog', () => {
    const bare =
      '10.1.2.3:51234 [28/Nov/2026:06:05:04.567] web apicurio/a 0/0/1/30/31 200 512 - - ---- 2/2/0/0/0 0/0 "PUT /apis/registry/v2/groups HTTP/1.1"';
    const want = { client: '10.1.2.3', method: 'PUT', target: '/apis/registry/v2/groups', status: 200, tookMs: 31 };
    expect(parseLogLine(bare)).toMatchObject(want);
    expect(parseLogLine(bare)?.atMs).toBe(new Date(2026, 10, 28, 6, 5, 4, 567).getTime());
    expect(parseLogLine(`Nov 28 06:05:04 lb haproxy[12]: ${bare}`)).toMatchObject(want);
    const aborted = bare.replace('0/0/1/30/31 200', '-1/-1/-1/-1/-1 -1');
    expect(parseLogLine(aborted)).toMatchObject({ tookMs: null });
  });

  it.each(['', '[notice] 12#12: signal process started', '{"request": "GET / HTTP/1.1"}'])('passes over %j', (line) => {
    expect(parseLogLine(line)).toBeNull();
  });
});

describe('apiPrefix', () => {
  it.each([
    ['/apis/ccompat/v6/subjects/s', '/apis/ccompat/v6'],
    ['/apis/registry/v2?x=/apis/a/b', '/apis/registry/v2'],
    ['http://h/apis/cncf/v0/x', '/apis/cncf/v0'],
    ['/ui/apis/registry/v2', null],
    ['/apis/registry', null],
  ])('%s', (target, want) => {
    expect(apiPrefix(target)).toBe(want);
  });
});

describe('Latencies', () => {
  it('law: a quantile is within 3 % of the true one', () => {
    const law = fc.property(fc.array(fc.integer({ min: 1, max: 3_600_000 }), { minLength: 1 }), (all) => {
      const latencies = new Latencies();
      for (const ms of all) latencies.add(ms);
      const sorted = all.toSorted((a, b) => a - b);
      const truth = sorted[Math.ceil(0.99 * sorted.length) - 1] ?? 0;
      const said = latencies.quantile(0.99) ?? 0;
      return Math.abs(said - truth) <= Math.max(0.03 * truth, 1);
    });
    fc.assert(law);
    expect(new Latencies().quantile(0.5)).toBeNull();
  });
});
