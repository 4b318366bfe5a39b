/**
 * Goal: columns line up on a terminal, whatever is in them.
 * Method: texts whose width is known, and the library's own answer for any text of ASCII.
 */
import * as fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { visibleWidth } from './visible-width.ts';

describe('visibleWidth', () => {
  it.each([
    ['', 0],
    ['keys', 4],
    ['\u001b[1mkeys\u001b[22m', 4],
    ['世界', 4],
    ['\u001b[31m世界\u001b[39m', 4],
    ['e\u0301', 1],
    ['👨‍👩‍👧', 2],
    ['a\tb', 2],
  ])('of %j is %i', (text, width) => {
    expect(visibleWidth(text)).toBe(width);
  });

  it('is what the library says, of any text', () => {
    const piece = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constantFrom('\u001b[2m', '\u001b[22m'));
    fc.assert(fc.property(fc.array(piece), (all) => visibleWidth(all.join('')) === stringWidth(all.join(''))));
  });
});
