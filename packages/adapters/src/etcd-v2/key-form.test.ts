/** Goal: what a v2 tree cannot hold is told before it is written. Method: the edges of each rule. */
import { describe, expect, it } from 'vitest';
import type { Key } from '@keyferry/core';
import { directoriesAbove, unfitForServer, unfitForTree } from './key-form.ts';

const record = (key: string, value: string | Uint8Array = 'v') => ({
  key: Buffer.from(key, 'utf8').toString('latin1') as Key,
  value: Buffer.from(value),
});

describe('a record for a v2 tree', () => {
  it.each(['/a', '/a/b-c', '/a.b', '/.../x', '/a/..b', '/ü/😀', '/%2F', '/a b', '/a/b_c', '/_a'])('may be %s', (key) =>
    expect(unfitForTree(record(key))).toBeNull(),
  );

  it.each(['', 'a', 'a/b', '/', '//', '/a//b', '/a/', '/.', '/..', '/./a', '/a/.', '/a/../b'])('may not be %j', (key) =>
    expect(unfitForTree(record(key))).not.toBeNull(),
  );

  it('may hold no bytes that are not UTF-8', () => {
    expect(unfitForTree({ ...record('/a'), key: '/\xff' as Key })).toMatch(/key is not UTF-8/);
    expect(unfitForTree(record('/a', Uint8Array.of(0xc3)))).toMatch(/value is not UTF-8/);
  });

  it.each(['/_a', '/a/_b', '/a/_b/c'])('may not be %s on a server, which would not list it', (key) =>
    expect(unfitForServer(record(key))).toMatch(/no listing shows/),
  );

  it('may not be over 10 MiB as a form on a server', () => {
    const many = (character: string) => record('/a', character.repeat(4 * 1024 * 1024));
    expect(unfitForServer(many('a'))).toBeNull();
    expect(unfitForServer(many('&'))).toMatch(/10 MiB/);
  });
});

describe('the directories above a key', () => {
  it.each([
    { key: '/a', above: [] },
    { key: '/a/b/c', above: ['/a', '/a/b'] },
  ])('$key are $above', ({ key, above }) => expect(directoriesAbove(key)).toEqual(above));
});
