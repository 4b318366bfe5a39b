/**
 * Goal: whoever looks at a run sees who is at it, what it is limited by and what it could not write, and no content.
 * Method: pages of made-up runs as snapshots; documents by the members that scripts read.
 */
import {
  chunkId,
  emptyDigest,
  newChunk,
  noControl,
  noCounts,
  unlimited,
  workerId,
  type ChunkState,
  type DeadLetter,
  type RunControl,
} from '@keyferry/core';
import type { RetryResult, RunDetail, RunSummary } from '@keyferry/engine';
import { describe, expect, it } from 'vitest';
import { nowMs, samplePlan } from '../../../test/fixtures/plan.ts';
import { agreed, applying, deviated, differing, lock, untouched } from '../../../test/fixtures/results.ts';
import { plainPalette } from '../../terminal/palette.ts';
import { heldBackBy, limitsText, perSecondText } from '../layout/limits.ts';
import type { ViewContext } from '../view.ts';
import { controlView, type ControlledRun } from './control.ts';
import { runsView, standingSuffix } from './list.ts';
import { retryView } from './retry.ts';
import { runView } from './show.ts';

const context: ViewContext = { palette: plainPalette, nowMs, configFlag: null, holderIsGone: () => false };
const note = { by: 'ada@one', atMs: nowMs - 60_000 };
const paused: RunControl = { ...noControl, paused: note };
const throttled: RunControl = { ...noControl, throttle: { ...note, ratePerSecond: 500, targetP99Ms: null } };

const running: RunSummary = {
  status: applying,
  running: true,
  pace: {
    run: lock.run,
    startedAtMs: nowMs - 30_000,
    atMs: nowMs - 2000,
    perSecond: 480.4,
    limitedBy: 'rate',
    perSecondMax: 500,
  },
};
const resting: RunSummary = { ...running, running: false, pace: null };

const progressOf = (written: number, deadLetters: number, cursor: string): ChunkState['progress'] => ({
  cursor: { text: cursor },
  counts: { ...noCounts, written, deadLetters },
  digest: emptyDigest,
});
const letter = (name: string): DeadLetter => ({
  sourceKey: { text: name },
  targetKey: { text: name },
  chunk: 'c00000',
  reason: 'request is too large: "canary',
  atMs: nowMs,
  resolved: null,
});
const detail: RunDetail = {
  ...running,
  chunks: [
    { ...newChunk(chunkId(0)), phase: 'done' as const, progress: progressOf(2998, 2, '/config/c') },
    { ...newChunk(chunkId(1)), phase: 'done' as const, progress: progressOf(3000, 0, '/config/f') },
    {
      ...newChunk(chunkId(2)),
      phase: 'claimed' as const,
      worker: workerId(lock.run, 1),
      progress: progressOf(102, 0, '/config/k'),
    },
    newChunk(chunkId(3)),
  ].map((state) => ({ state, counts: state.progress.counts, planned: null })),
  deadLetters: [letter('/config/x'), letter('/config/db/password')],
};
const isSensitive = ({ targetKey }: DeadLetter): boolean => JSON.stringify(targetKey).includes('password');

describe('runs list', () => {
  it('has a line for each migration', () => {
    expect(runsView.human([running, { ...resting, status: untouched }], context)).toMatchInlineSnapshot(`
      "config-v2-to-v3  applying, running  run_01JDA3XA7K  6,100 of 12,604 entries (48 %)  1 of 4 chunks  0 dead letters  480 keys/s  since 2026-11-21 06:30 UTC  deploy@ci-17, pid 4711
      config-v2-to-v3  new                                                                0 of 0 chunks  0 dead letters
      "
    `);
    expect(runsView.human([], context)).toBe('no runs\n');
  });
  it.each<[string, RunSummary, string]>([
    ['that works', running, ', running'],
    ['that nobody works on', resting, ', nobody at it'],
    ['that was paused', { ...resting, status: { ...applying, control: paused } }, ', paused'],
    ['that is about to pause', { ...running, status: { ...applying, control: paused } }, ', stopping for a pause'],
    [
      'that was cancelled',
      { ...resting, status: { ...applying, control: { ...noControl, cancelled: note } } },
      ', cancelled',
    ],
    ['that is over', { ...resting, status: { ...applying, phase: 'verified' } }, ''],
  ])('says of one %s that it is', (_, run, want) => expect(standingSuffix(run)).toBe(want));
});

describe('runs show', () => {
  it('shows what is left and what went wrong, and of the rest a number', () => {
    const run = { ...detail, status: { ...applying, control: throttled } };
    expect(runView.human({ run, withDeadLetters: true, isSensitive }, context)).toMatchInlineSnapshot(`
      "config-v2-to-v3   applying, running
        run       run_01JDA3XA7K, attempt 1 of plan pln_01JDA3WQ7K, since 2026-11-21 06:30 UTC
        holder    deploy@ci-17, pid 4711, last heartbeat 4 s ago
        progress  6,100 of 12,604 entries (48 %), 1 of 4 chunks
        counts    6,000 written, 0 equal, 0 kept, 0 tombstoned, 0 dead, 100 not carried
        rate      480 keys/s of at most 500/s, limited by rate
        throttle  at most 500/s, by ada@one at 2026-11-21 06:30 UTC
        c00000  done                        3,000 of ?  2 dead letters  up to /config/c
        c00002  claimed  run_01JDA3XA7K.w1    102 of ?                  up to /config/k
        1 chunk done, 1 chunk not begun
      2 dead letters
        x /config/x             request is too large: "canary   c00000, 2026-11-21 06:31 UTC
        x /config/db/password   (sensitive)                     c00000, 2026-11-21 06:31 UTC
      Next: keyferry apply config.kfplan
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });
  it('goes on to a retry when nobody is at it', () => {
    const page = (run: RunDetail) => runView.human({ run, withDeadLetters: false, isSensitive }, context);
    expect(page({ ...detail, running: false, pace: null })).toContain('Next: keyferry runs retry config-v2-to-v3\n');
    expect(page(detail)).toContain('Next: keyferry apply config.kfplan\n');
    expect(page({ ...detail, running: false, deadLetters: [] })).toContain('Next: keyferry apply config.kfplan\n');
  });
  it('is a document with every chunk, and with letters where they were asked for', () => {
    const document = runView.json({ run: detail, withDeadLetters: true, isSensitive }, []);
    expect(document).toMatchObject({
      format: 'keyferry.run',
      running: true,
      pace: { perSecond: 480.4, limitedBy: 'rate' },
      chunkList: { length: 4 },
      deadLettersTotal: 2,
      deadLetters: [
        { targetKey: { text: '/config/x' }, sensitive: false, reason: 'request is too large: "canary' },
        { targetKey: { text: '/config/db/password' }, sensitive: true, reason: null },
      ],
    });
    expect(runView.json({ run: detail, withDeadLetters: false, isSensitive }, [])).not.toHaveProperty('deadLetters');
  });
});

describe('a request', () => {
  const asked: ControlledRun = {
    migration: samplePlan.migration,
    state: applying.state as ControlledRun['state'],
    control: paused,
    changed: true,
    step: { next: 'keyferry runs resume config-v2-to-v3', wayBack: null },
    request: { kind: 'pause' },
    holder: lock.holder,
    noticedWithinMs: 2000,
  };
  const throttle = { kind: 'throttle', override: { ratePerSecond: 500 } } as const;
  it.each<[string, Partial<ControlledRun>, string]>([
    [
      'a pause',
      {},
      'Paused   config-v2-to-v3, attempt 1\n  the run of deploy@ci-17, pid 4711 notices within about 2 s,',
    ],
    ['a pause of what rests', { holder: null }, 'Paused   config-v2-to-v3, attempt 1\n  no run works on it now'],
    ['a second pause', { changed: false }, 'Paused already'],
    ['a resume', { request: { kind: 'resume' }, control: noControl, holder: null }, 'the next apply goes on'],
    ['a resume of what was not paused', { request: { kind: 'resume' }, changed: false }, 'Not paused'],
    ['a cancel', { request: { kind: 'cancel' } }, 'this attempt never goes on'],
    [
      'a throttle',
      { request: throttle, control: throttled },
      '  at most 500/s; what is not named is as configured; the run of',
    ],
    [
      'one taken back',
      { request: { kind: 'throttle', override: null }, control: noControl },
      'Throttled as configured',
    ],
  ])('is answered: %s', (_, more, want) => expect(controlView.human({ ...asked, ...more }, context)).toContain(want));
  it('is a document that says who asked', () =>
    expect(controlView.json({ ...asked, control: { ...throttled, paused: note } }, [])).toMatchObject({
      format: 'keyferry.run-control',
      changed: true,
      holder: 'deploy@ci-17, pid 4711',
      control: { standing: 'paused', paused: { by: 'ada@one' }, throttle: { ratePerSecond: 500, targetP99Ms: null } },
    }));
});

describe('runs retry', () => {
  const done: RetryResult = {
    plan: samplePlan,
    run: 'run_1',
    tried: { ...noCounts, written: 3, notCarried: 1 },
    notReached: 0,
    stillDead: [],
    counts: { ...noCounts, written: 12_310, equal: 1, kept: 1, notCarried: 292 },
    outcome: 'done',
    verify: agreed,
    deviations: [],
    appliedAs: 'config.kfplan',
    elapsedMs: 1200,
  };
  it('says what became of each letter, and whether all is as planned', () =>
    expect(retryView.human(done, context)).toMatchInlineSnapshot(`
      "Tried 4 dead letters again   config-v2-to-v3   run run_1, 1.2 s
        + written             3
        = equal               0   was there already
        ! kept                0   target differs
        x tombstoned          0   deleted in the target meanwhile, not brought back
        . not carried         1   no longer in the source, left out, or expired
        x still dead          0

      Verify   both sides agree
        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 48211907
        target   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 1303
        besides  1 that differ as planned

      Next: keyferry finalize config-v2-to-v3
      Way back: keyferry rollback config-v2-to-v3
      "
    `));
  it('names what is still dead', () => {
    const result: RetryResult = {
      ...done,
      tried: { ...noCounts, deadLetters: 3 },
      notReached: 2,
      stillDead: [
        { targetKey: { text: '/config/x' }, reason: 'request is\ntoo large', sensitive: false },
        { targetKey: { text: '/config/password' }, reason: 'too large: canary', sensitive: true },
      ],
      counts: deviated.counts,
      outcome: 'deviated',
      verify: differing,
      deviations: deviated.deviations,
    };
    expect(retryView.human(result, context)).toMatchInlineSnapshot(`
      "Tried 3 dead letters again   config-v2-to-v3   run run_1, 1.2 s
        + written             0
        = equal               0   was there already
        ! kept                0   target differs
        x tombstoned          0   deleted in the target meanwhile, not brought back
        . not carried         0   no longer in the source, left out, or expired
        x still dead          3
            x /config/x   request is\\u000atoo large
            x /config/password   (sensitive)
            and 1 more
        2 other letters that no checkpoint has passed: the next apply decides

      Verify   both sides differ
        source   12,311 records   digest 4be1c07a5d2f4be1c07a5d2f4be1c07a   position 48211907
        target   12,310 records   digest ffffffff5d2f4be1c07a5d2f4be1c07a   position 1303
        besides  1 that differ as planned
        ! /config/routes/b   missing in the target
        ! base64:/wA=        value differs
        and 1 more

      Not as planned
        ! 3 keys differ between the sides
        ! 1 record could not be written

      Next: keyferry runs show config-v2-to-v3 --dead-letters
      Way back: keyferry rollback config-v2-to-v3
      "
    `);
  });
  it('leaves an unfinished migration to its apply', () =>
    expect(retryView.json({ ...done, outcome: 'unfinished', verify: null }, [])).toMatchObject({
      format: 'keyferry.retry',
      tried: { total: 4, written: 3 },
      verify: null,
      next: 'keyferry apply config.kfplan',
    }));
});

describe('limits', () => {
  it.each([
    [0.5, '0.5/s'],
    [9.96, '10/s'],
    [2000, '2,000/s'],
  ])('%d keys a second are %s', (perSecond, want) => expect(perSecondText(perSecond)).toBe(want));
  it('are told as far as there are any', () => {
    expect(limitsText(unlimited)).toBe('none');
    expect(limitsText({ ratePerSecond: 500, targetP99Ms: 50, sourceP99Ms: 1000 })).toBe(
      'at most 500/s, p99 of the target within 50 ms, p99 of the source within 1 s',
    );
    const nothing = { limitedBy: 'nothing', perSecondMax: null, p99Ms: { target: null, source: null } } as const;
    expect(heldBackBy({ ...nothing, limits: unlimited })).toEqual([]);
  });
});
