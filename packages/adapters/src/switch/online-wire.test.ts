/**
 * Goal: the bytes that instances, controllers and copiers of an online migration must agree on are written down, so that
 * an application in any language can take part (docs/reference/wire-protocol.md).
 * Method: the vectors are made by the very codecs and compared with the committed file, byte for byte. A difference is a
 * change of the protocol: instances that run already would not understand it. `-u` writes the file anew.
 */
import { fileURLToPath } from 'node:url';
import {
  fenceToText,
  indexOf,
  keyFromJson,
  keyFromText,
  noBridge,
  originFromText,
  originText,
  plainSwitchIsOver,
  primaryRecordFromText,
  primaryRecordToText,
  registrationFromText,
  registrationToText,
  switchRecordFromText,
  switchRecordToText,
  tokenAt,
  tombstoneText,
  type ChunkId,
  type Fence,
  type IndexBridge,
  type InstanceId,
  type KeyJson,
  type MigrationId,
  type Position,
  type PrimaryRecord,
  type RegistrationRecord,
  type SwitchEpoch,
  type SwitchRecord,
  type Token,
  type Version,
} from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { escapeForm } from '../etcd-v2/form.ts';
import { ControlKeys } from '../etcd-v3/control.ts';
import { keyFromBuffer } from '../etcd-v3/codec.ts';
import { encodePath } from '../http/key-path.ts';
import { nameOf, recordName } from './cells.ts';

const file = fileURLToPath(new URL('../../../../docs/protocols/online-wire.json', import.meta.url));

const legacy: SwitchRecord = {
  migration: 'config' as MigrationId,
  mode: 'legacy',
  heldFrom: null,
  committed: null,
  epoch: 1 as SwitchEpoch,
  announcedAt: '2030-01-31T12:00:00.000Z',
  frozenAt: null,
  watchFrom: null,
  indexOffset: null,
};
const frozen = { frozenAt: '1042' as Position, watchFrom: '77' as Position, indexOffset: '965' };
const records: Readonly<Record<string, SwitchRecord>> = {
  'begun, and nothing has moved yet': legacy,
  'held back for the first time': { ...legacy, mode: 'draining', heldFrom: 'legacy', epoch: 2 as SwitchEpoch },
  migrating: { ...legacy, ...frozen, mode: 'migrating', epoch: 3 as SwitchEpoch },
  settled: { ...legacy, ...frozen, mode: 'settled', epoch: 4 as SwitchEpoch },
  'over, with no way back': { ...legacy, ...frozen, mode: 'normal', committed: 'normal', epoch: 5 as SwitchEpoch },
  'held back on the way back': { ...legacy, ...frozen, mode: 'draining', heldFrom: 'settled', epoch: 9 as SwitchEpoch },
  'on the way back, with no other end': {
    ...legacy,
    ...frozen,
    mode: 'returning',
    heldFrom: 'settled',
    committed: 'legacy',
    epoch: 10 as SwitchEpoch,
  },
  'a migration named in letters beyond ASCII': { ...legacy, migration: 'größe "x"' as MigrationId },
};

const fresh: RegistrationRecord = {
  instance: 'api-eu-3.9f86d081884c7d65' as InstanceId,
  acknowledged: 0 as SwitchEpoch,
  renewals: 1,
  leaseMs: 15_000,
  since: '2030-01-31T12:00:00.000Z',
  goneAt: null,
};
const registrations: Readonly<Record<string, RegistrationRecord>> = {
  'registered, and has not read the mode': fresh,
  'has acknowledged an epoch': { ...fresh, acknowledged: 3 as SwitchEpoch, renewals: 42 },
  'compares the switch in each of its writes in the target': {
    ...fresh,
    acknowledged: 3 as SwitchEpoch,
    comparesSwitch: true,
  },
  'named gone by an operator': { ...fresh, renewals: 43, goneAt: '2030-01-31T13:00:00.000Z' },
};

const primary: PrimaryRecord = {
  migration: 'catalogue' as MigrationId,
  epoch: 4 as SwitchEpoch,
  primary: 'source',
  writes: 'held',
  announcedAt: '2030-01-31T12:00:00.000Z',
  deadlineAt: '2030-01-31T12:00:30.000Z',
};
const primaries: Readonly<Record<string, PrimaryRecord>> = {
  'writes are held, and reads go on in the source': primary,
  'the target is primary': { ...primary, epoch: 5 as SwitchEpoch, primary: 'target', writes: 'open', deadlineAt: null },
};
const followers: Readonly<Record<string, RegistrationRecord>> = {
  'follows the primary and no mode': { ...fresh, acknowledged: 4 as SwitchEpoch, follows: 'primary' },
};

const readable = {
  switch: {
    'members that nobody knows yet, in another order, with spaces':
      '{ "mode": "draining", "heldFrom": "legacy", "committed": null, "epoch": 2, "migration": "config",\n' +
      '  "announcedAt": "2030-01-31T12:00:00.000Z", "frozenAt": null, "watchFrom": null, "indexOffset": null,\n' +
      '  "format": "keyferry.switch", "formatVersion": "1.7", "later": { "any": [1] } }',
  },
  registration: {
    'a member that nobody knows yet':
      '{"acknowledged":2,"format":"keyferry.registration","formatVersion":"1.3","goneAt":null,"instance":"a.1",' +
      '"leaseMs":15000,"renewals":7,"since":"2030-01-31T12:00:00.000Z","zone":"eu"}',
  },
} as const;

const edited = (text: string, from: string, to: string): string => {
  expect(text).toContain(from);
  return text.replace(from, to);
};
const [legacyText, freshText] = [switchRecordToText(legacy), registrationToText(fresh)];
const unreadable = {
  switch: {
    'the plain form': 'true',
    nothing: '',
    'a list': '[]',
    'another format': edited(legacyText, 'keyferry.switch', 'keyferry.registration'),
    'a newer major version': edited(legacyText, '"1.0"', '"2.0"'),
    'a mode that nobody knows': edited(legacyText, '"legacy"', '"frozen"'),
    'an epoch in quotes': edited(legacyText, '"epoch":1', '"epoch":"1"'),
    'an epoch below zero': edited(legacyText, '"epoch":1', '"epoch":-1'),
    'no migration': edited(legacyText, '"migration":"config",', ''),
  },
  registration: {
    'another format': legacyText,
    'a newer major version': edited(freshText, '"1.0"', '"2.0"'),
    'no instance': edited(freshText, '"instance":"api-eu-3.9f86d081884c7d65",', ''),
    'renewals that are no count': edited(freshText, '"renewals":1', '"renewals":1.5'),
  },
} as const;

const keys: readonly KeyJson[] = [
  { text: '/config/limit' },
  { text: 'no slash' },
  { text: '/größe/a b%2F+' },
  { base64: 'L2NvbmZpZy//AA==' },
];
const control = new ControlKeys(keyFromText('_keyferry/'), 'config' as MigrationId);
const chunk = '3/ü' as ChunkId;
const fence: Fence = { attempt: 12, token: 3 };
const latin1 = (buffer: Buffer): string => keyFromBuffer(buffer);

const numberedBy: readonly IndexBridge[] = [
  noBridge,
  { frozenAt: frozen.frozenAt, indexOffset: frozen.indexOffset },
  // After a rollback; and in a target that is above the source by itself.
  { frozenAt: null, indexOffset: '965' },
  { frozenAt: '77' as Position, indexOffset: '0' },
  // Where the stores' positions are no numbers.
  { frozenAt: '2030-01-31/7' as Position, indexOffset: null },
];
const tokens = (['source', 'target'] as const).flatMap((store) =>
  ['7', '78', '1042', '1043', 'v7'].map((version): Token => ({ store, version: version as Version })),
);

const vectors = {
  switchRecords: Object.entries(records).map(([name, value]) => ({ name, text: switchRecordToText(value), value })),
  registrations: Object.entries(registrations).map(([name, value]) => ({
    name,
    text: registrationToText(value),
    value,
  })),
  primaryRecords: Object.entries(primaries).map(([name, value]) => ({ name, text: primaryRecordToText(value), value })),
  followers: Object.entries(followers).map(([name, value]) => ({ name, text: registrationToText(value), value })),
  readable: [
    ...Object.entries(readable.switch).map(([name, text]) => ({
      name,
      what: 'switch',
      text,
      value: known(switchRecordFromText(text, 'here'), legacy),
    })),
    ...Object.entries(readable.registration).map(([name, text]) => ({
      name,
      what: 'registration',
      text,
      value: known(registrationFromText(text, 'here'), fresh),
    })),
  ],
  unreadable: Object.entries(unreadable).flatMap(([what, texts]) =>
    Object.entries(texts).map(([name, text]) => ({ name, what, text })),
  ),
  plainSwitch: [null, '', 'true', ' true\n', 'True', 'false', '1'].map((text) => ({
    text,
    isOver: plainSwitchIsOver(text),
  })),
  placesAtASwitch: [
    { what: 'switch', place: recordName },
    ...['api-eu-3.9f86d081884c7d65', 'a/b', '..', 'größe %', "it's(*)!~"].map((instance) => ({
      what: 'registration',
      instance,
      place: nameOf(instance as InstanceId),
    })),
  ],
  tombstones: [1, 42].map((epoch) => ({ epoch, text: tombstoneText(epoch as SwitchEpoch) })),
  origins: ['7', '18446744073709551615'].map((version) => ({ version, text: originText(version as Version) })),
  readOrigins: ['o1 7', 'o1 ', 'o2 7', 'o17', '', 't1 7'].map((text) => ({ text, version: originFromText(text) })),
  numbers: numberedBy.flatMap((bridge) => [
    ...tokens.map((token) => ({ ...bridge, token, index: indexOf(token, bridge) })),
    ...[0, 7, 960, 1042, 1043, 5000].map((index) => ({ ...bridge, index, tokenAt: tokenAt(index, bridge) })),
  ]),
  fences: [
    { attempt: 0, token: 0 },
    { attempt: 12, token: 3 },
    { attempt: 1, token: 1_000_000_000 },
  ].map((each) => ({ ...each, text: fenceToText(each) })),
  etcdV3: {
    reservedPrefix: '_keyferry/',
    migration: 'config',
    keys: keys.map((key) => ({
      key,
      tombstone: jsonOf(control.tomb(keyFromJson(key))),
      origin: jsonOf(control.origin(keyFromJson(key))),
    })),
    epoch: latin1(control.epoch),
    done: latin1(control.done),
    fence: { chunk, key: latin1(control.fence(chunk)) },
    mark: { chunk, ...fence, sequence: 5, key: latin1(control.mark(chunk, fence, 5)) },
  },
  etcdV2: {
    paths: [...keys, { text: '/_hidden/..a/~b' }]
      .filter((key) => keyFromJson(key).startsWith('/'))
      .map((key) => ({ key, path: `/v2/keys${encodePath(keyFromJson(key))}` })),
    formValues: [{ text: 'plain text' }, { text: 'a=1&b=100%;c+d' }, { text: 'größe\n' }, { base64: '/wA=' }].map(
      (value) => ({ value, escaped: jsonOf(Buffer.from(escapeForm(Buffer.from(keyFromJson(value), 'latin1')))) }),
    ),
  },
};

describe('the wire protocol of online migrations', () => {
  it('is the one in the committed vectors', async () => {
    await expect(linesOf(vectors)).toMatchFileSnapshot(file);
  });

  it('reads what it writes', () => {
    for (const { text, value } of vectors.switchRecords) expect(switchRecordFromText(text, 'here')).toEqual(value);
    for (const { text, value } of vectors.registrations) expect(registrationFromText(text, 'here')).toEqual(value);
    for (const { text, value } of vectors.primaryRecords) expect(primaryRecordFromText(text, 'here')).toEqual(value);
    for (const { text, value } of vectors.followers) expect(registrationFromText(text, 'here')).toEqual(value);
    for (const { text, version } of vectors.origins) expect(originFromText(text)).toBe(version);
  });

  it.each(vectors.unreadable)('takes nothing from a $what that is $name', ({ what, text }) => {
    const read = what === 'switch' ? switchRecordFromText : registrationFromText;
    expect(() => read(text, 'here')).toThrow(expect.objectContaining({ code: 'switch.unreadable' }));
  });
});

/** The members that this version knows. */
function known<T extends object>(found: T, example: T): Partial<T> {
  return Object.fromEntries(Object.entries(found).filter(([name]) => name in example)) as Partial<T>;
}

function jsonOf(bytes: Buffer): KeyJson {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { text } : { base64: bytes.toString('base64') };
}

/** JSON with one vector a line, so that a change shows as the lines that changed. */
function linesOf(document: object, indent = ''): string {
  const inner = `${indent}  `;
  const members = Object.entries(document).map(([name, value]) => {
    if (Array.isArray(value)) {
      const rows = value.map((row) => `${inner}  ${JSON.stringify(row)}`);
      return `${inner}${JSON.stringify(name)}: [\n${rows.join(',\n')}\n${inner}]`;
    }
    const isGroup = typeof value === 'object' && value !== null && Object.values(value).some(Array.isArray);
    return `${inner}${JSON.stringify(name)}: ${isGroup ? linesOf(value, inner).trim() : JSON.stringify(value)}`;
  });
  return `{\n${members.join(',\n')}\n${indent}}\n`;
}
