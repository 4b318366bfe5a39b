/** Goal: a value survives its way through a form. Method: a law against a decoder of forms that is not ours. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeForm, formBytes } from './form.ts';

describe('a value in a form', () => {
  it('law: is read from it as it was, and is as long as was said', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('%', '&', '+', ';', 'a', '=', ' ', '\n', '\u0000', 'é', '😀') }),
        (text) => {
          const value = Buffer.from(text, 'utf8');
          const escaped = escapeForm(value);
          expect(escaped.length).toBe(formBytes(value));
          const form = new URLSearchParams(`ttl=1&value=${Buffer.from(escaped).toString('utf8')}`);
          expect([...form.keys()]).toEqual(['ttl', 'value']);
          expect(form.get('value')).toBe(value.toString('utf8'));
        },
      ),
    ));

  it('of plain text stays what it is', () => {
    const value = Buffer.from('{"a": "grüße = 1"}');
    expect(escapeForm(value)).toBe(value);
  });
});
