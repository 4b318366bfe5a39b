/** Goal: no key that looks like a secret's, or that somebody named, is taken for harmless. Method: tables. */
import { keyFromBytes, keyFromText } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { compileGlob } from './glob.ts';
import { sensitiveMatcher } from './sensitive.ts';

describe('compileGlob', () => {
  it.each([
    [
      '/config/db/**',
      ['/config/db/a', '/config/db/a/b', '/config/db', '/config/db/.x', '/config/db/../a', '/config/db/a\nb'],
      ['/config/dbx', '/config', 'x/config/db/a'],
    ],
    ['/a/*', ['/a/b', '/a/', '/a/.b'], ['/a/b/c', '/a']],
    ['**/key', ['key', 'a/key', 'a/b/key'], ['akey', 'key/a']],
    ['/a/**/b', ['/a/b', '/a/x/b', '/a/x/y/b'], ['/a/xb', '/ab']],
    ['/a?c', ['/abc', '/aéc'], ['/a/c', '/ac']],
    ['/[a-c]x', ['/ax', '/cx'], ['/dx']],
    ['/[!a]x', ['/bx'], ['/ax', '//x']],
    ['/{a,b/c}/x', ['/a/x', '/b/c/x'], ['/b/x']],
    ['/a,b', ['/a,b'], ['/a']],
    ['/{a', ['/{a'], ['/a']],
    ['/a}', ['/a}'], ['/a']],
    ['/a.b+(c)$^|', ['/a.b+(c)$^|'], ['/axb+(c)$^|']],
    ['/\\*', ['/*'], ['/a']],
    ['**', ['', 'a', '/a/b'], []],
    ['/[a', ['/[a'], ['/a']],
  ])('%s', (glob, matching, others) => {
    const matches = compileGlob(glob);
    expect(matching.filter((text) => !matches(text))).toEqual([]);
    expect(others.filter(matches)).toEqual([]);
  });
});

describe('sensitiveMatcher', () => {
  const isSensitive = sensitiveMatcher(['/config/db/**']);
  it.each([
    '/app/password',
    '/app/DB_PASSWORD',
    '/app/passwords/alice',
    '/app/clientSecret',
    '/secrets/a',
    '/app/api-token/',
    '/app/tls/PrivateKey.pem',
    '/app/private_rsa_key',
    'password',
    '/config/db/host',
  ])('%s is sensitive', (key) => expect(isSensitive(keyFromText(key))).toBe(true));

  it.each(['/app/limits', '/secrets/a/b', '/app/private', '/app/keys', '/config/dbx', ''])('%s is not', (key) =>
    expect(isSensitive(keyFromText(key))).toBe(false),
  );

  it('sees a name among bytes that are no text', () => {
    expect(isSensitive(keyFromBytes(Buffer.from([0x2f, 0xff, ...Buffer.from('password')])))).toBe(true);
  });
});
