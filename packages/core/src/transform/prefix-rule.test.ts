/** Goal: the prefix rule keeps order, has an exact inverse, and maps ranges as it maps keys. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes, prefixRange, rangeHolds, type Key } from '../model/key.ts';
import { toSourceKey, toTargetKey, toTargetRange } from './prefix-rule.ts';

const anyKey = fc.uint8Array({ maxLength: 8 }).map(keyFromBytes);
const anyRule = fc.record({ sourcePrefix: anyKey, targetPrefix: anyKey });
const under = (prefix: Key, rest: Key): Key => (prefix + rest) as Key;

describe('prefix rule', () => {
  it('law: inverse(forward(key)) = key', () =>
    fc.assert(
      fc.property(anyRule, anyKey, (rule, rest) => {
        const key = under(rule.sourcePrefix, rest);
        return toSourceKey(rule, toTargetKey(rule, key)) === key;
      }),
    ));

  it('law: it keeps byte order', () =>
    fc.assert(
      fc.property(anyRule, anyKey, anyKey, (rule, a, b) => {
        const map = (rest: Key): Key => toTargetKey(rule, under(rule.sourcePrefix, rest));
        return a < b === map(a) < map(b);
      }),
    ));

  it('law: a mapped range holds exactly the mapped keys', () =>
    fc.assert(
      fc.property(anyRule, anyKey, anyKey, fc.option(anyKey), (rule, rest, start, end) => {
        const key = under(rule.sourcePrefix, rest);
        const whole = prefixRange(rule.sourcePrefix);
        const range = {
          start: under(rule.sourcePrefix, start),
          end: end === null ? whole.end : under(rule.sourcePrefix, end),
        };
        expect(rangeHolds(toTargetRange(rule, range), toTargetKey(rule, key))).toBe(rangeHolds(range, key));
      }),
    ));
});
