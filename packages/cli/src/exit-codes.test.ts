/**
 * Goal: a script can rely on the exit code of every failure.
 * Method: the table is held against core's list of codes, and the meanings against the conventions.
 */
import { codes, KeyferryError, type Code } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodes, exitCodesOf } from './exit-codes.ts';

describe('exit codes', () => {
  it('are those of the conventions', () => {
    expect(Object.values(exitCodes)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 64, 78, 130, 143]);
  });

  it.each(Object.keys(codes) as Code[])('%s has one, and it is no success', (code) => {
    expect(exitCodesOf(code).length).toBeGreaterThan(0);
    expect(exitCodesOf(code)).not.toContain(exitCodes.done);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['timeout', 6],
    ['something else', 1],
  ])('a run stopped by %s exits with %i', (signal, want) => {
    expect(exitCodeOf(new KeyferryError('run.interrupted', { migration: 'm', signal }))).toBe(want);
  });

  it.each<[Code, number]>([
    ['plan.stale', 3],
    ['plan.not-applyable', 4],
    ['apply.failed-before', 7],
    ['plan.refused-before', 4],
    ['approval.required', 4],
    ['lease.held', 5],
    ['usage.invalid', 64],
    ['config.invalid', 78],
    ['store.unreachable', 1],
  ])('%s means %i', (code, want) => expect(exitCodesOf(code)).toEqual([want]));
});
