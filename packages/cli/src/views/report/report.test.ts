/**
 * Goal: a report says what happened, in each of its forms, and its page needs nothing, runs nothing and leaks nothing.
 * Method: made-up runs; the page is taken apart as text: tags in pairs, no reference to anything outside, keys escaped.
 */
import { noCounts, type RunRecord } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { nowMs } from '../../../test/fixtures/plan.ts';
import { applyRun, reported, reportedDeviated } from '../../../test/fixtures/report.ts';
import { plainPalette } from '../../terminal/palette.ts';
import type { ViewContext } from '../view.ts';
import { scaleTo } from './charts/axis.ts';
import { courseOf } from './course.ts';
import { reportHtml } from './html.ts';
import { reportView } from './index.ts';
import { reportMarkdown } from './markdown.ts';
import { markup, Markup } from './markup.ts';

const context: ViewContext = { palette: plainPalette, nowMs, configFlag: null, holderIsGone: () => false };
const empty = {
  ...reported,
  status: { ...reported.status, counts: null, plan: null },
  run: null,
  verified: null,
  runs: [],
  events: [],
};
const neverWritten: RunRecord = {
  ...applyRun,
  samples: { spanMs: 100, samples: [] },
  chunks: [],
  verify: null,
  outcome: 'store.unreachable',
};
const backup = {
  side: 'target',
  store: 'new|er',
  what: 'snapshot',
  path: 'backups/move<1>.db',
  bytes: 20_512,
  sha256: 'ab'.repeat(32),
  takenAt: '2026-11-21T06:30:00.000Z',
} as const;
const backedUp = {
  ...reported,
  status: { ...reported.status, state: reported.status.state && { ...reported.status.state, backups: [backup] } },
};
const pages = [
  { name: 'as planned', data: reported },
  { name: 'not as planned', data: reportedDeviated },
  { name: 'of a state that knows little', data: empty },
  { name: 'of a run that wrote nothing', data: { ...reported, run: neverWritten, verified: null } },
  { name: 'with a backup', data: backedUp },
];

it('each form of a report names the backups, and how they are restored', () => {
  const command = /etcdutl snapshot restore \S+/;
  const text = reportView.human({ data: backedUp, markdown: false, htmlFile: null }, context);
  const document = reportView.json({ data: backedUp, markdown: false, htmlFile: null }, []) as object;
  for (const form of [text, reportMarkdown(backedUp), reportHtml(backedUp, nowMs)]) {
    expect(form).toMatch(command);
    expect(form).toMatch(/backups\/move(<|&lt;)1(>|&gt;)\.db/);
  }
  expect(document).toMatchObject({ backups: [backup] });
  expect(reportView.json({ data: reported, markdown: false, htmlFile: null }, [])).toMatchObject({ backups: [] });
});

describe('the page', () => {
  it.each(pages)('$name needs nothing from outside and runs nothing', ({ data }) => {
    const page = reportHtml(data, nowMs);
    expect(page).toContain('content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;"');
    expect(page).not.toMatch(
      /<script|<link|<img|<iframe|<object|\ssrc=|\shref=|@import|url\(|https?:|javascript:|\son\w+=/i,
    );
  });

  it.each(pages)('$name closes what it opens, in order', ({ data }) => {
    const page = reportHtml(data, nowMs).replace(/<style>.*<\/style>/s, '');
    const open: string[] = [];
    const unmatched: string[] = [];
    for (const [, close, tag = '', self] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?(\/?)>/gi)) {
      if (close === '/') {
        if (open.pop() !== tag) unmatched.push(tag);
      } else if (self !== '/' && tag !== 'meta') open.push(tag);
    }
    expect({ open, unmatched }).toEqual({ open: [], unmatched: [] });
    expect(page).not.toMatch(/undefined|NaN|Infinity|\[object/);
  });

  it('draws throughput, latency, chunks and buckets, each with words for those who do not see it', () => {
    const page = reportHtml(reported, nowMs);
    const charts = [...page.matchAll(/<svg[^>]* aria-label="([^:"]+): [^"]+"/g)].map(([, title]) => title);
    expect(charts).toEqual([
      'Throughput over time',
      'Write latency over time',
      'Chunks by worker over time',
      'Digests by bucket',
    ]);
    expect(page).toContain('2 failed at 3 s');
    expect(page.match(/<rect class="bar a"/g)).toHaveLength(4 + 16);
  });

  it('marks the bucket that differs by more than a colour', () => {
    expect(reportHtml(reported, nowMs)).not.toContain('≠');
    expect(reportHtml(reportedDeviated, nowMs).match(/≠/g)).toHaveLength(1);
  });

  it('shows keys as text, whatever they hold, and says which are sensitive', () => {
    const page = reportHtml(reportedDeviated, nowMs);
    expect(page).toContain('/config/&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain('base64:/wA=');
    expect(page).toContain('/config/db/password</span> <span class="tag">sensitive</span>');
    expect(page).toContain('and 1,200 more in the state');
    expect(page).toContain('&lt;b&gt;why&lt;/b&gt; &amp; &quot;so&quot;');
  });

  it('has no row per record: it stays small', () => {
    expect(reportHtml(reported, nowMs).length).toBeLessThan(60_000);
  });
});

describe('markup', () => {
  it('escapes what is text and leaves what is markup', () => {
    expect(markup`<b>${`<"&'>`}${[markup`<i>${1}</i>`, 'x<']}${null}</b>`.text).toBe(
      '<b>&lt;&quot;&amp;&#39;&gt;<i>1</i>x&lt;</b>',
    );
    expect(new Markup('<hr>').text).toBe('<hr>');
  });
});

describe('the course of a run', () => {
  it('ends where its last chunk did, and has no tower at its end', () => {
    const { samples } = applyRun.samples;
    const stub: RunRecord = {
      ...applyRun,
      samples: { spanMs: 1000, samples: [...samples, { written: 500, other: 0, failures: 0, writes: [] }] },
      chunks: [{ ...(applyRun.chunks[0] as (typeof applyRun.chunks)[0]), toMs: 8001 }],
    };
    const { steps, endMs, records } = courseOf(stub);
    expect(endMs).toBe(8001);
    expect(steps).toHaveLength(8);
    expect(records).toBe(8 * 1500 + 28 + 28 + 500);
    expect(Math.max(...steps.map(({ perSecond }) => perSecond))).toBeLessThan(2100);
  });

  it('that wrote nothing has none', () => {
    expect(courseOf(neverWritten)).toMatchObject({ steps: [], records: 0, p99Ms: null, endMs: 0 });
  });
});

describe('a scale', () => {
  it.each([
    [0, [0, 1]],
    [7, [0, 2, 4, 6, 8]],
    [0.3, [0, 0.1, 0.2, 0.3]],
    [12_000, [0, 5000, 10_000, 15_000]],
  ])('up to %d has round ticks', (max, ticks) => expect(scaleTo(max).ticks).toEqual(ticks));
});

describe('the report', () => {
  const shown = { markdown: false, htmlFile: null };

  it('reads as text', () => {
    expect(reportView.human({ data: reported, ...shown }, context)).toMatchInlineSnapshot(`
      "Report config-v2-to-v3   verified, both sides agree   plan pln_01JDA3WQ7K, attempt 1

                         planned      done
        written           12,310    12,310   created by this migration
        equal                  1         1   was there already
        kept                   1         1   target differs
        tombstoned             0         0
        dead letters           0         0
        not carried          292       292
        scanned           12,604    12,604

      Course   12,056 records in 7.9 s, 1,526 keys/s; 77 write requests, 2 failed and were repeated, write latency p50 38 ms, p99 256 ms, slowest 256 ms

      Both sides   agree, as of 2026-11-21 06:30:40 UTC
        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a
        target   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a

      Runs
        run_01JDA3XA7K  apply  2026-11-21 06:30 UTC  10.5 s  done  deploy@ci-17, pid 4711

      Next: keyferry finalize config-v2-to-v3
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });

  it('names what is not as planned', () => {
    const page = reportView.human({ data: reportedDeviated, ...shown }, context);
    expect(page).toContain('both sides differ');
    expect(page).toContain('! 3 keys differ between the sides');
    expect(page).toContain('x /config/db/password');
    expect(page).toContain('and 1,200 more');
  });

  it('is Markdown in which keys cannot forge anything', () => {
    const text = reportMarkdown(reportedDeviated);
    expect(text).toContain('| tombstoned | 0 | **1** |');
    expect(text).toContain('- `/config/db/password` (sensitive) request is too large');
    expect(text).toContain('\\<b\\>why');
  });

  it('is a document with counts that add up', () => {
    const document = reportView.json({ data: reported, ...shown }, []) as unknown as Record<string, unknown>;
    expect(document).toMatchObject({
      format: 'keyferry.report',
      verdict: 'verified, both sides agree',
      counts: { written: 12_310, scanned: 12_604 },
      run: { run: 'run_01JDA3XA7K', outcome: 'done', course: { records: 12_056 } },
      next: 'keyferry finalize config-v2-to-v3',
    });
    expect(JSON.stringify(document)).not.toContain('[3f1c9a2e');
  });

  it('of a finalized migration says that the way back has ended, and who ended it', () => {
    const done = {
      format: 'keyferry.done',
      formatVersion: '1.0',
      keyferryVersion: '0.1.0',
      migration: reported.status.migration,
      plan: applyRun.plan,
      attempt: 1,
      run: applyRun.run,
      by: 'ops@ci',
      startedAt: '2026-11-21T06:30:00.000Z',
      finalizedAt: '2026-11-21T06:40:00.000Z',
      source: { store: 'a', prefix: { text: '/' }, position: '1', digest: { count: 0, sum: '' } },
      target: { store: 'b', prefix: { text: '/' }, position: '2', digest: { count: 0, sum: '' } },
      counts: noCounts,
    } as const;
    const state = {
      ...(reported.status.state as NonNullable<typeof reported.status.state>),
      phase: 'finalized',
      done,
    } as const;
    const page = reportHtml({ ...reported, status: { ...reported.status, state } }, nowMs);
    expect(page).toContain('finalized, proven equal');
    expect(page).toContain('none: finalized at 2026-11-21 06:40 UTC by ops@ci');
    expect(page).toContain('nothing is left to do');
  });
});
