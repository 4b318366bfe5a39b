/** Goal: changes of a tail that depend on each other stay in order, and others may go together. */
import { describe, expect, it } from 'vitest';
import type { Key } from '@keyferry/core';
import { groupsOf } from './tail.ts';

const group = (...keys: string[]) =>
  groupsOf(keys.map((key) => ({ key: key as Key }))).map((each) => each.map(({ key }) => key));

describe('the groups of a batch', () => {
  it('is one where no key lies below another', () =>
    expect(group('/a/b', '/a/c', '/ab', '/d')).toEqual([['/a/b', '/a/c', '/ab', '/d']]));
  it('ends before a key that lies below an earlier one', () =>
    expect(group('/a', '/b', '/a/c/d')).toEqual([['/a', '/b'], ['/a/c/d']]));
  it('ends before a key that lies above an earlier one', () =>
    expect(group('/a/c/d', '/a', '/a/c')).toEqual([['/a/c/d'], ['/a'], ['/a/c']]));
  it('is none of nothing', () => expect(group()).toEqual([]));
});
