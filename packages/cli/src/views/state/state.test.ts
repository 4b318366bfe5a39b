/**
 * Goal: the state's commands say what they did and what follows, and finalize what it gives up.
 * Method: pages of made-up results as snapshots; documents by the members that scripts read.
 */
import { noCounts, type DoneMarker, type MigrationId } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { nowMs } from '../../../test/fixtures/plan.ts';
import { reported, reportedDeviated } from '../../../test/fixtures/report.ts';
import { applying } from '../../../test/fixtures/results.ts';
import { plainPalette } from '../../terminal/palette.ts';
import { alreadyDoneView, finalizedView, finalizeIntent, reopenedView } from '../finalize/index.ts';
import { statusView } from '../status/index.ts';
import type { ViewContext } from '../view.ts';
import { forgottenView } from './forget.ts';
import { historyView } from './history.ts';
import { stateListView } from './list.ts';
import { dossierView } from './show.ts';
import { exportedView } from './transfer.ts';
import { upgradedView } from './upgrade.ts';

const context: ViewContext = { palette: plainPalette, nowMs, configFlag: null, holderIsGone: () => false };
const { migration } = reported.status;
const state = reported.status.state as NonNullable<typeof reported.status.state>;
const digest = { count: 12_311, sum: '4be1c07a5d2f4be1c07a5d2f4be1c07a' };

const marker: DoneMarker = {
  format: 'keyferry.done',
  formatVersion: '1.0',
  keyferryVersion: '0.1.0',
  migration,
  plan: state.plan,
  attempt: 1,
  run: state.run,
  by: 'ops@ci-17, pid 4712',
  startedAt: '2026-11-21T06:30:00.000Z',
  finalizedAt: '2026-11-21T06:40:00.000Z',
  source: { store: 'old', prefix: { text: '/config/' }, position: '48211907', digest },
  target: { store: 'new', prefix: { text: '/config/' }, position: '1303', digest },
  counts: { ...noCounts, written: 12_310, equal: 1 },
};

describe('finalize', () => {
  const result = { run: 'run_2', marker, resumed: false, elapsedMs: 2100 };

  it('says before it is asked for that the way back ends', () => {
    expect(finalizeIntent(reported.status, plainPalette)).toMatchInlineSnapshot(`
      "Finalize config-v2-to-v3   verified
        reads both sides once more; if nothing moved, writes the done marker into the target
        then drops what tells the 12,310 records of this migration from others: rollback ends here
        the source is left as it is
      "
    `);
  });

  it('shows the marker that it left', () => {
    expect(finalizedView.human({ migration, result }, context)).toMatchInlineSnapshot(`
      "Finalized config-v2-to-v3   proven and marked as done   run run_2, 2.1 s
        done    2026-11-21 06:40 UTC by ops@ci-17, pid 4712
        plan    pln_01JDA3WQ7K, attempt 1
        source  old /config/, 12,311 records, digest 4be1c07a5d2f4be1c07a5d2f4be1c07a, position 48211907
        target  new /config/, 12,311 records, digest 4be1c07a5d2f4be1c07a5d2f4be1c07a, position 1303
        counts  12,310 written, 1 equal, of 12,311 dealt with

      The way back ends here; fences, marks and tombstones are gone from the target.
      Next: keyferry report config-v2-to-v3
      "
    `);
    expect(finalizedView.json({ migration, result }, [])).toMatchObject({
      format: 'keyferry.finalize',
      marker: { by: 'ops@ci-17, pid 4712' },
      wayBack: null,
    });
  });

  it('counts what was equal, where nothing had to be written, and what was deleted', () => {
    const equal = { ...marker, counts: { ...noCounts, equal: 3 } };
    expect(alreadyDoneView.human({ migration, marker: equal, isKnownHere: true }, context)).toContain(
      'counts  0 written, 3 equal, of 3 dealt with\n',
    );
    const pruned = { ...marker, counts: { ...noCounts, written: 1, notCarried: 2, deleted: 4 } };
    expect(alreadyDoneView.human({ migration, marker: pruned, isKnownHere: true }, context)).toContain(
      'counts  1 written, 0 equal, 2 not carried, of 3 dealt with; 4 deleted\n',
    );
  });

  it('has nothing to report where another host did it', () => {
    const page = alreadyDoneView.human({ migration, marker, isKnownHere: false }, context);
    expect(page).toContain('done on another host');
    expect(page).not.toContain('keyferry report');
    expect(alreadyDoneView.json({ migration, marker, isKnownHere: false }, [])).toMatchObject({ next: null });
    expect(alreadyDoneView.json({ migration, marker, isKnownHere: true }, [])).toMatchObject({
      next: `keyferry report ${migration}`,
    });
  });

  it('is what apply and status then tell', () => {
    expect(alreadyDoneView.human({ migration, marker, isKnownHere: true }, context)).toContain(
      'config-v2-to-v3   already done by ops@ci-17, pid 4712 at 2026-11-21 06:40 UTC; nothing was written',
    );
    const finalized = { ...reported.status, phase: 'finalized', state: { ...state, phase: 'finalized', done: marker } };
    const status = { ...finalized, events: [] } as unknown as Parameters<typeof statusView.human>[0][0];
    expect(statusView.human([status], context)).toContain('  done    2026-11-21 06:40 UTC by ops@ci-17, pid 4712');
    expect(statusView.json([status], [])).toMatchObject({ migrations: [{ doneMarker: { plan: state.plan } }] });
  });

  it('taken back says what does not come back with it', () => {
    const page = reopenedView.human({ migration, result: { run: 'run_3', marker, plan: state.plan } }, context);
    expect(page).toContain('The done marker is gone. What was finalized stays, and cannot be rolled back.');
  });
});

describe('state', () => {
  it('list shows each migration on a line', () => {
    const listed = [
      { state, locked: true },
      { state: { ...state, migration: 'm' as MigrationId }, locked: false },
    ];
    expect(stateListView.human(listed, context)).toMatchInlineSnapshot(`
      "config-v2-to-v3   verified   attempt 1   pln_01JDA3WQ7K   changed 5 s ago   locked
      m                 verified   attempt 1   pln_01JDA3WQ7K   changed 5 s ago
      "
    `);
    expect(stateListView.human([], context)).toBe('the state holds no migrations\n');
  });

  it('history says who did what', () => {
    expect(historyView.human({ migration, events: reported.events }, context)).toMatchInlineSnapshot(`
      "config-v2-to-v3   times in UTC
        2026-11-21 06:30:30  apply.started  started plan pln_01JDA3WQ7K, attempt 1   deploy@ci-17, pid 4711, run_01JDA3XA7K
        2026-11-21 06:31:00  lock.broken    lock was broken: <b>why</b> & "so"       run_01JDA3XA7K
      "
    `);
    expect(historyView.json({ migration, events: reported.events }, [])).toMatchObject({
      events: [{ by: 'deploy@ci-17, pid 4711' }, { by: null }],
    });
  });

  it('show has everything on one page', () => {
    const page = dossierView.human(reportedDeviated, context);
    expect(page).toContain('dead letters  1,204');
    expect(page).toContain('  x /config/db/password   request is too large');
    expect(page).toContain('    and 1,200 more');
    expect(page).toContain('no end recorded');
    expect(dossierView.json(reportedDeviated, [])).toMatchObject({
      format: 'keyferry.state-migration',
      deadLettersTotal: 1204,
      runs: [{ outcome: 'deviated' }, { outcome: null }],
    });
  });

  it('forget says what was lost and how to have it back', () => {
    const lost = [{ code: 'forget.way-back', detail: 'rollback goes by it' }] as const;
    const result = { phase: 'verified', items: 12, lost } as const;
    expect(forgottenView.human({ migration, result }, context)).toMatchInlineSnapshot(`
      "Forgot config-v2-to-v3   was verified; 12 items removed from the state
        ! forget.way-back   rollback goes by it

      The epoch stays in the target: a new plan begins with a higher attempt.
      Next: keyferry state adopt PLAN_FILE
      "
    `);
    expect(forgottenView.human({ migration, result: { ...result, phase: 'finalized', lost: [] } }, context)).toContain(
      'a new plan of this migration is blocked by it',
    );
  });

  it('export to stdout is the documents and nothing else', () => {
    const exported = { migration, items: 2, file: '-', text: '{}\n{}\n' };
    expect(exportedView.human(exported, context)).toBe('{}\n{}\n');
    expect(exportedView.human({ ...exported, file: 'a b.ndjson', text: null }, context)).toContain("'a b.ndjson'");
  });

  it('upgrade says when there is nothing to do', () => {
    const one = { migration: applying.migration, from: 1, to: 1, items: 0 };
    expect(upgradedView.human([one], context)).toBe(
      'nothing to upgrade: 1 migration, all of them in the format of this keyferry\n',
    );
    expect(upgradedView.human([{ ...one, to: 2, items: 7 }], context)).toContain('format 1 to 2, 7 items');
  });
});
