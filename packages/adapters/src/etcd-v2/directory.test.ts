/** Goal: one request covers a whole range. Method: ranges by hand, and a law: every key of a range is below its directory. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromText, prefixRange, rangeHolds, type Key } from '@keyferry/core';
import { anyRange, anyTextKey } from '@keyferry/core/testing';
import { encodePath } from '../http/key-path.ts';
import { directoryOf, startsAmongHidden } from './directory.ts';

describe('directoryOf', () => {
  it.each([
    { prefix: '', directory: '' },
    { prefix: '/', directory: '' },
    { prefix: '/config', directory: '' },
    { prefix: '/config/', directory: '/config' },
    { prefix: '/config/a', directory: '/config' },
    { prefix: '/config/a/', directory: '/config/a' },
    { prefix: '/ü/x', directory: '/ü' },
    { prefix: 'config/', directory: null },
    { prefix: '//', directory: null },
    { prefix: '/a//b', directory: null },
    { prefix: '/a/../b', directory: null },
    { prefix: '/a/./b', directory: null },
    { prefix: '/a/...', directory: '/a' },
  ])('of the prefix "$prefix" is "$directory"', ({ prefix, directory }) => {
    expect(directoryOf(prefixRange(keyFromText(prefix)))).toBe(directory === null ? null : keyFromText(directory));
  });

  it.each([
    { start: '/a/b', end: '/a/c', directory: '/a' },
    { start: '/a/b/x', end: '/a/b/y', directory: '/a/b' },
    { start: '/a/b', end: '/b', directory: '' },
    { start: '/a/b/x', end: null, directory: '' },
    { start: '', end: '/a', directory: '' },
    { start: '0', end: null, directory: null },
  ])('of keys from "$start" to "$end" is "$directory"', ({ start, end, directory }) => {
    expect(directoryOf({ start: start as Key, end: end as Key | null })).toBe(directory);
  });

  it('law: holds every key of the range', () =>
    fc.assert(
      fc.property(anyRange, anyTextKey, (range, name) => {
        const slashed = { start: `/${range.start}` as Key, end: range.end === null ? null : (`/${range.end}` as Key) };
        const key = `/${name}` as Key;
        const directory = directoryOf(slashed);
        fc.pre(rangeHolds(slashed, key) && directory !== null);
        expect(key.startsWith(`${directory ?? ''}/`)).toBe(true);
      }),
    ));
});

describe('startsAmongHidden', () => {
  it.each([
    { prefix: '/_', hidden: true },
    { prefix: '/_x', hidden: true },
    { prefix: '/a/_x', hidden: true },
    { prefix: '/_x/', hidden: false },
    { prefix: '/_x/a', hidden: false },
    { prefix: '/a_x', hidden: false },
    { prefix: '/', hidden: false },
    { prefix: '', hidden: false },
  ])('of "$prefix" is $hidden', ({ prefix, hidden }) =>
    expect(startsAmongHidden(prefixRange(keyFromText(prefix)))).toBe(hidden),
  );
});

it('encodePath is what decodeURIComponent undoes, slash by slash', () => {
  const text = "/a b/100%/ü😀/x?y#z&+'()*!~._-";
  expect(encodePath(keyFromText(text)).split('/').map(decodeURIComponent).join('/')).toBe(text);
  expect(encodePath(keyFromText(text))).toMatch(/^[\w\-.~/%]+$/);
});
