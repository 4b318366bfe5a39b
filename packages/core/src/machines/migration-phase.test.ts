/** Goal: a migration moves only as the picture in the header says. Method: the whole table, read back as edges. */
import { describe, expect, it } from 'vitest';
import type { MigrationId } from '../model/ids.ts';
import { nextStep, phaseTable, type Phase } from './migration-phase.ts';

const edges = Object.entries(phaseTable).flatMap(([phase, row]) =>
  Object.entries(row).flatMap(([event, next]) => (next === null ? [] : [`${phase} ${event} ${next}`])),
);

describe('migration phases', () => {
  it('has these edges and no others', () => {
    expect(edges.toSorted()).toEqual(
      [
        'new start applying',
        'applying start applying',
        'applying backfilled applied',
        'applying roll-back rolling-back',
        'applied start applying',
        'applied verified verified',
        'applied differs applied',
        'applied roll-back rolling-back',
        'verified start applying',
        'verified verified verified',
        'verified differs applied',
        'verified caught-up replicating',
        'verified roll-back rolling-back',
        'rolling-back roll-back rolling-back',
        'rolling-back rolled-back rolled-back',
        'rolled-back start applying',
        'verified finalize finalizing',
        'finalizing finalize finalizing',
        'finalizing finalized finalized',
        'finalized reopen reopened',
        'reopened start applying',
        'applied caught-up replicating',
        'replicating caught-up replicating',
        'replicating differs applied',
        'replicating roll-back rolling-back',
        'replicating cut-over cutting-over',
        'cutting-over cut-over cutting-over',
        'cutting-over flipped cut-over',
        'cutting-over undone replicating',
        'cut-over turn-back turning-back',
        'cut-over finalize finalizing',
        'turning-back turn-back turning-back',
        'turning-back flipped rolling-back',
        'turning-back undone cut-over',
      ].toSorted(),
    );
  });

  it.each(Object.keys(phaseTable) as Phase[])('names one next command in %s', (phase) => {
    expect(nextStep('m' as MigrationId, phase, 'm.kfplan').next).toMatch(/^keyferry \w+ /);
  });

  it('quotes a plan file whose name a shell would break', () => {
    expect(nextStep('m' as MigrationId, 'applying', "it's.kfplan").next).toBe("keyferry apply 'it'\\''s.kfplan'");
  });

  it.each(['finalizing', 'finalized', 'reopened'] as const)('has no way back any more from %s', (phase) => {
    expect(nextStep('m' as MigrationId, phase, 'm.kfplan').wayBack).toBeNull();
    expect(phaseTable[phase]['roll-back']).toBeNull();
  });

  it.each(['applying', 'applied', 'verified', 'replicating', 'cut-over'] as const)(
    'has a way back from %s',
    (phase) => {
      expect(nextStep('m' as MigrationId, phase, 'm.kfplan').wayBack).toBe('keyferry rollback m');
    },
  );
});
