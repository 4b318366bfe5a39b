/**
 * Goal: a plan is refused when what it rests on changed, and only then. Method: one change a case, to a configuration
 * of two migrations, beside whether the digests of the first one move.
 */
import { KeyferryError } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { configDigest, planConfig, rulesDigest } from './digest.ts';
import { resolveConfig } from './resolve-config.ts';
import { schema } from './schema.ts';

const text = JSON.stringify({
  version: 1,
  stores: {
    old: {
      kind: 'etcd-v2',
      endpoints: ['http://a:1'],
      auth: { user: 'u', password: { env: 'OLD_PASSWORD' } },
    },
    new: { kind: 'etcd-v3', endpoints: ['http://b:1'] },
    other: { kind: 'sqlite', file: 'other.db' },
  },
  migrations: {
    move: {
      source: { store: 'old', prefix: '/a/' },
      target: { store: 'new', prefix: '/b/' },
      strategy: 'offline',
      rules: [{ ttl: { toLease: { bucket: '5m' } } }],
      limits: { rate: '2000/s', workers: 2 },
    },
    next: { source: { store: 'old', prefix: '/n/' }, target: { store: 'other', prefix: '/n/' }, strategy: 'offline' },
  },
});
const resolved = (json: string, directory = 'a') =>
  resolveConfig(schema.parse(JSON.parse(json)), 'keyferry.yaml', directory);
const config = resolved(text);

describe('digests of a configuration', () => {
  it.each([
    ['another endpoint of its store', 'http://b:1', 'http://c:1', true, false],
    ['another reference to a secret', 'OLD_PASSWORD', 'NEW_PASSWORD', true, false],
    ['another prefix', '/b/', '/c/', true, true],
    ['another rule', '5m', '6m', true, true],
    ['the same duration in other words', '5m', '300s', false, false],
    ['another number of workers', '"workers":2', '"workers":3', true, false],
    ['another rate, which changes nothing of what is written', '2000/s', '500/s', false, false],
    ['another store that it does not use', 'other.db', 'else.db', false, false],
    ['another prefix of another migration', '/n/', '/m/', false, false],
  ])('%s', (_name, from, to, configMoves, rulesMove) => {
    const changed = resolved(text.replaceAll(from, to));
    expect(configDigest(changed, 'move') !== configDigest(config, 'move')).toBe(configMoves);
    expect(rulesDigest(changed, 'move') !== rulesDigest(config, 'move')).toBe(rulesMove);
  });

  it('cover the modules that the rules name', () => {
    const without = rulesDigest(config, 'move');
    const [one, other] = [{ './r.ts': 'aa' }, { './r.ts': 'bb' }].map((modules) =>
      rulesDigest(config, 'move', { modules }),
    );
    expect(new Set([without, one, other]).size).toBe(3);
  });

  it('are the same in another checkout', () => {
    expect(configDigest(resolved(text, 'elsewhere'), 'move')).toBe(configDigest(config, 'move'));
  });

  it('cover the two stores of the migration, with secrets as references', () => {
    const { migration, stores } = planConfig(config, 'move');
    expect(migration).toBe('move');
    expect(Object.keys(stores)).toEqual(['old', 'new']);
    expect(JSON.stringify(stores)).toContain('{"env":"OLD_PASSWORD"}');
  });

  it('refuse a migration that is not there, and suggest the one that was meant', () => {
    expect(() => configDigest(config, 'mvoe')).toThrow(
      expect.objectContaining<Partial<KeyferryError>>({
        code: 'config.unknown-migration',
        details: { migration: 'mvoe', known: ['move', 'next'], suggestion: 'move' },
      }),
    );
    expect(() => configDigest(config, 'constructor')).toThrow(KeyferryError);
  });
});
