/** Goal: a suggestion is what was meant, or none. Method: a table of mistypings. */
import { expect, it } from 'vitest';
import { nearest } from './nearest.ts';

it.each([
  ['prefx', 'prefix'],
  ['endpiont', 'endpoints'],
  ['Strategy', 'strategy'],
  ['stor', 'store'],
  ['zzz', null],
  ['', null],
])('%s is %s', (name, meant) => {
  expect(nearest(name, ['prefix', 'endpoints', 'strategy', 'store'])).toBe(meant);
});
