/**
 * Goal: a line of progress claims no more than is known. Method: messages with times go in, numbers and words come out.
 */
import { noCounts, unlimited, type Message, type ThrottleReport } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { Output } from '../terminal/output.ts';
import { percent, progressLine } from './line.ts';
import { LineSchedule } from './line-schedule.ts';
import { chooseProgress, ProgressReporter } from './reporter.ts';
import { etaRange, ProgressTracker, type Progress } from './tracker.ts';

const unpaced: ThrottleReport = {
  limitedBy: 'nothing',
  perSecondMax: null,
  p99Ms: { target: null, source: null },
  limits: unlimited,
};
const backfill = (written: number, total: number, deadLetters = 0, pace = unpaced): Message => ({
  code: 'backfill.progress',
  data: { counts: { ...noCounts, written, deadLetters }, total, chunksDone: 0, chunksTotal: 4, elapsedMs: 0, pace },
});
const at = (tracker: ProgressTracker, nowMs: number): Progress => {
  const progress = tracker.at(nowMs);
  if (progress === null) throw new Error('no progress');
  return progress;
};

describe('the tracker', () => {
  it('knows nothing before the first message', () => expect(new ProgressTracker().at(0)).toBeNull());

  it('takes the rate from the last five seconds', () => {
    const tracker = new ProgressTracker();
    for (let second = 0; second <= 10; second += 1) tracker.take(backfill(second * 100, 10_000), second * 1000);
    for (let second = 11; second <= 20; second += 1) {
      tracker.take(backfill(1000 + (second - 10) * 300, 10_000), second * 1000);
    }
    const { perSecond, etaMs } = at(tracker, 20_000);
    expect(perSecond).toBeCloseTo(300);
    // 6,000 left: at 300 a second, and at the 200 a second of the whole time.
    expect(etaMs?.map(Math.round)).toEqual([20_000, 30_000]);
  });

  it('slows down on its own when nothing comes any more', () => {
    const tracker = new ProgressTracker();
    tracker.take(backfill(0, 1000), 0);
    tracker.take(backfill(100, 1000), 1000);
    expect(at(tracker, 1000).perSecond).toBeCloseTo(100);
    expect(at(tracker, 10_000).perSecond).toBeCloseTo(10);
  });

  it("does not take a former run's keys for this one's speed", () => {
    const tracker = new ProgressTracker();
    tracker.take(backfill(9000, 10_000), 0);
    tracker.take(backfill(9100, 10_000), 1000);
    expect(at(tracker, 1000).perSecond).toBeCloseTo(100);
  });

  it('counts chunks, retries and dead letters', () => {
    const tracker = new ProgressTracker();
    const started = { plan: 'p', run: 'r', attempt: 1, chunksTotal: 4, chunksDone: 1, resumed: true };
    tracker.take({ code: 'apply.started', data: started }, 0);
    tracker.take(backfill(500, 1000, 2), 0);
    tracker.take({ code: 'chunk.done', data: { chunk: 'c', counts: noCounts } }, 0);
    tracker.take({ code: 'store.retrying', data: { what: 'w', code: 'c', tries: 1, waitMs: 1 } }, 0);
    expect(progressLine(at(tracker, 0))).toBe(
      'copying  502 of 1,000 keys (50 %), 2 of 4 chunks, 2 dead letters, 1 retry',
    );
  });

  it('expects of a verify what the plan said', () => {
    const tracker = new ProgressTracker();
    tracker.expectKeys(5001);
    tracker.take({ code: 'verify.progress', data: { keys: 1000 } }, 0);
    expect(progressLine(at(tracker, 0))).toBe('verifying  1,000 of 5,001 keys (19 %)');
  });
});

describe('the time left', () => {
  it.each<[string, number, number | null, number | null, readonly [number, number] | null]>([
    ['a range between both rates', 100, 10, 20, [5000, 10_000]],
    ['one rate twice', 100, null, 20, [5000, 5000]],
    ['unknown without a rate', 100, null, null, null],
    ['unknown while nothing moves', 100, 0, 0, null],
  ])('is %s', (_, left, now, overall, want) => expect(etaRange(left, now, overall)).toEqual(want));
});

describe('the line', () => {
  const progress: Progress = {
    stage: 'backfill',
    done: 250,
    total: 1000,
    unit: 'key',
    elapsedMs: 5000,
    perSecond: 50,
    etaMs: [15_000, 22_000],
    counts: noCounts,
    chunks: null,
    retries: 0,
    pace: unpaced,
  };
  it('has a range', () =>
    expect(progressLine(progress)).toBe('copying  250 of 1,000 keys (25 %), 50 keys/s, 15 s to 22 s left'));
  it('has one time where both round to the same', () => {
    expect(progressLine({ ...progress, etaMs: [601_000, 650_000] })).toContain('about 11 min left');
  });
  it('does not know a total where nobody does', () => {
    expect(progressLine({ ...progress, stage: 'plan', total: null, etaMs: null })).toBe('reading  250 keys, 50 keys/s');
  });
  const targetP99Ms = 50;
  it.each<[string, Partial<ThrottleReport>, string]>([
    ['the rate', { limitedBy: 'rate', perSecondMax: 500 }, 'limited by rate 500/s'],
    [
      'the target',
      {
        limitedBy: 'target-latency',
        perSecondMax: 320.4,
        p99Ms: { target: 81.6, source: null },
        limits: { ...unlimited, targetP99Ms },
      },
      'limited by target latency 320/s (p99 82 ms, limit 50 ms)',
    ],
    [
      'the source, which has told nothing yet',
      { limitedBy: 'source-latency', perSecondMax: 10 },
      'limited by source latency 10/s',
    ],
    [
      'nothing, where there is a rate',
      { perSecondMax: 2000, limits: { ...unlimited, ratePerSecond: 2000 } },
      'limited by nothing, at most 2,000/s',
    ],
    ['nothing, where latency has a limit', { limits: { ...unlimited, targetP99Ms } }, 'limited by nothing'],
  ])('says what limits: %s', (_, pace, want) =>
    expect(progressLine({ ...progress, pace: { ...unpaced, ...pace } })).toBe(
      `copying  250 of 1,000 keys (25 %), 50 keys/s, ${want}, 15 s to 22 s left`,
    ),
  );
  it('says nothing of limits elsewhere', () => {
    const tracker = new ProgressTracker();
    tracker.take(backfill(1, 2, 0, { ...unpaced, limitedBy: 'rate', perSecondMax: 1 }), 0);
    tracker.take({ code: 'letters.progress', data: { tried: { ...noCounts, written: 3, deadLetters: 1 } } }, 1);
    expect(progressLine(at(tracker, 1))).toBe('trying dead letters again  4 keys, 1 dead letter');
  });
  it.each([
    [0, 0, 100],
    [999, 1000, 99],
    [9_999_999, 10_000_000, 99],
    [1000, 1000, 100],
  ])('%i of %i is %i %', (done, total, want) => expect(percent(done, total)).toBe(want));
});

describe('lines in a log', () => {
  const step = (done: number, total: number | null, stage: Progress['stage'] = 'backfill'): Progress => ({
    stage,
    done,
    total,
    unit: 'key',
    elapsedMs: 0,
    perSecond: null,
    etaMs: null,
    counts: noCounts,
    chunks: null,
    retries: 0,
    pace: null,
  });
  it('come at the start, after 5 %, after 10 s, at a new stage, and never twice a second', () => {
    const schedule = new LineSchedule();
    const asked: [Progress, number, boolean][] = [
      [step(0, 1000), 0, true],
      [step(900, 1000), 999, false],
      [step(49, 1000), 1500, false],
      [step(50, 1000), 1600, true],
      [step(51, 1000), 11_599, false],
      [step(51, 1000), 11_600, true],
      [step(0, null, 'verify'), 11_700, true],
    ];
    expect(asked.map(([progress, nowMs]) => schedule.isDue(progress, nowMs))).toEqual(asked.map(([, , due]) => due));
  });
});

describe('the reporter', () => {
  it.each([
    [{ flag: 'auto', quiet: false, stderrIsTty: true, ci: undefined }, 'live'],
    [{ flag: 'auto', quiet: false, stderrIsTty: true, ci: 'true' }, 'lines'],
    [{ flag: 'auto', quiet: false, stderrIsTty: false, ci: undefined }, 'lines'],
    [{ flag: 'live', quiet: true, stderrIsTty: true, ci: undefined }, 'none'],
    [{ flag: 'none', quiet: false, stderrIsTty: true, ci: undefined }, 'none'],
  ] as const)('for %o shows %s', (question, want) => expect(chooseProgress(question)).toBe(want));

  it('makes way for a note and draws again behind it', () => {
    const seen: string[] = [];
    const output = new Output(
      { write: (text) => seen.push(`out ${text}`) },
      { write: (text) => seen.push(`err ${text}`) },
    );
    const redraw = Object.assign((text: string) => void seen.push(`draw ${text}`), {
      clear: () => void seen.push('clear'),
    });
    const reporter = new ProgressReporter('live', output, redraw, () => 0);
    reporter.begin('reading old and new');
    output.note('Warning: x');
    reporter.end();
    output.note('later');
    expect(seen).toEqual([
      'draw reading old and new ...',
      'clear',
      'err Warning: x\n',
      'draw reading old and new ...',
      'clear',
      'err later\n',
    ]);
  });

  it('draws with the messages when no timer gets its turn, ten times a second at most', () => {
    const drawn: string[] = [];
    const redraw = Object.assign((text: string) => void drawn.push(text), { clear: () => undefined });
    let nowMs = 0;
    const reporter = new ProgressReporter('live', new Output({ write: none }, { write: none }), redraw, () => nowMs);
    for (; nowMs < 1000; nowMs += 10) reporter.message(backfill(nowMs, 1000));
    reporter.end();
    expect(drawn).toHaveLength(10);
  });
});

const none = (): void => undefined;
