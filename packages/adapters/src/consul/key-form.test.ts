/** Goal: a key that nobody could read by its name is found before it is written. Method: tables. */
import { keyFromText, type Key } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { listingPrefix, readablePrefix, unfitKey } from './key-form.ts';

describe('a key', () => {
  it.each(['a', 'a/b', 'a/', 'a/.b', 'a/b.', 'a/...', '.a', '%2F', 'x y', 'é😀', '"', '\\', 'a\n'])(
    '%j can be held',
    (text) => expect(unfitKey(keyFromText(text))).toBeNull(),
  );

  it.each(['', '/', '/a', 'a//b', '//', '.', '..', './a', '../a', 'a/.', 'a/..', 'a/./b', 'a/../b'])(
    '%j cannot',
    (text) => expect(unfitKey(keyFromText(text))).not.toBeNull(),
  );

  it('that is not UTF-8 cannot', () => expect(unfitKey('a\xff' as Key)).toBe('the key is not UTF-8'));
});

describe('what is listed', () => {
  it.each([
    ['app/', 'app/'],
    ['app', 'app'],
    ['', ''],
    ['/app/', ''],
    ['a//b', 'a/'],
    ['a/../b', 'a/'],
    ['a/.', 'a/'],
    ['./a', ''],
    ['a/.b', 'a/.b'],
  ])('for the prefix %j is below %j', (prefix, listed) => {
    expect(readablePrefix(keyFromText(prefix))).toBe(listed);
    expect(prefix.startsWith(listed)).toBe(true);
  });

  it.each([
    ['app/', 'app0', 'app/'],
    ['app/a', 'app/c', 'app/'],
    ['app/a', null, ''],
    ['app/ab', 'app/ac', 'app/ab'],
    ['a', 'b/x', ''],
  ])('for the range from %j to %j is below %j', (start, end, listed) =>
    expect(listingPrefix({ start: keyFromText(start), end: end === null ? null : keyFromText(end) })).toBe(listed),
  );
});
