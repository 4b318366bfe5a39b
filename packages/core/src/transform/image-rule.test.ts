/** Goal: an image is merged as it comes only where order is proven. Method: rules of each kind, and the rule to scan by. */
import { describe, expect, it } from 'vitest';
import { keyFromText, prefixRange } from '../model/key.ts';
import { imageRule } from './image-rule.ts';
import { encodeBase64 } from './map-value.ts';
import { toTargetRange, type PrefixRule } from './prefix-rule.ts';
import { renamePattern } from './rename-pattern.ts';
import { renamePrefix } from './rename-prefix.ts';
import { compose, type Transform } from './transform.ts';

const rule: PrefixRule = { sourcePrefix: keyFromText('/s/'), targetPrefix: keyFromText('/t/') };
const byPrefix = (prefix: string, to: string): Transform => renamePrefix(keyFromText(prefix), keyFromText(to));
const spilled = { order: 'spilled', rule: { sourcePrefix: '/t/', targetPrefix: '/t/' } };

describe('the rule to scan an image by', () => {
  it.each<{ name: string; transform: Transform | null; want: object }>([
    { name: 'none', transform: null, want: { order: 'merged', rule } },
    { name: 'values only', transform: compose([encodeBase64()]), want: { order: 'merged', rule } },
    {
      name: 'a prefix that covers all keys',
      transform: byPrefix('/t/', '/t/new/'),
      want: { order: 'merged', rule: { sourcePrefix: '/s/', targetPrefix: '/t/new/', targetSpan: '/t/' } },
    },
    { name: 'a prefix that covers some', transform: byPrefix('/t/a/', '/t/b/'), want: spilled },
    { name: 'a prefix that leaves the one of the target', transform: byPrefix('/t/', '/u/'), want: spilled },
    { name: 'a pattern', transform: renamePattern('x', 'y'), want: spilled },
  ])('is right for $name', ({ transform, want }) =>
    expect(imageRule({ rule, transform, program: null })).toEqual(want),
  );

  it('looks at all keys under the target prefix, whatever lies before and behind the new one', () => {
    const { rule: renamed } = imageRule({ rule, transform: byPrefix('/t/', '/t/new/'), program: null });
    const whole = prefixRange(keyFromText('/s/'));
    const middle = keyFromText('/s/m');
    expect(toTargetRange(renamed, whole)).toEqual(prefixRange(keyFromText('/t/')));
    expect(toTargetRange(renamed, { start: whole.start, end: middle })).toEqual({ start: '/t/', end: '/t/new/m' });
    expect(toTargetRange(renamed, { start: middle, end: whole.end })).toEqual({ start: '/t/new/m', end: '/t0' });
  });
});
