/** Goal: a done marker reads back as it was written, and what is not one is refused. Method: texts, good and bad. */
import { describe, expect, it } from 'vitest';
import type { MigrationId, PlanId, RunId } from '../model/ids.ts';
import { noCounts } from './chunk-lifecycle.ts';
import { doneMarkerFromText, doneMarkerToText, type DoneMarker } from './done-marker.ts';

const side = { store: 's', prefix: { base64: '/wA=' }, position: '1', digest: { count: 2, sum: '0'.repeat(32) } };
const marker: DoneMarker = {
  format: 'keyferry.done',
  formatVersion: '1.0',
  keyferryVersion: '0.1.0',
  migration: 'm' as MigrationId,
  plan: 'pln_1' as PlanId,
  attempt: 1,
  run: 'run_1' as RunId,
  by: 'ops@höst, pid 1',
  startedAt: '2026-11-21T06:30:00.000Z',
  finalizedAt: '2026-11-21T06:31:00.000Z',
  source: side,
  target: side,
  counts: { ...noCounts, written: 2 },
};

describe('a done marker', () => {
  it('reads back as it was written', () => {
    expect(doneMarkerFromText(doneMarkerToText(marker), marker.migration)).toEqual(marker);
  });

  it('of a later minor version is read, unknown fields and all', () => {
    const text = JSON.stringify({ ...marker, formatVersion: '1.7', more: 1 });
    expect(doneMarkerFromText(text, marker.migration)).toMatchObject({ by: marker.by });
  });

  it.each(['', 'done', 'null', '{}', '[]', '"x"', JSON.stringify({ ...marker, formatVersion: '2.0' })])(
    'is not %j',
    (text) => {
      expect(() => doneMarkerFromText(text, marker.migration)).toThrow(
        expect.objectContaining({ code: 'done.unreadable' }),
      );
    },
  );
});
