/** Goal: what one version wrote at a switch another one reads, or refuses. Method: texts, good and bad, byte by byte. */
import { describe, expect, it } from 'vitest';
import type { MigrationId } from '../../model/ids.ts';
import type { Position } from '../../model/position.ts';
import type { Version } from '../../model/record.ts';
import type { InstanceId, SwitchEpoch } from './barrier.ts';
import { originFromText, originText, tombstoneText } from './marker-text.ts';
import {
  plainSwitchIsOver,
  plainSwitchText,
  registrationFromText,
  registrationToText,
  switchRecordFromText,
  switchRecordToText,
  type RegistrationRecord,
  type SwitchRecord,
} from './switch-record.ts';

const record: SwitchRecord = {
  migration: 'config' as MigrationId,
  mode: 'migrating',
  heldFrom: null,
  committed: null,
  epoch: 3 as SwitchEpoch,
  announcedAt: '2026-11-21T06:30:00.000Z',
  frozenAt: '48211907' as Position,
  watchFrom: '1204' as Position,
  indexOffset: '48210703',
};
const registration: RegistrationRecord = {
  instance: 'api-1' as InstanceId,
  acknowledged: 3 as SwitchEpoch,
  renewals: 17,
  leaseMs: 10_000,
  since: '2026-11-21T06:00:00.000Z',
  goneAt: null,
};

describe('a switch', () => {
  it('holds these bytes', () => {
    expect(switchRecordToText(record)).toBe(
      '{"announcedAt":"2026-11-21T06:30:00.000Z","committed":null,"epoch":3,"format":"keyferry.switch",' +
        '"formatVersion":"1.0","frozenAt":"48211907","heldFrom":null,"indexOffset":"48210703","migration":"config",' +
        '"mode":"migrating","watchFrom":"1204"}',
    );
    expect(registrationToText(registration)).toBe(
      '{"acknowledged":3,"format":"keyferry.registration","formatVersion":"1.0","goneAt":null,"instance":"api-1",' +
        '"leaseMs":10000,"renewals":17,"since":"2026-11-21T06:00:00.000Z"}',
    );
  });

  it('reads back as it was written', () => {
    expect(switchRecordFromText(switchRecordToText(record), 'here')).toEqual(record);
    expect(registrationFromText(registrationToText(registration), 'here')).toEqual(registration);
  });

  it('of a later minor version is read, unknown fields and all', () => {
    const later = switchRecordToText(record).replace('"1.0"', '"1.9","more":1');
    expect(switchRecordFromText(later, 'here')).toMatchObject(record);
  });

  const text = switchRecordToText(record);
  it.each([
    '',
    'true',
    'null',
    '{}',
    text.replace('"1.0"', '"2.0"'),
    text.replace('"migrating"', '"halted"'),
    text.replace('"epoch":3', '"epoch":-1'),
    registrationToText(registration),
  ])('is not %j', (other) => {
    expect(() => switchRecordFromText(other, 'here')).toThrow(expect.objectContaining({ code: 'switch.unreadable' }));
  });

  it.each([text, '[]', registrationToText(registration).replace('17', '"17"')])('has no registration %j', (other) => {
    expect(() => registrationFromText(other, 'here')).toThrow(expect.objectContaining({ code: 'switch.unreadable' }));
  });
});

describe('a plain switch', () => {
  it.each([
    ['true', true],
    ['true\n', true],
    ['false', false],
    ['TRUE', false],
    ['', false],
    [null, false],
  ])('that holds %j is over: %j', (text, isOver) => expect(plainSwitchIsOver(text)).toBe(isOver));

  it('is written as it is read', () => {
    for (const isOver of [true, false]) expect(plainSwitchIsOver(plainSwitchText(isOver))).toBe(isOver);
  });
});

describe('a marker', () => {
  it('holds these bytes', () => {
    expect(tombstoneText(3 as SwitchEpoch)).toBe('t1 3');
    expect(originText('48211907' as Version)).toBe('o1 48211907');
  });

  it('of a form that is not known is no origin', () => {
    expect(originFromText('o1 48211907')).toBe('48211907');
    for (const text of ['', 'o1 ', 'o2 1', 't1 3']) expect(originFromText(text)).toBeNull();
  });
});
