/**
 * Goal: no transform loses a byte silently, and each that claims a way back has one.
 * Method: the law inverse(forward(x)) = x over generated records, then tables of what is refused.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, type Key } from '../model/key.ts';
import { decodeBase64, editJson, encodeBase64, gunzip, gzip, type JsonEdit } from './map-value.ts';
import { selectKeys } from './select-keys.ts';
import { compose, identity, onlyFor, type Moving, type Transform } from './transform.ts';

const text = (value: Uint8Array): string => new TextDecoder().decode(value);
const moving = (key: string, value = 'v'): Moving => ({
  key: keyFromText(key),
  value: new TextEncoder().encode(value),
  expiresAtMs: null,
});
const anyMoving: fc.Arbitrary<Moving> = fc.record({
  key: fc.uint8Array({ maxLength: 12 }).map(keyFromBytes),
  value: fc.uint8Array({ maxLength: 60 }),
  expiresAtMs: fc.option(fc.nat()),
});
const under = (prefix: string) => (key: Key) => key.startsWith(prefix);

const withWayBack: Readonly<Record<string, Transform>> = {
  identity,
  'base64 encoding': encodeBase64(),
  'base64 decoding': decodeBase64(),
  gzip: gzip(),
  'excluding keys': selectKeys('exclude /x/**', (key) => !key.startsWith('/x/')),
  'a value map for some keys': onlyFor('/x/**', under('/x/'), encodeBase64()),
  'several together': compose([encodeBase64(), gzip(), selectKeys('all', () => true)]),
};

describe('a transform with a way back', () => {
  it.each(Object.entries(withWayBack))('law: inverse(forward(x)) = x for %s', (_name, transform) => {
    fc.assert(
      fc.property(anyMoving, (record) => {
        const forward = transform.apply(record);
        if (forward.kind !== 'kept') return;
        expect(transform.inverse?.apply(forward.record)).toEqual({ kind: 'kept', record });
      }),
    );
  });

  it('has none as soon as one of its parts has none', () => {
    expect(compose([gzip(), gunzip()]).inverse).toBeNull();
    expect(compose([]).inverse?.apply(moving('/a'))).toMatchObject({ kind: 'kept' });
  });
});

describe('value maps', () => {
  it.each([
    { name: 'base64 with a missing pad', transform: decodeBase64(), value: 'YQ' },
    { name: 'base64 with stray bits', transform: decodeBase64(), value: 'YR==' },
    { name: 'no base64', transform: decodeBase64(), value: '*' },
    { name: 'no gzip', transform: gunzip(), value: 'plain' },
    { name: 'no JSON', transform: editJson([{ kind: 'remove', path: '/a' }]), value: '{' },
  ])('fail the record on $name', ({ transform, value }) => {
    expect(transform.apply(moving('/k', value)).kind).toBe('failed');
  });

  it.each([
    { edits: [{ kind: 'set', path: '/a/b', to: 1 }], value: '{"a":{}}', want: '{"a":{"b":1}}' },
    { edits: [{ kind: 'set', path: '', to: [] }], value: '1', want: '[]' },
    { edits: [{ kind: 'set', path: '/-', to: 3 }], value: '[1]', want: '[1,3]' },
    { edits: [{ kind: 'set', path: '/0', to: 3 }], value: '[1]', want: '[3]' },
    { edits: [{ kind: 'remove', path: '/a~1b' }], value: '{"a/b":1,"c":2}', want: '{"c":2}' },
    { edits: [{ kind: 'remove', path: '/nothing/here' }], value: '{"c":2}', want: '{"c":2}' },
    { edits: [{ kind: 'remove', path: '/0' }], value: '[1,2]', want: '[2]' },
    { edits: [{ kind: 'move', path: '/a', to: '/b' }], value: '{"a":{"x":1}}', want: '{"b":{"x":1}}' },
    { edits: [{ kind: 'move', path: '/z', to: '/b' }], value: '{"a":1}', want: '{"a":1}' },
    {
      edits: [{ kind: 'remove', path: '/x' }],
      value: '{"n":12345678901234567890,"m":1.50}',
      want: '{"n":12345678901234567890,"m":1.50}',
    },
    { edits: [{ kind: 'set', path: '/__proto__', to: 1 }], value: '{}', want: '{"__proto__":1}' },
  ] as { edits: JsonEdit[]; value: string; want: string }[])('edit $value to $want', ({ edits, value, want }) => {
    const outcome = editJson(edits).apply(moving('/k', value));
    expect(outcome.kind === 'kept' && text(outcome.record.value)).toBe(want);
  });

  it.each([
    { edits: [{ kind: 'set', path: '/a/b', to: 1 }], value: '{}' },
    { edits: [{ kind: 'set', path: '/5', to: 1 }], value: '[]' },
    { edits: [{ kind: 'set', path: 'a', to: 1 }], value: '{}' },
    { edits: [{ kind: 'set', path: '/n/x', to: 1 }], value: '{"n":1}' },
  ] as { edits: JsonEdit[]; value: string }[])('fail where there is no such place: $edits', ({ edits, value }) => {
    expect(editJson(edits).apply(moving('/k', value)).kind).toBe('failed');
  });
});
