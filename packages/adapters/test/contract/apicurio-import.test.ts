/**
 * Goal: what keyferry says of an import before it happens is what Apicurio Registry 3.3.3 then does, entity by entity: a
 * review that rests on a wrong prediction is worse than none.
 * Method: archives with every hazard, one from a real 2.6.13 and one written by hand for what it does not write, imported
 * into a real, empty 3.3.3; what it then holds is read from its own export and held against the prediction.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverOrSkip, startApicurio, type ApicurioServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readArchive, type RegistryArchive } from '../../src/apicurio/archive/read-archive.ts';
import { artifactName, versionName } from '../../src/apicurio/archive/entities.ts';
import { findingsOf } from '../../src/apicurio/foresee/findings.ts';
import { foreseeImport, type Foreseen } from '../../src/apicurio/foresee/foresee-import.ts';
import { targetRelease } from '../../src/apicurio/foresee/target-release.ts';
import { openNewRegistry, openOldRegistry } from '../../src/apicurio/index.ts';
import { inspectArchive } from '../../src/apicurio/inspect-archive.ts';
import { repairArchive } from '../../src/apicurio/repair/repair-archive.ts';
import { hazardArchive } from '../apicurio-hazards.ts';
import { writeArchive, type WrittenArchive } from '../apicurio-archive-writer.ts';
import {
  get,
  importArchive,
  importIntoOld,
  OldRegistry,
  put,
  readHeld,
  repeat,
  type Held,
} from './apicurio-fixture.ts';

const [old, early, next] = await Promise.all([
  serverOrSkip('apicurio-2.6'),
  serverOrSkip('apicurio-3.0'),
  serverOrSkip('apicurio-3.3'),
]);
const folder = mkdtempSync(join(tmpdir(), 'keyferry-apicurio-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const release = targetRelease('3.3.3');

async function foresee(
  file: string,
): Promise<{ archive: RegistryArchive; foreseen: Foreseen; codes: readonly string[] }> {
  const archive = await readArchive(file);
  const foreseen = foreseeImport(archive, release);
  return { archive, foreseen, codes: findingsOf(archive, foreseen, release).map(({ code }) => code) };
}

/** Everything that was said of the import, against what is there after it. */
function expectAsForeseen(foreseen: Foreseen, held: Held): void {
  const heldVersions = new Set(held.versions.map((each) => `${each.globalId} ${versionName(each)} ${each.contentId}`));
  const isOnBranch = (version: Foreseen['versions'][number]['entity']): boolean =>
    held.latest.get(artifactName(version))?.includes(version.version) === true;
  const outcome = foreseen.versions.map(({ entity, fate }) => {
    const isHeld = heldVersions.has(`${entity.globalId} ${versionName(entity)} ${entity.contentId}`);
    const is = !isHeld ? 'lost' : isOnBranch(entity) ? 'kept' : 'by-id-only';
    return { version: versionName(entity), globalId: entity.globalId, is: fate === 'one-of' ? 'one-of' : is };
  });
  const said = foreseen.versions.map(({ entity, fate }) => ({
    version: versionName(entity),
    globalId: entity.globalId,
    is: fate,
  }));
  expect(outcome).toEqual(said);
  const surely = <T>(fates: readonly { readonly entity: T; readonly fate: string }[], fate: string): readonly T[] =>
    fates.filter((each) => each.fate === fate).map(({ entity }) => entity);
  const heldContents = held.contents.map(({ contentId, contentHash }) => `${contentId} ${contentHash}`);
  const contentText = (each: { contentId: number; recomputedHash: string }) =>
    `${each.contentId} ${each.recomputedHash}`;
  expect(heldContents).toEqual(expect.arrayContaining(surely(foreseen.contents, 'kept').map(contentText)));
  for (const lost of surely(foreseen.contents, 'lost')) expect(heldContents).not.toContain(contentText(lost));
  expect([...held.artifacts].toSorted()).toEqual([...foreseen.artifacts].toSorted());
  expect(held.groups.map((group) => group ?? 'default').toSorted()).toEqual([...foreseen.groups].toSorted());
  const ruleText = (rule: { groupId: string | null; artifactId: string; type: string }) =>
    `${artifactName(rule)} ${rule.type}`;
  expect([...held.artifactRules].toSorted()).toEqual(surely(foreseen.artifactRules, 'kept').map(ruleText).toSorted());
  const commentText = (comment: { globalId: number; commentId: string }) => `${comment.globalId}/${comment.commentId}`;
  expect(held.comments).toEqual(expect.arrayContaining(surely(foreseen.comments, 'kept').map(commentText)));
  for (const lost of surely(foreseen.comments, 'lost')) expect(held.comments).not.toContain(commentText(lost));
}

/** The same by the API, field by field: what a migration goes by. */
async function expectComparedEqual(server: ApicurioServer, file: string): Promise<void> {
  const nothing = { roles: [], settings: [], owners: [], groupLabels: [], latestOrders: [], unreadable: [] };
  const registry = openNewRegistry({ name: 'new', endpoints: server.endpoints, repeat });
  const { differences, expected } = await registry.compare(file, nothing, new AbortController().signal);
  await registry.close();
  expect(differences).toEqual([]);
  expect(expected.version).toBeGreaterThan(0);
}

describe.skipIf(!next.ok)(`an archive with every hazard, into Apicurio Registry 3.3.3${next.note}`, () => {
  it('does to every entity what was foreseen', { timeout: 240_000 }, async () => {
    const file = await writeArchive(join(folder, 'hazards.zip'), hazardArchive);
    const { foreseen, codes } = await foresee(file);
    expect(codes).toEqual([
      'registry.content-refused',
      'registry.references-clash',
      'registry.content-twice',
      'registry.content-missing',
      'registry.ids-repeated',
      'registry.version-repeated',
      'registry.version-name',
      'registry.labels-clash',
      'registry.text-too-long',
      'registry.group-default',
      'registry.rule-lost',
      'registry.comment-lost',
      'registry.latest-moves',
      'registry.owner-moves',
      'registry.group-properties',
      'registry.content-type',
      'registry.content-unused',
      'registry.ids-reused',
    ]);
    await using server = await startApicurio({ version: '3.3' });
    expect(await importArchive(server, readFileSync(file))).toBe(204);
    const held = await readHeld(server);
    expectAsForeseen(foreseen, held);
    await expectComparedEqual(server, file);
    // Of those that exclude each other exactly one is there.
    const rivals = Map.groupBy(
      foreseen.versions.filter(({ fate }) => fate === 'one-of'),
      ({ entity, why }) => (why === 'global-id-repeated' ? `id ${entity.globalId}` : 'content'),
    );
    for (const [name, set] of rivals) {
      const there = set.filter(({ entity }) =>
        held.versions.some((each) => each.globalId === entity.globalId && each.artifactId === entity.artifactId),
      );
      expect({ name, there: there.length }).toEqual({ name, there: 1 });
    }
    const wrongType = foreseen.versions.filter(({ entity }) =>
      ['XML', 'XSD', 'WSDL', 'GRAPHQL'].includes(entity.artifactType ?? ''),
    );
    expect(wrongType.length).toBeGreaterThan(0);
    for (const { entity } of wrongType) {
      const content = held.contents.find(({ contentId }) => contentId === entity.contentId);
      expect(content).toMatchObject({ contentType: 'application/json' });
    }
  });
});

describe.skipIf(!next.ok)(`archives of which it is said that no import takes them${next.note}`, () => {
  const one: WrittenArchive = {
    contents: [{ contentId: 1, text: record('One', 'a') }],
    versions: [{ globalId: 1, artifactId: 'one', version: '1', contentId: 1 }],
  };
  const entries = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`notes/${i}.txt`, 'x']));

  it('are refused, and leave nothing behind', { timeout: 240_000 }, async () => {
    await using server = await startApicurio({ version: '3.3' });
    const refused: readonly (readonly [string, WrittenArchive])[] = [
      ['has no manifest', { ...one, manifest: null }],
      ['has more entries than the server takes', { ...one, others: entries }],
      [
        'has an entry larger than the server takes',
        { ...one, others: { 'large.txt': Buffer.alloc(10 * 1024 ** 2 + 1) } },
      ],
      ['has a name that no file system takes', { ...one, others: { [`${'x'.repeat(256)}.txt`]: 'x' } }],
      ['has JSON of no known kind', { ...one, others: { 'notes.json': '{}' } }],
    ];
    const outcome: Record<string, { readonly said: boolean; readonly held: number }> = {};
    for (const [why, archive] of refused) {
      const file = await writeArchive(join(folder, 'refused.zip'), archive);
      const { codes } = await foresee(file);
      const status = await importArchive(server, readFileSync(file));
      const { versions } = await readHeld(server);
      outcome[`${why}: ${status >= 400 ? 'refused' : status}`] = {
        said: codes.includes('registry.archive-refused'),
        held: versions.length,
      };
    }
    const said = { said: true, held: 0 };
    expect(outcome).toEqual(Object.fromEntries(refused.map(([why]) => [`${why}: refused`, said])));
  });
});

describe.skipIf(!next.ok)(`the same archive, repaired${next.note}`, () => {
  it('loses nothing but what has no cure, and leaves the rest as it was', { timeout: 240_000 }, async () => {
    const file = await writeArchive(join(folder, 'broken.zip'), hazardArchive);
    const before = readFileSync(file);
    const repaired = join(folder, 'repaired.zip');
    const repairs = await repairArchive(file, repaired);
    expect(readFileSync(file)).toEqual(before);
    expect([...new Set(repairs.map(({ code }) => code))].toSorted()).toEqual([
      'registry.comment-lost',
      'registry.content-twice',
      'registry.group-default',
      'registry.ids-repeated',
      'registry.labels-clash',
      'registry.references-clash',
      'registry.text-too-long',
      'registry.version-name',
      'registry.version-repeated',
    ]);
    const { archive, foreseen } = await foresee(repaired);
    expect(archive.versions).toHaveLength((await foresee(file)).archive.versions.length);
    const renamed = archive.contents.find(({ contentId }) => contentId === 11);
    expect(renamed?.references).toMatchObject([{ artifactId: 'name-bad', version: 'release_1' }]);
    const notKept = foreseen.versions.filter(({ fate }) => fate !== 'kept');
    expect(new Set(notKept.map(({ why }) => why))).toEqual(new Set(['content-missing', 'content-lost']));
    await using server = await startApicurio({ version: '3.3' });
    expect(await importArchive(server, readFileSync(repaired))).toBe(204);
    expectAsForeseen(foreseen, await readHeld(server));
    await expectComparedEqual(server, repaired);
    // The ways out that findings name for what no archive can say.
    await put(server, '/groups/g1', { labels: { team: 'a' } });
    await put(server, '/groups/default/artifacts/owner', { owner: 'bob' });
    await put(server, '/groups/default/artifacts/latest/branches/latest/versions', { versions: ['2', '1'] });
    expect(await get(server, '/groups/g1')).toMatchObject({ labels: { team: 'a' } });
    expect(await get(server, '/groups/default/artifacts/owner')).toMatchObject({ owner: 'bob' });
    expect(await get(server, '/groups/default/artifacts/latest/versions/branch=latest')).toMatchObject({
      version: '1',
    });
    await expect(repairArchive(file, repaired)).rejects.toMatchObject({ code: 'file.unwritable' });
    expect(readFileSync(repaired).length).toBeGreaterThan(0);
  });
});

describe.skipIf(!old.ok || !next.ok)(
  `an export of Apicurio Registry 2.6.13, into 3.3.3${old.note || next.note}`,
  () => {
    it('does to every entity what was foreseen', { timeout: 240_000 }, async () => {
      const file = join(folder, 'export.zip');
      {
        await using server = await startApicurio({ version: '2.6' });
        const registry = new OldRegistry(server);
        await fill(registry);
        writeFileSync(file, await registry.export());
      }
      const { archive, foreseen, codes } = await foresee(file);
      expect(archive).toMatchObject({ faults: [], manifest: { systemVersion: '2.6.13.Final', exportVersion: '1.0' } });
      // Every content of a server's own is under the hash that 3.x computes.
      expect(archive.contents.filter(({ contentHash, recomputedHash }) => contentHash !== recomputedHash)).toEqual([]);
      expect(codes).toEqual([
        'registry.version-name',
        'registry.labels-clash',
        'registry.text-too-long',
        'registry.group-properties',
        'registry.ids-reused',
      ]);
      await using server = await startApicurio({ version: '3.3' });
      expect(await importArchive(server, readFileSync(file))).toBe(204);
      const held = await readHeld(server);
      expectAsForeseen(foreseen, held);
      await expectComparedEqual(server, file);
      // It counts on behind what it took in: ids of what was lost or deleted at the top are given again.
      expect(await createArtifact(server)).toEqual((await inspectArchive(file, '3.3.3')).next);
      const states = new Map(held.versions.map(({ globalId, state }) => [globalId, state]));
      for (const { entity, fate } of foreseen.versions)
        if (fate === 'kept') expect(states.get(entity.globalId)).toBe(entity.state);
    });
  },
);

describe.skipIf(!old.ok || !next.ok)(
  `a 2.6.13 with every hazard that it takes in, its export into 3.3.3${old.note || next.note}`,
  () => {
    const file = join(folder, 'held.zip');
    const held = join(folder, 'held-repaired.zip');

    beforeAll(async () => {
      await using server = await startApicurio({ version: '2.6' });
      // As a registry that was filled by older releases and converters: its own importer takes what its API does not.
      const hazards = await writeArchive(join(folder, 'into-2.zip'), {
        ...hazardArchive,
        // These it takes in without a latest version, and lists no more.
        versions: (hazardArchive.versions ?? []).filter(
          ({ artifactId }) => !['same-name', 'key-too-long', 'label-too-long'].includes(artifactId),
        ),
      });
      expect(await importIntoOld(server, readFileSync(hazards))).toBe(204);
      const registry = new OldRegistry(server);
      await registry.artifact('Default', 'misspelt-by-api', '1', record('Misspelt', 'a'));
      // The highest id is of one that is lost.
      await registry.artifact('default', 'top', '1', record('Top', 'a'));
      await registry.call('PUT', '/groups/default/artifacts/top/versions/1/meta', { labels: ['Red', 'red'] });
      const source = openOldRegistry({ name: 'old', endpoints: server.endpoints, repeat });
      const { signal } = new AbortController();
      await source.exportTo(file, signal);
      expect(await source.proveComplete(file, signal)).toMatchObject({ complete: true, missing: [] });
      const unreadable = { what: 'owner of Default/group-misspelt', why: 'no path of its API leads there' };
      expect((await source.readBesides(signal)).unreadable).toContainEqual(unreadable);
      // Whatever is imported, it is found again: the id is too long for any archive that can be unpacked.
      await registry.artifact('default', 'x'.repeat(300), '1', record('Long', 'a'));
      await source.exportTo(held, signal);
      await source.close();
    }, 240_000);

    it('does to every entity what was foreseen', { timeout: 240_000 }, async () => {
      const { foreseen, codes } = await foresee(file);
      // Versions without their content and with the id of another one are those that 2.6 itself does not take in.
      expect(codes).toEqual([
        'registry.content-refused',
        'registry.references-clash',
        'registry.content-twice',
        'registry.version-name',
        'registry.labels-clash',
        'registry.text-too-long',
        'registry.group-default',
        'registry.rule-lost',
        'registry.comment-lost',
        'registry.latest-moves',
        'registry.owner-moves',
        'registry.group-properties',
        'registry.content-type',
        'registry.content-unused',
        'registry.ids-reused',
      ]);
      await using server = await startApicurio({ version: '3.3' });
      expect(await importArchive(server, readFileSync(file))).toBe(204);
      expectAsForeseen(foreseen, await readHeld(server));
      await expectComparedEqual(server, file);
    });

    it.skipIf(!early.ok)(`does so in 3.0.9 too, by its own rules${early.note}`, { timeout: 240_000 }, async () => {
      await using server = await startApicurio({ version: '3.0' });
      expect(await importArchive(server, readFileSync(file))).toBe(204);
      await expectComparedEqual(server, file);
    });

    it('is refused as a whole over an id that is too long, and said to be', { timeout: 240_000 }, async () => {
      expect((await foresee(held)).codes).toContain('registry.archive-refused');
      await using server = await startApicurio({ version: '3.3' });
      expect(await importArchive(server, readFileSync(held))).toBeGreaterThanOrEqual(400);
      expect((await readHeld(server)).versions).toEqual([]);
    });

    it('loses nothing but what has no cure once it is repaired', { timeout: 240_000 }, async () => {
      const cured = join(folder, 'held-cured.zip');
      await repairArchive(file, cured);
      const { foreseen } = await foresee(cured);
      const notKept = foreseen.versions.filter(({ fate }) => fate !== 'kept');
      expect(new Set(notKept.map(({ why }) => why))).toEqual(new Set(['content-lost']));
      await using server = await startApicurio({ version: '3.3' });
      expect(await importArchive(server, readFileSync(cured))).toBe(204);
      expectAsForeseen(foreseen, await readHeld(server));
      await expectComparedEqual(server, cured);
    });
  },
);

async function createArtifact(server: ApicurioServer): Promise<{ globalId: number; contentId: number }> {
  const reply = await fetch(`${server.endpoint}/apis/registry/v3/groups/default/artifacts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      artifactId: 'first-of-3',
      artifactType: 'AVRO',
      firstVersion: { version: '1', content: { content: record('First', 'a'), contentType: 'application/json' } },
    }),
  });
  const { version } = (await reply.json()) as { version: { globalId: number; contentId: number } };
  return { globalId: version.globalId, contentId: version.contentId };
}

const record = (name: string, ...fields: readonly string[]): string =>
  JSON.stringify({ type: 'record', name, fields: fields.map((field) => ({ name: field, type: 'string' })) });

async function fill(registry: OldRegistry): Promise<void> {
  await registry.call('POST', '/admin/rules', { type: 'VALIDITY', config: 'SYNTAX_ONLY' });
  await registry.call('POST', '/groups', { id: 'orders', description: 'of orders', properties: { team: 'a' } });
  await registry.artifact('orders', 'order', '1', record('Order', 'id'));
  await registry.artifact('orders', 'order', '2', record('Order', 'id', 'at'));
  await registry.artifact('orders', 'order', '3', record('Order', 'id', 'at', 'by'));
  await registry.call('PUT', '/groups/orders/artifacts/order/versions/1/state', { state: 'DISABLED' });
  await registry.call('PUT', '/groups/orders/artifacts/order/versions/2/state', { state: 'DEPRECATED' });
  await registry.call('POST', '/groups/orders/artifacts/order/rules', { type: 'COMPATIBILITY', config: 'BACKWARD' });
  await registry.call('POST', '/groups/orders/artifacts/order/versions/3/comments', { value: 'seen' });
  await registry.artifact('default', 'plain', '1', record('Plain', 'a'));
  const meta = { name: 'plain one', labels: ['x', 'y'], properties: { k: 'v', empty: '' } };
  await registry.call('PUT', '/groups/default/artifacts/plain/versions/1/meta', meta);
  await registry.artifact('default', 'named', 'release 1', record('Named', 'a'));
  await registry.artifact('default', 'clash', '1', record('Clash', 'a'));
  await registry.call('PUT', '/groups/default/artifacts/clash/versions/1/meta', { labels: ['Red', 'red'] });
  await registry.artifact('default', 'long', '1', record('Long', 'a'));
  await registry.call('PUT', '/groups/default/artifacts/long/versions/1/meta', { properties: { k: 'x'.repeat(513) } });
  await registry.artifact('default', 'gone', '1', record('Gone', 'a'));
  await registry.call('DELETE', '/groups/default/artifacts/gone', null);
}
