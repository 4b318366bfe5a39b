/**
 * Goal: what is foreseen and compared holds on other targets too, and so does a delta: a 3.0 that Java 17 runs, and a 3.3 whose
 * database is PostgreSQL.
 * Method: exports of a real 2.6.13 with every hazard that its API allows, from before and after each kind of change, imported into
 * each and read back field by field.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BesidesArchive, NewRegistry } from '@keyferry/core';
import { fillRegistry, serverOrSkip, startApicurio, startPostgres, type ApicurioServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNewRegistry, openOldRegistry, registryArchives } from '../../src/apicurio/index.ts';
import { makeAnew, repeat, writeMeanwhile } from './apicurio-fixture.ts';

const kinds = ['apicurio-2.6', 'apicurio-3.0', 'apicurio-3.3', 'postgres-15'] as const;
const [old, early, next, postgres] = await Promise.all(kinds.map((kind) => serverOrSkip(kind)));
const signal = new AbortController().signal;

describe.skipIf(old?.ok !== true)(`an export of Apicurio Registry 2.6.13${old?.note ?? ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-targets-'));
  const names = ['export', 'repaired', 'newer', 'newer-repaired', 'anew', 'anew-repaired', 'delta', 'snapshot'];
  const [file, base, newer, newerRepaired, anew, anewRepaired, scratch, snapshot] = names.map((name) =>
    join(folder, `${name}.zip`),
  ) as [string, string, string, string, string, string, string, string];
  let besides: BesidesArchive;
  let besidesNewer: BesidesArchive;

  beforeAll(async () => {
    await using server = await startApicurio({ version: '2.6' });
    await fillRegistry(server.endpoint, { versions: 20 });
    const source = openOldRegistry({ name: 'old', endpoints: server.endpoints, repeat });
    await source.exportTo(file, signal);
    besides = await source.readBesides(signal);
    await writeMeanwhile(server);
    await source.exportTo(newer, signal);
    besidesNewer = await source.readBesides(signal);
    await makeAnew(server);
    await source.exportTo(anew, signal);
    await source.close();
    await registryArchives.repair(file, base);
    await registryArchives.repair(newer, newerRepaired);
    await registryArchives.repair(anew, anewRepaired);
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function expectAsForeseen(server: ApicurioServer, release: string): Promise<void> {
    const target = openNewRegistry({ name: 'new', endpoints: server.endpoints, repeat });
    expect(await target.system(signal)).toMatchObject({ version: release });
    const { expected } = await registryArchives.foresee(file, release);
    await target.importFrom(file, { into: 'empty' }, signal);
    await target.carry(besides, signal);
    const comparison = await target.compare(file, besides, signal);
    expect(comparison.differences).toEqual([]);
    expect(comparison.found).toEqual(expected);
    expect(comparison.lostAsForeseen).toBeGreaterThan(0);
    await target.close();
  }

  /** On from what `expectAsForeseen` left: the whole archive with its losses, in the place of a base that has none. */
  async function expectDelta(server: ApicurioServer): Promise<NewRegistry> {
    const target = openNewRegistry({ name: 'new', endpoints: server.endpoints, repeat });
    await target.importFrom(base, { into: 'again' }, signal);
    await target.carry(besides, signal);
    expect((await target.compare(base, besides, signal)).differences).toEqual([]);
    const brought = { base, baseBesides: besides, file: newerRepaired, besides: besidesNewer };
    expect(await target.importDelta(brought, scratch, signal)).toMatchObject({ kind: 'imported' });
    expect((await target.compareByExport(brought, snapshot, signal)).comparison.differences).toEqual([]);
    expect((await target.compare(newerRepaired, besidesNewer, signal)).differences).toEqual([]);
    return target;
  }

  const toAnew = () => ({
    base: newerRepaired,
    baseBesides: besidesNewer,
    file: anewRepaired,
    besides: besidesNewer,
  });

  it.skipIf(early?.ok !== true)(`is in 3.0.9 as foreseen${early?.note ?? ''}`, { timeout: 240_000 }, async () => {
    await using server = await startApicurio({ version: '3.0' });
    await expectAsForeseen(server, '3.0.9');
    const target = await expectDelta(server);
    // It deletes a content with its last version, as 2.6 does.
    expect(await target.importDelta(toAnew(), scratch, signal)).toMatchObject({ kind: 'imported' });
    expect((await target.compare(anewRepaired, besidesNewer, signal)).differences).toEqual([]);
    await target.close();
  });

  it.skipIf(next?.ok !== true || postgres?.ok !== true)(
    `is in 3.3.3 on PostgreSQL as foreseen${next?.note ?? ''}${postgres?.note ?? ''}`,
    { timeout: 240_000 },
    async () => {
      await using database = await startPostgres();
      const { host, port, user, password, database: name } = database;
      await using server = await startApicurio({
        version: '3.3',
        properties: {
          'apicurio.storage.sql.kind': 'postgresql',
          'apicurio.datasource.url': `jdbc:postgresql://${host}:${port}/${name}`,
          'apicurio.datasource.username': user,
          'apicurio.datasource.password': password,
          'apicurio.datasource.jdbc.initial-size': '2',
          'apicurio.datasource.jdbc.min-size': '2',
        },
      });
      await expectAsForeseen(server, '3.3.3');
      const target = await expectDelta(server);
      const before = await target.walk(signal);
      const refused = { code: 'registry.content-held', details: { count: 1 } };
      await expect(target.importDelta(toAnew(), scratch, signal)).rejects.toMatchObject(refused);
      await expect(target.importFrom(anewRepaired, { into: 'again' }, signal)).rejects.toMatchObject(refused);
      expect((await target.walk(signal)).sha256).toBe(before.sha256);
      await target.close();
    },
  );
});
