/**
 * Goal: a 2.6 and a 3.3 can be led over by the port: nothing that either holds escapes the walk, an archive that is not whole is
 * found out, an import is what was foreseen record by record, what archives leave out is carried, and what 3.3 took after the
 * switch goes back into 2.6 with its ids.
 * Method: real servers, the old one filled by its API with every kind of entity and every hazard that the API allows.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  keyToText,
  type BesidesArchive,
  type NewRegistry,
  type OldRegistry,
  type RegistryChange,
} from '@keyferry/core';
import { fillRegistry, serverOrSkip, startApicurio, type ApicurioServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNewRegistry, openOldRegistry, registryArchives, registryFront } from '../../src/apicurio/index.ts';
import { RegistryApi } from '../../src/apicurio/api/registry-api.ts';
import { readArchive } from '../../src/apicurio/archive/read-archive.ts';
import { walkOld } from '../../src/apicurio/v2/walk.ts';
import { walkNew } from '../../src/apicurio/v3/walk.ts';
import { rewriteArchive } from '../apicurio-archive-writer.ts';
import { startProxy } from './apicurio-proxy.ts';
import { get, put, repeat, tries, writeMeanwhile, writeMore } from './apicurio-fixture.ts';

const [old, next] = await Promise.all([serverOrSkip('apicurio-2.6'), serverOrSkip('apicurio-3.3')]);
const signal = new AbortController().signal;

describe.skipIf(!old.ok || !next.ok)(`Apicurio Registry 2.6.13 to 3.3.3${old.note || next.note}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-registries-'));
  const [file, repaired, snapshot] = ['export.zip', 'repaired.zip', 'snapshot.zip'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  let servers: readonly [ApicurioServer, ApicurioServer];
  let source: OldRegistry;
  let target: NewRegistry;
  let besides: BesidesArchive;

  beforeAll(async () => {
    servers = await Promise.all([startApicurio({ version: '2.6' }), startApicurio({ version: '3.3' })]);
    source = openOldRegistry({ name: 'old', endpoints: servers[0].endpoints, repeat });
    target = openNewRegistry({ name: 'new', endpoints: servers[1].endpoints, repeat });
    await fillRegistry(servers[0].endpoint);
  }, 240_000);
  afterAll(async () => {
    await Promise.all([source?.close(), target?.close(), ...(servers ?? []).map((server) => server.stop())]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('say who they are', async () => {
    expect(await source.system(signal)).toMatchObject({ version: '2.6.13.Final', ready: true });
    expect(await target.system(signal)).toMatchObject({ version: '3.3.3', ready: null });
  });

  it('are walked whole, twice to the same end', async () => {
    const first = await source.walk(signal);
    expect(first.counts).toMatchObject({
      group: 4,
      globalRule: 1,
      artifactRule: 1,
      comment: 1,
      branch: 0,
      groupRule: 0,
    });
    expect(first.counts.version).toBe(first.counts.artifact + 2);
    expect(await source.walk(signal)).toMatchObject({ sha256: first.sha256, requests: first.requests });
    expect((await target.walk(signal)).counts).toMatchObject({ version: 0, content: 0, artifact: 0, group: 0 });
  });

  it('are walked whole through answers that are slow, lost or 503, and not for ever', async () => {
    const failed = new Map<string, number>();
    const proxy = await startProxy(servers[0], ({ url = '' }) => {
      const times = failed.get(url) ?? 0;
      failed.set(url, times + 1);
      if (url.includes('/search/artifacts') && times === 0) return 'never';
      return /comments|contentIds/.test(url) && times < 2 ? 503 : null;
    });
    const behind = { name: 'old', endpoints: [proxy.endpoint], requestTimeoutMs: 3000 };
    const patient = openOldRegistry({ ...behind, repeat });
    expect((await patient.walk(signal)).sha256).toBe((await source.walk(signal)).sha256);
    const impatient = openOldRegistry(behind);
    failed.clear();
    await expect(impatient.walk(signal)).rejects.toMatchObject({ code: 'store.timeout' });
    const down = await startProxy(servers[0], ({ url = '' }) => {
      failed.set(url, (failed.get(url) ?? 0) + 1);
      return url.includes('/comments') ? 503 : null;
    });
    const refused = openOldRegistry({ ...behind, endpoints: [down.endpoint], repeat });
    failed.clear();
    await expect(refused.walk(signal)).rejects.toMatchObject({ code: 'store.unreachable' });
    const asked = [...failed].filter(([url]) => url.includes('/comments')).map(([, times]) => times);
    expect(Math.max(...asked)).toBe(tries);
    expect(asked.length).toBeLessThanOrEqual(8); // the requests that were under way at once, and none after them
    await Promise.all([patient, impatient, refused].map((each) => each.close()));
    for (const each of [proxy, down]) each.close();
  });

  it('write an export that is complete, and one that is not is found out entity by entity', async () => {
    const receipt = await source.exportTo(file, signal);
    expect(await registryArchives.receipt(file)).toMatchObject({ sha256: receipt.sha256, counts: receipt.counts });
    expect(await source.proveComplete(file, signal)).toMatchObject({ complete: true, missing: [], missingTotal: 0 });
    const baseline = await source.walk(signal, { kept: true });
    // Once, and without a request: what it took and how many it was are that walk's own.
    const kept = await source.proveComplete(file, signal, { walked: baseline });
    expect(kept).toMatchObject({ complete: true, census: baseline });
    const again = join(folder, 'again.zip');
    expect(await source.stoodStillSince(file, again, signal)).toMatchObject({ still: true, changesTotal: 0 });
    expect(existsSync(again)).toBe(false);
    const torn = join(folder, 'torn.zip');
    await rewriteArchive(file, torn, (name, body) => {
      if (name.includes('/order/versions/2')) return null;
      if (name.endsWith('.Comment.json') || name.includes('VALIDITY')) return null;
      if (name.endsWith('labelled/versions/1.ArtifactVersion.json'))
        return Buffer.from(body.toString().replace('"labelled one"', '"another"'));
      return body;
    });
    const proof = await source.proveComplete(torn, signal);
    expect(proof.complete).toBe(false);
    expect(proof.missing.map(({ kind, name, what }) => `${kind} ${name} ${what}`).toSorted()).toEqual([
      expect.stringMatching(/^comment \d+\/1 is missing$/),
      expect.stringMatching(/^content \d+ is missing$/),
      'globalRule VALIDITY is missing',
      'version default/labelled:1 has name "another", expected "labelled one"',
      'version orders/order:2 is missing',
    ]);
  });

  it('tell what no archive holds', async () => {
    besides = await source.readBesides(signal);
    expect(besides.settings).toEqual([
      { name: 'registry.download.href.ttl', value: '60' },
      { name: 'registry.rest.artifact.deletion.enabled', value: 'true' },
    ]);
    expect(besides.groupLabels).toEqual([{ group: 'with-properties', labels: { team: 'a' } }]);
    expect(besides.owners).toContainEqual({ group: 'hazards', artifact: 'owner-moved', owner: 'somebody' });
    expect(besides.unreadable.map(({ what }) => what)).toEqual(['owner of implied/hidden', 'roles']);
  });

  it('hold after the import what was foreseen, and nothing else', { timeout: 120_000 }, async () => {
    const repair = await registryArchives.repair(file, repaired);
    expect(repair.changesTotal).toBeGreaterThan(0);
    const foresight = await registryArchives.foresee(repaired, '3.3.3');
    expect(foresight.findings.map(({ code }) => code)).toContain('registry.content-refused');
    expect(await target.importFrom(repaired, { into: 'empty' }, signal)).toMatchObject({
      sha256: repair.into.sha256,
      status: 204,
    });
    const early = await target.compare(repaired, besides, signal);
    // Not carried yet: exactly what the archive could not say.
    expect(early.differences.map(({ name, what }) => `${name} ${what}`)).toEqual([
      'hazards/owner-moved has owner null, expected "somebody"',
      'with-properties has labels {}, expected {"team":"a"}',
    ]);
    const carried = await target.carry(besides, signal);
    expect(carried.notCarried.map(({ what }) => what)).toEqual(['owner of implied/hidden', 'roles']);
    expect(carried.carried).toEqual(
      expect.arrayContaining([
        'setting registry.download.href.ttl',
        'setting registry.rest.artifact.deletion.enabled',
        'labels of group with-properties',
        'owner of hazards/owner-moved',
      ]),
    );
    const comparison = await target.compare(repaired, besides, signal);
    expect(comparison.differences).toEqual([]);
    expect(comparison).toMatchObject({ equal: true, expected: foresight.expected, found: foresight.expected });
    expect(comparison.lostAsForeseen).toBeGreaterThan(0);
    await target.exportTo(snapshot, signal);
    const contentsOf = (from: string) => target.compare(repaired, besides, signal, { contentsOf: from });
    expect(await contentsOf(snapshot)).toMatchObject({ equal: true, found: comparison.found });
    const other = join(folder, 'other.zip');
    await rewriteArchive(snapshot, other, (name, body) => (name.endsWith('.data') ? Buffer.from('another') : body));
    const { content } = comparison.found;
    expect(await contentsOf(other)).toMatchObject({ equal: false, differencesTotal: 2 * content });
    const settings = (await get(servers[1], '/admin/config/properties')) as readonly { name: string; value: string }[];
    expect(settings).toContainEqual(
      expect.objectContaining({ name: 'apicurio.download.href.ttl.seconds', value: '60' }),
    );
  });

  it('are told apart where 3.3 takes a write from anybody, and the migration has credentials', async () => {
    const front = registryFront({ name: 'new', auth: { user: 'keyferry', password: 'unasked' } });
    const probes = await front.probe(servers[1].endpoint, 'core', 3, { versions: [] }, signal);
    expect(probes.flatMap(({ name, wrong }) => (wrong === null ? [] : [`${name} ${wrong}`]))).toEqual([
      'a dry run of a write without credentials answered 200: anybody may write',
    ]);
  });

  it('are not imported into twice unless that is asked for', async () => {
    const before = await target.walk(signal);
    await expect(target.importFrom(repaired, { into: 'empty' }, signal)).rejects.toMatchObject({
      code: 'registry.not-empty',
    });
    await target.importFrom(repaired, { into: 'again' }, signal);
    await target.carry(besides, signal);
    expect((await target.walk(signal)).sha256).toBe(before.sha256);
  });

  it('come to the same end by an import before the freeze and a delta inside it', { timeout: 120_000 }, async () => {
    const [base, newer, delta] = [repaired, join(folder, 'newer.zip'), join(folder, 'delta.zip')];
    const [of2, baseBesides] = [await source.walk(signal), besides];
    await writeMeanwhile(servers[0]);
    const { still, changes } = await source.stoodStillSince(file, join(folder, 'again.zip'), signal);
    expect({ still, kinds: [...new Set(changes.map(({ kind }) => kind))].toSorted() }).toEqual({
      still: false,
      kinds: ['artifact', 'artifactRule', 'comment', 'content', 'globalRule', 'group', 'version'],
    });
    const exported = await source.exportTo(file, signal);
    besides = await source.readBesides(signal);
    await registryArchives.repair(file, newer);
    // Contents that were read before are not read again, and the walk is the same.
    const census = await source.walk(signal);
    const { complete, census: known } = await source.proveComplete(file, signal, { contentsOf: base });
    expect({ complete, sha256: known.sha256 }).toEqual({ complete: true, sha256: census.sha256 });
    expect(known.requests).toBeLessThan(census.requests - of2.counts.content);
    expect((await target.compare(newer, besides, signal)).differencesTotal).toBeGreaterThan(15);
    const brought = { base, baseBesides, file: newer, besides };
    const outcome = await target.importDelta(brought, delta, signal);
    expect(outcome).toMatchObject({ kind: 'imported', receipt: { mended: { deletedFirst: 7 } } });
    expect((await registryArchives.receipt(delta)).counts.version).toBeLessThan(exported.counts.version - 5);
    const asked = new Set<number>();
    const proxy = await startProxy(servers[1], ({ url = '' }) => {
      const [, id] = /contentIds\/(\d+)$/.exec(url) ?? [];
      if (id !== undefined) asked.add(Number(id));
      return null;
    });
    const watched = openNewRegistry({ name: 'new', endpoints: [proxy.endpoint], repeat });
    const byExport = await watched.compareByExport(brought, snapshot, signal);
    await watched.close();
    proxy.close();
    expect(byExport.comparison.differences).toEqual([]);
    // Of contents, all that were brought are asked for, those too that came anew with their artifact; and no others.
    const contentIds = new Set((await readArchive(delta)).contents.map(({ contentId }) => contentId));
    expect([...asked].toSorted((a, b) => a - b)).toEqual([...contentIds].toSorted((a, b) => a - b));
    const byWalk = await target.compare(newer, besides, signal);
    expect(byWalk).toMatchObject({ differences: [], expected: byExport.comparison.expected });
    expect(byExport.comparison.found).toEqual(byWalk.found);
    const setting = '/admin/config/properties/apicurio.rest.deletion.artifact.enabled';
    expect(await get(servers[1], setting)).toMatchObject({ value: 'false' });
  });

  it('show a delta that went wrong, in an export and by the API', async () => {
    const brought = { base: repaired, baseBesides: besides, file: join(folder, 'newer.zip'), besides };
    await put(servers[1], '/groups/late/artifacts/new/versions/2', { name: 'another', labels: {} });
    await put(servers[1], '/groups/default/artifacts/labelled/versions/1/state', { state: 'DISABLED' });
    const { comparison } = await target.compareByExport(brought, snapshot, signal);
    expect(comparison.differences.map(({ name, what }) => `${name} ${what}`)).toEqual([
      'default/labelled:1 has state "DISABLED", expected "ENABLED"',
      'late/new:2 has name "another", expected "Late"',
    ]);
  });

  it('come to the same end by importing again, whatever 3.3 holds by then', { timeout: 120_000 }, async () => {
    await writeMore(servers[0]);
    const [newest, repairedNewest] = [join(folder, 'newest.zip'), join(folder, 'newest-repaired.zip')];
    await source.exportTo(newest, signal);
    await registryArchives.repair(newest, repairedNewest);
    besides = await source.readBesides(signal);
    const receipt = await target.importFrom(repairedNewest, { into: 'again' }, signal);
    // Those with a new version alone are added to, all others come anew.
    expect(receipt.mended?.deletedFirst).toBe(4);
    await target.carry(besides, signal);
    expect((await target.compare(repairedNewest, besides, signal)).differences).toEqual([]);
  });

  it('say what 3.3 took after the switch, and have it in 2.6 with its ids', { timeout: 120_000 }, async () => {
    await target.exportTo(snapshot, signal);
    expect(await target.changesSince(snapshot, join(folder, 'still.zip'), signal)).toMatchObject({
      changes: [],
      notFitting: [],
    });
    await writeAfterTheSwitch(servers[1]);
    const changes = await target.changesSince(snapshot, join(folder, 'now.zip'), signal);
    expect(changes.changes.map(describeChange)).toEqual([
      'delete version orders/order:2',
      'delete artifact implied/shares',
      'create group after',
      'create version orders/order:4',
      'create version after/fresh:1',
      'create version after/plain-labels:1',
      expect.stringMatching(/^create comment \d+\/\d+$/),
      'update owner after/fresh',
      'update owner after/plain-labels',
      'update owner default/referring',
      'update state orders/order:3',
      'update metadata default/labelled:1',
      'create artifactRule after/fresh VALIDITY',
      'update artifactRule orders/order COMPATIBILITY',
      'create globalRule COMPATIBILITY',
    ]);
    expect(changes.notFitting.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
      'artifact after/draft',
      'artifact after/no-version',
      'artifact after/yaml',
      'branch after/draft drafts',
      'branch orders/order stable',
      'groupRule after VALIDITY',
      'version after/draft:1',
      'version after/yaml:1',
    ]);
    const receipt = await source.replay(changes, folder, signal);
    expect(receipt).toMatchObject({ refused: [], refusedTotal: 0 });
    expect(receipt.written + receipt.equal).toBe(changes.changes.length);
    expect(receipt.written).toBeGreaterThan(receipt.equal);
    const inOld = await source.walk(signal);
    expect(inOld.globalIdMax).toBe(changes.changes.reduce(highestId, 0));
    // Versions, contents, comments and their ids, read from both: what is in 3.3 alone is what does not fit.
    const [of2, of3] = await Promise.all([
      factsOf(walkOld, new RegistryApi({ name: 'old', endpoints: servers[0].endpoints }, '/apis/registry/v2')),
      factsOf(walkNew, new RegistryApi({ name: 'new', endpoints: servers[1].endpoints }, '/apis/registry/v3')),
    ]);
    // Those of hazards were repaired on the way.
    const news = [...of3].filter(([key]) => !key.startsWith('version/hazards/'));
    const inBoth = news.filter(([key]) => of2.has(key));
    expect(inBoth.filter(([key, body]) => of2.get(key) !== body)).toEqual([]);
    expect(inBoth.length).toBeGreaterThan(20);
    expect(news.map(([key]) => key).filter((key) => !of2.has(key) && key.startsWith('version'))).toEqual([
      'version/after/draft/1',
      'version/after/yaml/1',
    ]);
    expect(await source.replay(changes, folder, signal)).toMatchObject({
      written: 0,
      equal: changes.changes.length,
      refused: [],
    });
    expect((await source.walk(signal)).sha256).toBe(inOld.sha256);
  });
});

async function factsOf(walk: typeof walkOld, api: RegistryApi): Promise<ReadonlyMap<string, string>> {
  const records = await walk(api, signal);
  const facts = new Map<string, string>();
  for await (const { kind, key, body } of records.entries()) {
    if (['version', 'content', 'comment'].includes(kind)) facts.set(keyToText(key) ?? '', JSON.stringify(body));
  }
  records.close();
  api.close();
  return facts;
}

function describeChange({ action, kind, name }: RegistryChange): string {
  return `${action} ${kind} ${name}`;
}

function highestId(max: number, { data }: RegistryChange): number {
  const { body } = data as { readonly body: { readonly globalId?: number } };
  return Math.max(max, body.globalId ?? 0);
}

const record = (name: string, ...fields: readonly string[]): string =>
  JSON.stringify({ type: 'record', name, fields: fields.map((field) => ({ name: field, type: 'string' })) });

/** Writes of every kind that 3.x takes, those that 2.6 has no form for among them. */
async function writeAfterTheSwitch(server: ApicurioServer): Promise<void> {
  const write = async (method: string, path: string, body?: object): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const options = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    const reply = await fetch(`${server.endpoint}/apis/registry/v3${path}`, options);
    if (!reply.ok) throw new TypeError(`${method} ${path}: ${reply.status} ${await reply.text()}`);
    await reply.arrayBuffer();
  };
  const content = (text: string, more: object = {}) => ({ content: text, contentType: 'application/json', ...more });
  const artifact = (artifactId: string, firstVersion: object, artifactType = 'AVRO') =>
    write('POST', '/groups/after/artifacts', { artifactId, artifactType, firstVersion });
  for (const what of ['artifact', 'artifact-version'])
    await put(server, `/admin/config/properties/apicurio.rest.deletion.${what}.enabled`, { value: 'true' });
  const order = '/groups/orders/artifacts/order';
  const references = [{ groupId: 'orders', artifactId: 'order', version: '3', name: 'com.Order' }];
  await write('POST', '/groups', { groupId: 'after', description: 'made in 3.x', labels: { team: 'b' } });
  await put(server, `${order}/rules/COMPATIBILITY`, { ruleType: 'COMPATIBILITY', config: 'FORWARD' });
  await write('POST', `${order}/versions`, {
    version: '4',
    content: content(record('Order', 'id', 'at', 'by', 'to')),
    labels: { flag: null, key: 'Value', empty: '' },
  });
  await artifact('fresh', {
    version: '1',
    name: 'fresh one',
    description: 'd',
    content: content(record('Fresh', 'a'), { references }),
  });
  await artifact('plain-labels', { version: '1', content: content(record('Order', 'id')), labels: { k: 'v' } });
  await artifact('draft', { version: '1', isDraft: true, content: content(record('Draft', 'a')) });
  await artifact(
    'yaml',
    {
      version: '1',
      content: {
        content: 'openapi: 3.0.2\ninfo: {title: t, version: "1"}\npaths: {}\n',
        contentType: 'application/x-yaml',
      },
    },
    'OPENAPI',
  );
  await write('POST', '/groups/after/artifacts', { artifactId: 'no-version', artifactType: 'AVRO' });
  await write('POST', '/groups/after/rules', { ruleType: 'VALIDITY', config: 'FULL' });
  await write('POST', '/groups/after/artifacts/fresh/rules', { ruleType: 'VALIDITY', config: 'FULL' });
  await write('POST', `${order}/versions/3/comments`, { value: 'seen again' });
  await put(server, `${order}/versions/3/state`, { state: 'DEPRECATED' });
  await put(server, '/groups/default/artifacts/labelled/versions/1', { name: 'renamed', labels: { x: null, n: 'w' } });
  await put(server, '/groups/default/artifacts/referring', { owner: 'carol' });
  await write('POST', `${order}/branches`, { branchId: 'stable', versions: ['1'] });
  await write('DELETE', '/groups/implied/artifacts/shares');
  await write('DELETE', `${order}/versions/2`);
  await write('POST', '/admin/rules', { ruleType: 'COMPATIBILITY', config: 'NONE' });
}
