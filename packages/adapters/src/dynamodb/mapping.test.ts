/**
 * Goal: an item and its record lead to each other, or the reason why not is said; what is kept of an item beside its
 * record stays. Method: a law over keys and values, then each reason by hand.
 */
import * as fc from 'fast-check';
import { keyFromBytes, keyFromText, type Key } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { Items, versionOf } from './items.ts';
import { partsOfKey, recordBytesMaxOf, unfitFor, type Mapping } from './mapping.ts';

const plain: Mapping = {
  hash: { name: 'id', type: 'string' },
  sort: null,
  separator: '/',
  value: { from: 'attribute', name: 'value', type: 'binary' },
  ttl: 'endsAt',
  leaveOut: new Set(['rev']),
};
const sorted: Mapping = {
  ...plain,
  hash: { name: 'p', type: 'binary' },
  sort: { name: 's', type: 'string' },
  separator: '--',
};
const wholeItem: Mapping = { ...plain, value: { from: 'item' } };
const itemsOf = (mapping: Mapping) => new Items(mapping, keyFromText('_keyferry/'));
const nowMs = 1_000_000;
const text = (value: string) => Buffer.from(value);

describe('a record', () => {
  const anyPart = fc.string({ minLength: 1, maxLength: 8, unit: 'binary' });
  it.each([
    { name: 'of a table with one key', mapping: plain },
    { name: 'of a table with two keys', mapping: sorted },
  ])('$name comes back from its item', ({ mapping }) =>
    fc.assert(
      fc.property(anyPart, anyPart, fc.uint8Array(), fc.boolean(), (first, second, value, ends) => {
        const key = keyFromText(`${first}--${second}`);
        fc.pre(!key.startsWith('_keyferry/') && unfitFor(mapping)({ key, value }) === null);
        const expiresAtMs = ends ? 2_000_000 : null;
        const item = itemsOf(mapping).build({ key, value, expiresAtMs });
        expect(itemsOf(mapping).find(item, nowMs)).toMatchObject({
          kind: 'record',
          record: { key, value, expiresAtMs, version: versionOf(item) },
        });
      }),
    ),
  );

  it('ends with its second, rounded up, and not before', () => {
    const items = itemsOf(plain);
    const item = items.build({ key: keyFromText('a'), value: text('v'), expiresAtMs: 1_999_001 });
    expect(item['endsAt']).toEqual({ N: '2000' });
    expect(items.find(item, 1_999_999).kind).toBe('record');
    expect(items.find(item, 2_000_000).kind).toBe('expired');
  });

  it('keeps what an item holds that is left out, and has a version of it', () => {
    const items = itemsOf(plain);
    const before = { id: { S: 'a' }, value: { B: text('v') }, rev: { N: '7' } };
    expect(items.restOf(before)).toEqual({ rev: { N: '7' } });
    const after = items.build({ key: keyFromText('a'), value: text('w'), expiresAtMs: null }, items.restOf(before));
    expect(after).toMatchObject({ rev: { N: '7' } });
    expect(versionOf({ ...before, rev: { N: '8' } })).not.toBe(versionOf(before));
  });

  it('of a whole item is the text of its other attributes', () => {
    const item = { id: { S: 'a' }, endsAt: { N: '5000' }, rev: { N: '1' }, name: { S: 'x' }, tags: { SS: ['b', 'a'] } };
    const found = itemsOf(wholeItem).find(item, nowMs);
    const record = found.kind === 'record' ? found.record : null;
    expect(Buffer.from(record?.value ?? []).toString()).toBe('{"name":{"S":"x"},"tags":{"SS":["a","b"]}}');
    expect(record?.expiresAtMs).toBe(5_000_000);
  });
});

describe('an item that is no record', () => {
  it.each([
    ['lacks its value', { id: { S: 'a' } }, 'value is not there'],
    ['has a value of another type', { id: { S: 'a' }, value: { N: '1' } }, 'value is of type N'],
    ['holds more than a value', { id: { S: 'a' }, value: { B: text('v') }, more: { S: 'x' } }, 'it also holds more'],
    [
      'has a TTL that is no number',
      { id: { S: 'a' }, value: { B: text('v') }, endsAt: { S: '5' } },
      'endsAt is no whole',
    ],
    [
      'has a TTL with a fraction',
      { id: { S: 'a' }, value: { B: text('v') }, endsAt: { N: '5.5' } },
      'endsAt is no whole',
    ],
  ])('because it %s is named with its reason', (_, item, why) => {
    const found = itemsOf(plain).find(item, nowMs);
    expect(found).toMatchObject({
      kind: 'unmapped',
      key: 'a',
      mayBeAnothers: false,
      why: expect.stringContaining(why),
    });
  });

  it.each(['a--b', 'a-'])('because its partition key %s would be parted elsewhere is named with its reason', (hash) => {
    const item = { p: { B: text(hash) }, s: { S: '-x' }, value: { B: text('v') } };
    expect(itemsOf(sorted).find(item, nowMs)).toMatchObject({ kind: 'unmapped', mayBeAnothers: true });
  });

  it('is a tombstone, or keyferry’s own', () => {
    expect(itemsOf(plain).find({ id: { S: 'a' }, _keyferry: { S: 'tombstone/m' } }, nowMs).kind).toBe('tombstone');
    expect(itemsOf(plain).find({ id: { S: '_keyferry/m/epoch/0' } }, nowMs).kind).toBe('own');
  });
});

describe('a key or value that no item can hold', () => {
  const bytes = (...each: number[]): Key => keyFromBytes(Uint8Array.from(each));
  it.each<[string, Mapping, Key, string, string]>([
    ['an empty key', plain, '' as Key, 'v', 'id would be empty'],
    ['a key that is not UTF-8', plain, bytes(0xff), 'v', 'not UTF-8'],
    ['a key that is too long', plain, keyFromText('x'.repeat(2049)), 'v', 'over 2048 bytes'],
    ['a key without a separator', sorted, keyFromText('ab'), 'v', 'no "--"'],
    ['a key without a second part', sorted, keyFromText('a--'), 'v', 's would be empty'],
    ['a second part that is too long', sorted, keyFromText(`a--${'x'.repeat(1025)}`), 'v', 'over 1024 bytes'],
    ['a text that is no item', wholeItem, keyFromText('a'), 'v', 'not the text of an item'],
    ['an item with the key among its attributes', wholeItem, keyFromText('a'), '{"id":{"S":"b"}}', 'attribute id'],
  ])('%s is said to be so', (_, mapping, key, value, why) => {
    expect(unfitFor(mapping)({ key, value: text(value) })).toContain(why);
  });

  it('is a value that is not UTF-8 where a string is wanted, or an item over its limit', () => {
    const strings: Mapping = { ...plain, value: { from: 'attribute', name: 'value', type: 'string' } };
    expect(unfitFor(strings)({ key: keyFromText('a'), value: Uint8Array.of(0xff) })).toContain('not UTF-8');
    const large = text(`{"a":{"S":"${'x'.repeat(409_600)}"}}`);
    expect(unfitFor(wholeItem)({ key: keyFromText('a'), value: large })).toBe('the item would be over 400 KB');
    expect(recordBytesMaxOf(wholeItem)).toBeNull();
    expect(recordBytesMaxOf(plain)).toBe(409_600 - 'idvalueendsAt'.length - 8);
  });
});

it('the first separator parts a key', () => {
  expect(partsOfKey({ ...sorted, separator: '/' }, keyFromText('a/b/c'))).toEqual({ hash: 'a', sort: 'b/c' });
});
