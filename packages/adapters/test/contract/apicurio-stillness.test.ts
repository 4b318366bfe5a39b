/**
 * Goal: whoever writes to a 2.6 past the balancers is found out by a second export, whatever was written (SPEC R165), and a 2.6 that
 * stood still is never said to have moved. An artifact that 2.6 exports and does not list is named with a cure that works.
 * Method: a real 2.6, filled with every kind of entity; one write at a time between two exports of it.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OldRegistry as OldRegistryPort } from '@keyferry/core';
import { fillRegistry, serverOrSkip, startApicurio, type ApicurioServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openOldRegistry } from '../../src/apicurio/index.ts';
import { writeArchive } from '../apicurio-archive-writer.ts';
import { importIntoOld, OldRegistry, repeat } from './apicurio-fixture.ts';

const old = await serverOrSkip('apicurio-2.6');
const { signal } = new AbortController();

describe.skipIf(!old.ok)(`a 2.6.13 between two exports${old.note}`, { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-stillness-'));
  const [file, scratch] = [join(folder, 'export.zip'), join(folder, 'again.zip')];
  const order = '/groups/orders/artifacts/order';
  let server: ApicurioServer;
  let source: OldRegistryPort;
  let registry: OldRegistry;

  beforeAll(async () => {
    server = await startApicurio({ version: '2.6' });
    source = openOldRegistry({ name: 'old', endpoints: server.endpoints, repeat });
    registry = new OldRegistry(server);
    await fillRegistry(server.endpoint);
    await registry.call('POST', '/admin/rules', { type: 'INTEGRITY', config: 'NONE' });
  }, 240_000);
  afterAll(async () => {
    await source?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the second export shows of a write between the two. */
  async function seenOf(write: () => Promise<unknown>): Promise<readonly string[]> {
    await source.exportTo(file, signal);
    await write();
    const { still, changes, changesTotal } = await source.stoodStillSince(file, scratch, signal);
    expect({ still, changesTotal }).toEqual({ still: changes.length === 0, changesTotal: changes.length });
    expect(existsSync(scratch)).toBe(false);
    return changes.map(({ kind, name, what }) => `${kind} ${name} ${what}`);
  }

  it('is said to have stood still however often it is asked', async () => {
    for (let times = 0; times < 3; times += 1) expect(await seenOf(() => Promise.resolve())).toEqual([]);
  });

  const record = (name: string): string => JSON.stringify({ type: 'record', name, fields: [] });
  const headers = { 'content-type': 'application/json', 'x-registry-version': '77' };

  it.each<{ readonly name: string; readonly write: () => Promise<unknown>; readonly shows: readonly RegExp[] }>([
    {
      name: 'a version',
      write: () => registry.call('POST', `${order}/versions`, record('Order'), headers),
      shows: [/^content \d+ is there/, /^version orders\/order:77 is there/],
    },
    {
      name: 'a state',
      write: () => registry.call('PUT', `${order}/versions/77/state`, { state: 'DEPRECATED' }),
      shows: [/^version orders\/order:77 has state "DEPRECATED", expected "ENABLED"$/],
    },
    {
      name: 'a name, a description and labels',
      write: () =>
        registry.call('PUT', `${order}/versions/77/meta`, {
          name: 'n',
          description: 'd',
          labels: ['l'],
          properties: {},
        }),
      shows: [/has name "n"/, /has description "d"/, /has labels \{"l":null\}/],
    },
    {
      name: 'a comment',
      write: () => registry.call('POST', `${order}/versions/77/comments`, { value: 'seen' }),
      shows: [/^comment \d+\/\d+ is there/],
    },
    {
      name: 'a rule of an artifact',
      write: () =>
        registry.call('POST', '/groups/default/artifacts/labelled/rules', { type: 'VALIDITY', config: 'FULL' }),
      shows: [/^artifactRule default\/labelled VALIDITY is there/],
    },
    {
      name: 'the configuration of a rule',
      write: () => registry.call('PUT', '/admin/rules/INTEGRITY', { type: 'INTEGRITY', config: 'FULL' }),
      shows: [/^globalRule INTEGRITY has config "FULL", expected "NONE"$/],
    },
    {
      name: 'a rule that is taken away',
      write: () => registry.call('DELETE', '/admin/rules/INTEGRITY', null),
      shows: [/^globalRule INTEGRITY is missing$/],
    },
    {
      name: 'a group',
      write: () => registry.call('POST', '/groups', { id: 'past', description: 'past the balancers' }),
      shows: [/^group past is there/],
    },
    {
      name: 'an artifact that is deleted and made again',
      write: async () => {
        await registry.artifact('default', 'again', '1', record('Again'));
        await source.exportTo(file, signal);
        await registry.call('DELETE', '/groups/default/artifacts/again', null);
        await registry.artifact('default', 'again', '1', record('Again'));
      },
      shows: [/^version default\/again:1 has globalId \d+, expected \d+$/],
    },
    // What no walk shows either: nothing is left of it, or it is read once, beside the first export.
    {
      name: 'an artifact that is made and deleted',
      write: async () => {
        await registry.artifact('default', 'short', '1', record('ShortLived'));
        await registry.call('DELETE', '/groups/default/artifacts/short', null);
      },
      shows: [],
    },
    { name: 'an owner', write: () => registry.call('PUT', `${order}/owner`, { owner: 'eve' }), shows: [] },
  ])('shows $name', async ({ write, shows }) => {
    const seen = await seenOf(write);
    for (const one of shows) expect(seen).toContainEqual(expect.stringMatching(one));
    if (shows.length === 0) expect(seen).toEqual([]);
  });

  it('names an artifact that 2.6 exports and does not list, and is whole once that is cured', async () => {
    const hidden = await writeArchive(join(folder, 'hidden.zip'), {
      contents: [{ contentId: 9001, text: record('Hidden') }],
      versions: [
        { globalId: 9001, groupId: 'lost', artifactId: 'hidden', version: '1', contentId: 9001, isLatest: false },
        {
          globalId: 9002,
          groupId: 'lost',
          artifactId: 'hidden',
          version: '2',
          versionId: 2,
          contentId: 9001,
          isLatest: false,
        },
      ],
    });
    expect(await importIntoOld(server, readFileSync(hidden))).toBe(204);
    await source.exportTo(file, signal);
    const proof = await source.proveComplete(file, signal);
    expect(proof).toMatchObject({ complete: false });
    expect(proof.missing[0]).toEqual({
      kind: 'artifact',
      name: 'lost/hidden',
      what: expect.stringMatching(/is exported and not listed.* none of its versions is marked latest.*DELETE/),
    });
    // What it says.
    await registry.call('PUT', '/admin/config/properties/registry.rest.artifact.deletion.enabled', { value: 'true' });
    await registry.call('DELETE', '/groups/lost/artifacts/hidden/versions/1', null);
    await source.exportTo(file, signal);
    expect(await source.proveComplete(file, signal)).toMatchObject({ complete: true });
  });
});
