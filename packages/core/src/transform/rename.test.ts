/**
 * Goal: a rename does what it says to whole keys, its way back is exact wherever it claims one, and what cannot be told
 * from the configuration alone is refused when it is read.
 * Method: laws over keys that lean towards the templates and prefixes at hand, then tables.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFromBytes, keyFromText, keyToText, type Key } from '../model/key.ts';
import { compilePattern, renamePattern } from './rename-pattern.ts';
import { renamePrefix } from './rename-prefix.ts';
import { compileTemplates, renameTemplate } from './rename-template.ts';
import { compose, type Moving, type Transform } from './transform.ts';

const moving = (key: Key): Moving => ({ key, value: new Uint8Array([1]), expiresAtMs: null });

/** The key that becomes of one, or how it ended. */
function renamed(transform: Transform, key: string): string {
  const outcome = transform.apply(moving(keyFromText(key)));
  return outcome.kind === 'kept' ? (keyToText(outcome.record.key) ?? 'no text') : outcome.kind;
}

const units = ['/', '/', 'a', 'b', 'v', '1', '.', 'é', 'prod', '', '\xff', 'x/y', '/a/', '/b/', '/a/b/'];
const anyPath: fc.Arbitrary<Key> = fc
  .array(fc.constantFrom(...units), { maxLength: 8 })
  .map((parts) => keyFromBytes(Uint8Array.from(parts.join(''), (c) => c.charCodeAt(0))));
const anyPrefix = fc.constantFrom('', '/', '/a/', '/b/', '/a', '/a/b/', '/a/b/c').map(keyFromText);

const templates: readonly (readonly [template: string, to: string])[] = [
  ['/{env}/{service}/{rest...}', '/{service}/{env}/{rest}'],
  ['/{env}/{service}/{rest...}', '/{service}/{env}/{rest...}'],
  ['/{a}/{b}', '/{b}/{a}'],
  ['/a/{x}', '/b/{x}'],
  ['/a/{rest...}', '/{rest}/b'],
  ['{rest...}/a', 'v/{rest}/1'],
  ['/{x}/v{n}.b', '/b-{n}/{x}'],
  ['/a/{x}/{y}', '/a/{y}/{x}/é'],
  ['{all...}', '/b/{all}'],
];
const inverses: readonly (readonly [string, Transform])[] = [
  ...templates.map(([from, to]) => [`${from} to ${to}`, renameTemplate(from, to)] as const),
  ['several', compose([renamePrefix(keyFromText('/a/'), keyFromText('/b/')), renameTemplate('/{x}/{y}', '/{y}/{x}')])],
];

describe('a rename with a way back', () => {
  it.each(inverses)('law: inverse(forward(x)) = x, unless it calls x one-way: %s', (_name, transform) => {
    fc.assert(
      fc.property(anyPath, (key) => {
        const forward = transform.apply(moving(key));
        if (forward.kind !== 'kept' || forward.oneWay === true) return;
        expect(transform.inverse?.apply(forward.record)).toMatchObject({ kind: 'kept', record: moving(key) });
      }),
      { numRuns: 300 },
    );
  });

  it('law: the same for prefixes of every kind', () =>
    fc.assert(
      fc.property(anyPrefix, anyPrefix, anyPath, (prefix, to, key) => {
        const transform = renamePrefix(prefix, to);
        const forward = transform.apply(moving(key));
        if (forward.kind !== 'kept' || forward.oneWay === true) return;
        expect(transform.inverse?.apply(forward.record)).toMatchObject({ kind: 'kept', record: moving(key) });
      }),
      { numRuns: 1000 },
    ));

  it.each([
    ['a key that was under the new prefix before', renamePrefix(keyFromText('/a/'), keyFromText('/b/')), '/b/1', true],
    ['a key that came there', renamePrefix(keyFromText('/a/'), keyFromText('/b/')), '/a/1', undefined],
    ['a key elsewhere', renamePrefix(keyFromText('/a/'), keyFromText('/b/')), '/c/1', undefined],
    ['a key in the shape of the result', renameTemplate('/a/{x}', '/b/{x}'), '/b/1', true],
    ['a key in neither shape', renameTemplate('/a/{x}', '/b/{x}'), '/b/1/2', undefined],
  ])('calls %s one-way or not', (_name, transform, key, oneWay) => {
    expect(transform.apply(moving(keyFromText(key)))).toEqual({
      kind: 'kept',
      record: expect.anything() as unknown,
      ...(oneWay === true && { oneWay }),
    });
  });
});

describe('what a transform makes of all keys under a prefix', () => {
  const all: readonly Transform[] = [
    ...inverses.map(([, transform]) => transform),
    renamePattern('/a/(.*)', '/b/$1'),
    renamePrefix(keyFromText('/a/'), keyFromText('/b/')),
    renamePrefix(keyFromText('/a/b'), keyFromText('/a')),
    compose([
      renamePrefix(keyFromText('/a'), keyFromText('/a/b')),
      renamePrefix(keyFromText('/a/b'), keyFromText('/b')),
    ]),
  ];

  it('law: is one prefix in place of another, so that order is kept, or is not claimed', () =>
    fc.assert(
      fc.property(fc.constantFrom(...all), anyPrefix, anyPath, (transform, prefix, rest) => {
        const becomes = transform.reprefix(prefix);
        if (becomes === null) return;
        expect(transform.apply(moving((prefix + rest) as Key))).toMatchObject({ record: { key: becomes + rest } });
      }),
      { numRuns: 1000 },
    ));

  it.each([
    ['/a/', '/b/', '/a/', '/b/'],
    ['/a/', '/b/', '/a/x/', '/b/x/'],
    ['/a/', '/b/', '/c/', '/c/'],
    ['/a/', '/b/', '/', null],
  ])('%s to %s: of %s it makes %s', (prefix, to, outer, want) => {
    expect(renamePrefix(keyFromText(prefix), keyFromText(to)).reprefix(keyFromText(outer))).toBe(want);
  });
});

describe('a rename by pattern', () => {
  it.each([
    { pattern: '/v(\\d+)/(?<rest>.*)', to: '/$<rest>/v$1', key: '/v12/a/b', want: '/a/b/v12' },
    { pattern: '/v(\\d+)', to: '/x', key: '/old/v1', want: '/old/v1' },
    { pattern: '/v(\\d+)', to: '/x', key: '/v1/more', want: '/v1/more' },
    { pattern: 'a|b', to: 'c', key: 'ab', want: 'ab' },
    { pattern: '(a)|(b)', to: '[$1$2]', key: 'b', want: '[b]' },
    { pattern: '(.*)', to: '$$1$&', key: 'a', want: '$1a' },
    { pattern: '/(é+)', to: '$1/', key: '/éé', want: 'éé/' },
    { pattern: '.', to: 'one', key: '😀', want: 'one' },
    { pattern: '.*', to: 'x', key: 'line\nend', want: 'x' },
    { pattern: '.*', to: 'x', key: 'k'.repeat(1025), want: 'failed' },
  ])('$pattern to $to makes $want of $key', ({ pattern, to, key, want }) => {
    expect(renamed(renamePattern(pattern, to), key)).toBe(want);
  });

  it('leaves a key that is no text as it is', () => {
    const record = moving(keyFromBytes(Uint8Array.of(0xff)));
    expect(renamePattern('.*', 'x').apply(record)).toEqual({ kind: 'kept', record });
  });

  it.each([
    { pattern: '(', to: '', part: 'pattern', why: 'Unterminated group' },
    { pattern: '(a+)+', to: '', part: 'pattern', why: 'for ever' },
    { pattern: '((a)*b){2,}', to: '', part: 'pattern', why: 'for ever' },
    { pattern: '(?:a|aa)*', to: '', part: 'pattern', why: 'for ever' },
    { pattern: '(?<x>(?:y*)z)+', to: '', part: 'pattern', why: 'for ever' },
    { pattern: 'a(b)', to: '$2', part: 'to', why: 'no group 2' },
    { pattern: 'a(?<b>b)', to: '$<c>', part: 'to', why: 'no group c' },
    { pattern: 'a', to: '$<c>', part: 'to', why: 'no group c' },
    { pattern: 'a', to: 'cost$', part: 'to', why: 'dollar' },
  ])('is refused for $pattern to $to', ({ pattern, to, part, why }) => {
    expect(compilePattern(pattern, to)).toEqual({ ok: false, part, why: expect.stringContaining(why) as unknown });
    expect(() => renamePattern(pattern, to)).toThrow(RangeError);
  });

  it.each(['(a+)?b', '(?:a|b)c*', '[(+*)]+', '\\(a+\\)+', '(a)(b+)', '(?=a+)b'])('takes %s', (pattern) => {
    expect(compilePattern(pattern, 'x').ok).toBe(true);
  });
});

describe('a rename by template', () => {
  it.each([
    {
      template: '/{env}/{service}/{rest...}',
      to: '/{service}/{env}/{rest}',
      key: '/prod/api/a/b',
      want: '/api/prod/a/b',
    },
    { template: '/{env}/{service}/{rest...}', to: '/{service}/{env}/{rest}', key: '/prod/api', want: '/prod/api' },
    { template: '/{env}/{service}/{rest...}', to: '/{service}/{env}/{rest}', key: '/prod/api/', want: '/api/prod/' },
    { template: '/{env}/x', to: '/{env}', key: '//x', want: '//x' },
    { template: '/v{n}/{x}', to: '/{x}/{n}', key: '/v2/a', want: '/a/2' },
    { template: '/v{n}/{x}', to: '/{x}/{n}', key: '/v/a', want: '/v/a' },
    { template: '/é/{x}', to: '/{x}/é', key: '/é/ü', want: '/ü/é' },
    { template: '/{a}/{b}', to: '/{b}', key: '/1/2', want: '/2' },
    { template: '/{a}', to: '/{a}/{a}', key: '/1', want: '/1/1' },
  ])('$template to $to makes $want of $key', ({ template, to, key, want }) => {
    expect(renamed(renameTemplate(template, to), key)).toBe(want);
  });

  it.each([
    ['/{a}/{b}', '/{b}'],
    ['/{a}', '/{a}/{a}'],
    ['/{a}/{rest...}', '/{a}'],
  ])('has no way back from %s to %s', (template, to) => expect(renameTemplate(template, to).inverse).toBeNull());

  it.each([
    { template: '/{a}/{a}', to: '/', part: 'template', why: 'twice' },
    { template: '/{a}{b}', to: '/', part: 'template', why: 'where each ends' },
    { template: '/{a...}/{b...}', to: '/', part: 'template', why: 'stands once' },
    { template: '/{a', to: '/', part: 'template', why: 'a field is {name}' },
    { template: '/x{a...}', to: '/', part: 'template', why: 'a field is {name}' },
    { template: '/{a}', to: '/{b}', part: 'to', why: 'no field {b}' },
    { template: '/{a}', to: '/{a...}', part: 'to', why: 'no field {a...}' },
    { template: '/{a}/{r...}', to: '/x{r}/{a}', part: 'to', why: 'a whole segment' },
    { template: '/{a}/{b}', to: '/{a}-{b}', part: 'to', why: 'where each ends' },
  ])('is refused for $template to $to', ({ template, to, part, why }) => {
    expect(compileTemplates(template, to)).toEqual({ ok: false, part, why: expect.stringContaining(why) as unknown });
    expect(() => renameTemplate(template, to)).toThrow(RangeError);
  });
});
