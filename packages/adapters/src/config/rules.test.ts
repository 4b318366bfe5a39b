/** Goal: each rule that the configuration knows does what its words say. Method: the transform of a few rules, applied. */
import { keyFromText, type Moving } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import type { RenameConfig, RuleConfig } from './resolved-config.ts';
import { buildTransform, leaseBucketOf } from './rules.ts';

const record = (key: string, value = '{"a":1}'): Moving => ({
  key: keyFromText(key),
  value: new TextEncoder().encode(value),
  expiresAtMs: null,
});

function applied(rules: readonly RuleConfig[], moving: Moving): string {
  const outcome = buildTransform(rules)?.apply(moving);
  if (outcome?.kind !== 'kept') return outcome?.kind ?? 'no transform';
  return new TextDecoder().decode(outcome.record.value);
}

describe('buildTransform', () => {
  it.each<{ name: string; rules: RuleConfig[]; key: string; want: string }>([
    { name: 'exclude', rules: [{ exclude: ['/tmp/**'] }], key: '/tmp/x', want: 'dropped' },
    { name: 'exclude, elsewhere', rules: [{ exclude: ['/tmp/**'] }], key: '/x', want: '{"a":1}' },
    { name: 'include', rules: [{ include: ['/a/*'] }], key: '/a/x/y', want: 'dropped' },
    { name: 'include, one of them', rules: [{ include: ['/a/*', '/b/*'] }], key: '/b/x', want: '{"a":1}' },
    {
      name: 'base64',
      rules: [{ value: { map: { kind: 'base64', direction: 'encode' }, keys: null } }],
      key: '/x',
      want: 'eyJhIjoxfQ==',
    },
    {
      name: 'a value map for some keys only',
      rules: [{ value: { map: { kind: 'base64', direction: 'encode' }, keys: ['/b/**'] } }],
      key: '/x',
      want: '{"a":1}',
    },
    {
      name: 'JSON edits',
      rules: [{ value: { map: { kind: 'json', edits: [{ kind: 'set', path: '/b', to: true }] }, keys: null } }],
      key: '/x',
      want: '{"a":1,"b":true}',
    },
    {
      name: 'what cannot be decoded',
      rules: [{ value: { map: { kind: 'gzip', direction: 'decompress' }, keys: null } }],
      key: '/x',
      want: 'failed',
    },
  ])('$name', ({ rules, key, want }) => {
    expect(applied(rules, record(key))).toBe(want);
  });

  it.each<{ name: string; rename: RenameConfig; key: string; want: string }>([
    { name: 'prefix', rename: { kind: 'prefix', prefix: '/a/', to: '/é/' }, key: '/a/x', want: '/é/x' },
    { name: 'pattern', rename: { kind: 'pattern', pattern: '/(.)/x', to: '/x/$1' }, key: '/a/x', want: '/x/a' },
    { name: 'template', rename: { kind: 'template', template: '/{p}/{q}', to: '/{q}/{p}' }, key: '/a/x', want: '/x/a' },
  ])('renames by $name', ({ rename, key, want }) => {
    const outcome = buildTransform([{ rename }])?.apply(record(key));
    expect(outcome).toMatchObject({ kind: 'kept', record: { key: keyFromText(want) } });
  });

  it('asks a module by its path', () => {
    const modules = new Map([['./m.ts', { transform: () => ({ kind: 'dropped' as const }) }]]);
    expect(buildTransform([{ module: './m.ts' }], modules)?.apply(record('/a'))).toEqual({
      kind: 'dropped',
      reason: 'rule.dropped',
    });
  });

  it('is null when there is nothing but the TTL rule, which is the business of the target', () => {
    const rules: RuleConfig[] = [{ ttl: { toLease: { bucketMs: 5 } } }];
    expect(buildTransform(rules)).toBeNull();
    expect([leaseBucketOf(rules), leaseBucketOf([])]).toEqual([5, undefined]);
  });
});
