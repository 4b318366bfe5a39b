/**
 * Goal: a key means one row and a row has one key, whatever its columns hold.
 * Method: templates that are refused, each with its reason; then a law: what was made of columns leads back to them, and to
 * nothing else.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromText, type Key } from '@keyferry/core';
import { columnText, compileKeyTemplate, parseKey, type KeyTemplate } from './key-template.ts';

function templateOf(text: string): KeyTemplate {
  const compiled = compileKeyTemplate(text);
  if (!compiled.ok) throw new RangeError(compiled.why);
  return compiled.template;
}

/** What the server does with a row, in a few lines of its own. */
function keyOf({ parts }: KeyTemplate, columns: readonly string[]): Key {
  const left = [...columns];
  const texts = parts.map((part) => {
    if (part.kind === 'text') return part.text;
    const value = left.shift() ?? '';
    return part.kind === 'rest' ? value : value.replaceAll('%', '%25').replaceAll('/', '%2F');
  });
  return keyFromText(texts.join(''));
}

describe('compileKeyTemplate', () => {
  it.each([
    { text: 'jm/jobs', why: 'it names no column' },
    { text: 'jm/{}', why: 'no name' },
    { text: 'jm/{a}{b}', why: 'ends and {b} begins' },
    { text: 'jm/{a}-{b}', why: 'two columns in one segment' },
    { text: 'jm/{a}/{a}', why: 'stands twice' },
    { text: '{a...}/x', why: 'stands last' },
    { text: 'jm/{a', why: 'it names no column' },
    { text: 'jm/{a}/}', why: 'a brace without' },
  ])('refuses $text: $why', ({ text, why }) => {
    expect(compileKeyTemplate(text)).toEqual({ ok: false, why: expect.stringContaining(why) as string });
  });

  it('knows what all keys begin with, and the columns in their order', () => {
    expect(templateOf('jm/{service}/v{name}')).toMatchObject({ prefix: 'jm/', columns: ['service', 'name'] });
    expect(templateOf('{key...}')).toMatchObject({ prefix: '', columns: ['key'] });
  });
});

describe('parseKey', () => {
  it.each([
    { template: 'jm/{a}/{b}', key: 'jm/x/y', columns: ['x', 'y'] },
    { template: 'jm/{a}/{b}', key: 'jm//', columns: ['', ''] },
    { template: 'jm/{a}/{b}', key: 'jm/x%2Fy/z%25', columns: ['x/y', 'z%'] },
    { template: 'jm/{a}/{b}', key: 'jm/x', columns: null },
    { template: 'jm/{a}/{b}', key: 'jm/x/y/z', columns: null },
    { template: 'jm/{a}/{b}', key: 'jm/x%2f/y', columns: null },
    { template: 'jm/{a}/{b}', key: 'jm/x%41/y', columns: null },
    { template: 'jm/{a}/{b}', key: 'pm/x/y', columns: null },
    { template: 'v{a}.json', key: 'v12.json', columns: ['12'] },
    { template: 'v{a}.json', key: 'v.jso', columns: null },
    { template: 'jm/{a}/{b...}', key: 'jm/x/y/z%', columns: ['x', 'y/z%'] },
    { template: '{a...}', key: '', columns: [''] },
  ])('$key under $template', ({ template, key, columns }) => {
    expect(parseKey(templateOf(template), keyFromText(key))).toEqual(columns?.map(keyFromText) ?? null);
  });

  it('law: leads back to the columns that the key was made of', () => {
    const template = fc.constantFrom('jm/{a}/{b}', '{a}/x/{b}', 'p{a}s/{b...}', '{a}/{b}.json').map(templateOf);
    const column = fc.string({ unit: fc.constantFrom('a', '/', '%', '2', '5', 'F', '-', 'é', '😀'), maxLength: 6 });
    fc.assert(
      fc.property(template, column, column, (compiled, a, b) => {
        const parsed = parseKey(compiled, keyOf(compiled, [a, b]));
        expect(parsed?.map(columnText)).toEqual([a, b]);
      }),
    );
  });

  it('law: two rows never have one key', () => {
    const column = fc.string({ unit: fc.constantFrom('a', '/', '%', '2', 'F'), maxLength: 4 });
    const row = fc.tuple(column, column);
    const compiled = templateOf('{a}/{b}');
    fc.assert(
      fc.property(row, row, (one, other) => {
        expect(keyOf(compiled, one) === keyOf(compiled, other)).toBe(one.join('\0') === other.join('\0'));
      }),
    );
  });
});

describe('columnText', () => {
  it('is null for bytes that no text column can hold', () => {
    expect(columnText(keyFromText('é'))).toBe('é');
    expect(columnText('\xff' as Key)).toBeNull();
    expect(columnText('a\0' as Key)).toBeNull();
  });
});
