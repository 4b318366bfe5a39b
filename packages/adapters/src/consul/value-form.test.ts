/**
 * Goal: a value and its flags survive the way through the one value of a record, and nothing has two forms.
 * Method: tables, and laws over values that often look like a header.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ValueForm } from './value-form.ts';

const bytes = (text: string) => Buffer.from(text, 'utf8');
const anyFlags = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const anyValue = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.tuple(anyFlags, fc.string()).map(([flags, text]) => bytes(`consul-flags:${flags}\n${text}`)),
  fc.nat().map((version) => bytes(JSON.stringify({ meta: { 'a/b': version } }))),
);
const forms = [new ValueForm(null), new ValueForm('/meta/a~1b')];

describe('a value with flags', () => {
  it.each([
    { name: 'none', form: 0, stored: 'v', flags: '0', value: 'v' },
    { name: 'some', form: 0, stored: 'v', flags: '42', value: 'consul-flags:42\nv' },
    {
      name: 'the largest',
      form: 0,
      stored: '',
      flags: '18446744073709551615',
      value: 'consul-flags:18446744073709551615\n',
    },
    {
      name: 'none, and the look of a header',
      form: 0,
      stored: 'consul-flags:1\nv',
      flags: '0',
      value: 'consul-flags:0\nconsul-flags:1\nv',
    },
    {
      name: 'those that its value says',
      form: 1,
      stored: '{"meta":{"a/b":7}}',
      flags: '7',
      value: '{"meta":{"a/b":7}}',
    },
    {
      name: 'others than its value says',
      form: 1,
      stored: '{"meta":{"a/b":7}}',
      flags: '0',
      value: 'consul-flags:0\n{"meta":{"a/b":7}}',
    },
    {
      name: 'some, and nothing to find in its value',
      form: 1,
      stored: 'text',
      flags: '3',
      value: 'consul-flags:3\ntext',
    },
  ])('that are $name has one form', ({ form, stored, flags, value }) => {
    const valueForm = forms[form] as ValueForm;
    expect(Buffer.from(valueForm.toValue({ value: bytes(stored), flags })).toString()).toBe(value);
    const back = valueForm.toStored(bytes(value));
    expect([Buffer.from(back.value).toString(), back.flags]).toEqual([stored, flags]);
    expect(valueForm.unfit(bytes(value))).toBeNull();
  });

  it('law: what is stored comes back as it was', () =>
    fc.assert(
      fc.property(fc.constantFrom(...forms), anyValue, anyFlags, (form, value, flags) => {
        const back = form.toStored(form.toValue({ value, flags }));
        expect({ ...back, value: Buffer.from(back.value) }).toEqual({ value: Buffer.from(value), flags });
      }),
    ));

  it('law: what fits is read back as it was written', () =>
    fc.assert(
      fc.property(fc.constantFrom(...forms), anyValue, (form, value) => {
        const readBack = Buffer.from(form.toValue(form.toStored(value)));
        expect(readBack.equals(Buffer.from(value))).toBe(form.unfit(value) === null);
      }),
    ));

  it('above 64 bits is refused', () =>
    expect(new ValueForm(null).unfit(bytes('consul-flags:18446744073709551616\nv'))).toMatch('64 bits'));

  it.each(['{"meta":{"a/b":-1}}', '{"meta":{"a/b":1.5}}', '{"meta":{"a/b":"7"}}', '{"meta":null}', '[]', 'no JSON'])(
    'expects 0 of %s',
    (text) => expect(forms[1]?.toStored(bytes(text)).flags).toBe('0'),
  );
});
