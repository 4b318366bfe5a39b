/** Goal: a row that was written behind a position is told from all others. Method: a table, with both ends of each range. */
import type { Position, Version } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { cameAfter } from './position.ts';

describe('a version', () => {
  it.each([
    ['of a transaction that was over', '99', '1/100:105:100,103', false],
    ['of one that was under way', '100', '1/100:105:100,103', true],
    ['of one that was over although an older one was under way', '101', '1/100:105:100,103', false],
    ['of the last that was over', '104', '1/100:105:100,103', false],
    ['of the first to come', '105', '1/100:105:100,103', true],
    ['of one behind the turn of 32 bits', '4', '1/4294967290:4294967295:', true],
    ['of one before that turn', '4294967290', '1/4294967300:4294967300:', false],
    ['of one under way across the turn', '4294967294', '1/4294967294:4294967300:4294967294', true],
    ['of a row that is frozen', '2', '1/100:105:', false],
    ['under a position that names no transactions under way', '101', '1/100:105:sha256-0123', false],
    ['that is none', 'x', '1/100:105:', false],
    ['beside a position that is none', '105', '0/16B3748', false],
  ])('%s', (_, version, position, after) => {
    expect(cameAfter(version as Version, position as Position)).toBe(after);
  });
});
