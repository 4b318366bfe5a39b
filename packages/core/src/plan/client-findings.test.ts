/**
 * Goal: whoever reads a plan of strategy `parallel` learns what clients would notice of 3.x, with its cure, and nothing that is not so.
 * Method: facts as the plan gathers them, one at a time.
 */
import { describe, expect, it } from 'vitest';
import type { ApiUse } from '../ports/load-balancer.ts';
import type { SettingFate } from '../ports/registry-settings.ts';
import { clientFindings, type ClientFacts } from './client-findings.ts';

const nothing: ClientFacts = {
  used: [],
  deletions: { group: true, artifact: true, version: true },
  settings: null,
  target: { version: '3.3.3', ready: true, tookMs: 1 },
};
const find = (facts: Partial<ClientFacts>) => clientFindings({ ...nothing, ...facts });
const use = (method: string, prefix: string, requests = 1): ApiUse => ({
  balancer: 'edge',
  prefix,
  method,
  requests,
  lastAtMs: 1,
  clients: [{ address: '10.0.0.9', requests }],
});
const setting = (old: string | null, name: string | null, fate: SettingFate) => ({ old, name, fate, note: null });

describe('what clients would notice', () => {
  it('is nothing where nothing changes for them', () => {
    expect(find({ used: [use('GET', '/apis/registry/v2'), use('GET', '/apis/ccompat/v7')] })).toEqual([]);
  });

  it('names each API that is gone, who calls it, and where to lead them', () => {
    const used = [
      use('GET', '/apis/ccompat/v6', 7),
      use('POST', '/apis/registry/v1', 2),
      use('GET', '/apis/registry/v2'),
    ];
    const [found, ...rest] = find({ used });
    expect(rest).toEqual([]);
    expect(found).toMatchObject({ code: 'registry.api-gone', count: 9, accept: true });
    expect(found?.detail).toContain('GET /apis/ccompat/v6 (7, edge, from 10.0.0.9)');
    expect(found?.fix).toContain('/apis/ccompat/v7');
    expect(found?.fix).toContain('--accept registry.api-gone');
  });

  it.each([
    {
      deletions: { group: false, artifact: false, version: false },
      used: [use('DELETE', '/apis/registry/v2', 4)],
      says: '4 times',
    },
    { deletions: { group: true, artifact: false, version: true }, used: [], says: '0 times' },
    { deletions: { group: true, artifact: false, version: true }, used: null, says: 'no access log' },
  ])('tells that deletes are off, and whether clients delete ($says)', ({ deletions, used, says }) => {
    const [found] = find({ deletions, used });
    expect(found).toMatchObject({ code: 'registry.deletes-off', detail: expect.stringContaining(says) });
    expect(found?.fix).toContain('apicurio.rest.deletion.artifact.enabled=true');
    expect(found?.fix.includes('artifact-version')).toBe(!deletions.version);
  });

  it.each([null, { group: true, artifact: true, version: false }])(
    'has no word on deletes where 2.x allows no more (%o)',
    (deletions) => {
      expect(find({ deletions })).toEqual([]);
    },
  );

  it('tells settings that move, and those that nobody can move, apart', () => {
    const settings = {
      file: 'registry-2.env',
      into: 'settings-3.env',
      settings: [
        setting('AUTH_ENABLED', 'quarkus.oidc.tenant-enabled', 'renamed'),
        setting('QUARKUS_LOG_LEVEL', 'quarkus.log.level', 'kept'),
        setting(null, 'quarkus.management.port', 'added'),
        setting('ENABLE_SENTRY', null, 'gone'),
      ],
    };
    expect(find({ settings })).toMatchObject([
      { code: 'registry.settings-moved', count: 2, fix: expect.stringContaining('settings-3.env') },
      { code: 'registry.settings-left', count: 1, detail: 'ENABLE_SENTRY' },
    ]);
  });

  it.each([
    ['3.1.7', null, 0],
    ['3.2.0', null, 1],
    ['3.3.3', null, 1],
    ['3.3.3', true, 0],
  ])('says of %s, whose health is %s, that health moved: %i', (version, ready, count) => {
    expect(find({ target: { version, ready, tookMs: 1 } })).toHaveLength(count);
  });
});
