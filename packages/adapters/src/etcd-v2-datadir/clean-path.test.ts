/** Goal: paths come out as Go's path.Clean(path.Join("/", p)). Method: the cases of Go's own documentation and tests. */
import { expect, it } from 'vitest';
import { cleanPath } from './clean-path.ts';

it.each([
  ['/1/a/b', '/1/a/b'],
  ['1/a', '/1/a'],
  ['', '/'],
  ['/', '/'],
  ['/1/a/', '/1/a'],
  ['/1//a', '/1/a'],
  ['/1/./a', '/1/a'],
  ['/1/.a/..b/c.', '/1/.a/..b/c.'],
  ['/1/a/../b', '/1/b'],
  ['/1/a/..', '/1'],
  ['/../../1', '/1'],
  ['..', '/'],
  ['.', '/'],
])('%s becomes %s', (path, want) => expect(cleanPath(path)).toBe(want));
