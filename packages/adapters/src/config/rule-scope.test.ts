/**
 * Goal: `prune` is told of every key that the rules leave out, whatever the renames made of it, and is refused where
 * nobody can tell.
 * Method: target keys, some of them with nothing behind them, are asked for under lists of rules as a file has them.
 */
import { keyFromText, type RuleModule } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import type { RuleConfig } from './resolved-config.ts';
import { scopeOf } from './rule-scope.ts';

const tmp: RuleConfig = { exclude: ['/v1/tmp/**'] };
const toV2: RuleConfig = { rename: { kind: 'prefix', prefix: '/v1/', to: '/v2/' } };
const swap: RuleConfig = { rename: { kind: 'template', template: '/{a}/{b}', to: '/{b}/{a}' } };
const halved: RuleConfig = { rename: { kind: 'template', template: '/{a}/{b}', to: '/{b}' } };
const pattern: RuleConfig = { rename: { kind: 'pattern', pattern: '/v1/(.*)', to: '/v2/$1' } };
const mover: RuleConfig = { module: './mover.ts' };
const keeper: RuleConfig = { module: './keeper.ts' };
const value: RuleConfig = { value: { map: { kind: 'base64', direction: 'encode' }, keys: null } };

const asItIs: RuleModule = { transform: (record) => ({ kind: 'kept', record }) };
const modules = new Map([
  ['./mover.ts', asItIs],
  ['./keeper.ts', { ...asItIs, keepsKeys: true }],
]);

const scope = (rules: readonly RuleConfig[], prefix = '/') => scopeOf(rules, modules, keyFromText(prefix));

describe('the scope of rules', () => {
  it.each<{ name: string; rules: readonly RuleConfig[]; prefix?: string; carried: string[]; not: string[] }>([
    { name: 'no rule at all', rules: [], carried: ['/a'], not: [] },
    { name: 'an exclude', rules: [tmp], carried: ['/v1/a', '/v2/tmp/a'], not: ['/v1/tmp/a'] },
    { name: 'an include', rules: [{ include: ['/v1/**'] }], carried: ['/v1/a'], not: ['/v2/a'] },
    { name: 'a rename', rules: [toV2], carried: ['/v2/a', '/other'], not: ['/v1/a'] },
    { name: 'an exclude before a rename', rules: [tmp, toV2], carried: ['/v2/a'], not: ['/v2/tmp/a', '/v1/tmp/a'] },
    {
      name: 'an exclude behind a rename',
      rules: [toV2, { exclude: ['/v2/tmp/**'] }],
      carried: ['/v2/a', '/tmp/a'],
      not: ['/v2/tmp/a'],
    },
    { name: 'an exclude between two', rules: [toV2, { exclude: ['/v2/x'] }, swap], carried: ['/a/v2'], not: ['/x/v2'] },
    {
      name: 'a rename of what would leave the prefix',
      rules: [{ rename: { kind: 'prefix', prefix: '/v1/', to: '/v2/old/' } }],
      prefix: '/v2/',
      carried: ['/v2/a', '/v2/old/a'],
      not: ['/v1/a'],
    },
    { name: 'a value map', rules: [tmp, value], carried: ['/v1/a'], not: ['/v1/tmp/a'] },
    { name: 'a module that keeps keys', rules: [tmp, keeper], carried: ['/v1/a'], not: ['/v1/tmp/a'] },
    { name: 'a module that moves keys', rules: [mover, tmp], carried: ['/v1/a'], not: ['/v1/tmp/a'] },
    { name: 'a pattern', rules: [pattern, { exclude: ['/v2/tmp/**'] }], carried: ['/v2/a'], not: ['/v2/tmp/a'] },
  ])('with $name', ({ rules, prefix, carried, not }) => {
    const inScope = scope(rules, prefix);
    const answers = (keys: readonly string[]) => keys.map((key) => [key, inScope?.(keyFromText(key))]);
    expect(answers(carried)).toEqual(carried.map((key) => [key, true]));
    expect(answers(not)).toEqual(not.map((key) => [key, false]));
  });

  it.each<{ name: string; rules: readonly RuleConfig[] }>([
    { name: 'a pattern', rules: [tmp, pattern] },
    { name: 'a template without a way back', rules: [tmp, halved] },
    { name: 'a module that moves keys', rules: [{ include: ['/v1/**'] }, toV2, mover] },
  ])('is not told where something is left out before $name', ({ rules }) => {
    expect(scope(rules)).toBeNull();
  });
});
