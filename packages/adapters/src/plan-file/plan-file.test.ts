/**
 * Goal: a plan file is what was planned, whole, or it is refused; the same plan gives the same bytes.
 * Method: plans of made-up rows are written and read back; then files are damaged and forged in every way at hand.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import {
  canonicalJson,
  isKeyferryError,
  type ChunkId,
  type MigrationId,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanId,
  type PlanWriter,
} from '@keyferry/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import yazl from 'yazl';
import type { PlanConfig } from '../config/resolved-config.ts';
import { createMemoryPlan, createPlanFile, discardPlan, openPlanFile } from './index.ts';

let folder = '';
let file = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-plan-test-'));
  file = join(folder, 'a.kfplan');
});
afterEach(() => rm(folder, { recursive: true }));

const digest = { count: '0', sum: '0' } as unknown as PlannedChunk['permanent'];
const chunk = (index: number): PlannedChunk => ({
  chunk: `c${index}` as ChunkId,
  start: { text: `/k/${index}` },
  end: null,
  actions: { create: 1, overwrite: 0, delete: 0, equal: 0, conflict: 0, blocked: 0 },
  bytes: 5,
  permanent: digest,
  matched: digest,
  equalExpiring: digest,
  equalExpiresAt: null,
  targetOnly: 0,
  listed: true,
});
const change = (index: number): PlannedChange => ({
  action: 'create',
  chunk: 'c0' as ChunkId,
  sourceKey: { text: `/k/ä${index}` },
  targetKey: { base64: '/w==' },
  bytes: 5,
  digest: '0123456789abcdef',
  expiresAt: null,
  sensitive: index % 2 === 0,
  target: null,
});
const config: PlanConfig = {
  migration: 'move',
  settings: { strategy: 'offline' } as PlanConfig['settings'],
  stores: { old: { kind: 'sqlite', file: 'a.db', table: null } },
};
const document = (changes: number, chunks: number): PlanDocument =>
  ({
    format: 'keyferry.plan',
    formatVersion: '1.0',
    keyferryVersion: '0.1.0',
    plan: 'pln_1' as PlanId,
    migration: 'move' as MigrationId,
    strategy: 'offline',
    createdAt: '2026-11-21T00:00:00.000Z',
    expiresAt: '2026-11-22T00:00:00.000Z',
    salt: '00',
    configDigest: 'c',
    rulesDigest: 'r',
    selection: null,
    chunks,
    changesListed: changes,
    applyable: true,
  }) as unknown as PlanDocument;

async function write(writer: PlanWriter, changes: number, chunks: number): Promise<void> {
  for (let at = 0; at < changes; at += 700) {
    const rows = Array.from({ length: Math.min(700, changes - at) }, (_, i) => change(at + i));
    await writer.writeChanges(rows);
  }
  if (chunks > 0) await writer.writeChunks(Array.from({ length: chunks }, (_, i) => chunk(i)));
  await writer.finish(document(changes, chunks));
}

async function all<Row>(pages: AsyncIterable<readonly Row[]>): Promise<{ rows: Row[]; largest: number }> {
  const rows: Row[] = [];
  let largest = 0;
  for await (const page of pages) {
    rows.push(...page);
    largest = Math.max(largest, page.length);
  }
  return { rows, largest };
}

async function whyInvalid(path = file): Promise<string> {
  const error: unknown = await openPlanFile(path).catch((thrown: unknown) => thrown);
  if (!isKeyferryError(error, 'plan.file-invalid')) throw error;
  return error.details.why;
}

describe('a plan file', () => {
  it('gives back what was written, in pages, as often as asked, at the same time too', async () => {
    await write(createPlanFile(file, { config }), 2500, 3);
    const reader = await openPlanFile(file);
    const [first, second] = await Promise.all([all(reader.readChanges()), all(reader.readChanges())]);
    expect(first.rows).toEqual(Array.from({ length: 2500 }, (_, i) => change(i)));
    expect(first.largest).toBe(1000);
    expect(second).toEqual(first);
    expect((await all(reader.readChunks())).rows).toEqual([chunk(0), chunk(1), chunk(2)]);
    expect(reader.plan).toEqual(document(2500, 3));
    expect(reader.config).toEqual(config);
    await reader.close();
  });

  it('can be left in the middle of its rows', async () => {
    await write(createPlanFile(file, { config }), 2500, 1);
    const reader = await openPlanFile(file);
    for await (const page of reader.readChanges()) {
      expect(page).toHaveLength(1000);
      break;
    }
    expect((await all(reader.readChanges())).rows).toHaveLength(2500);
    await reader.close();
  });

  it('of no rows is a plan file too', async () => {
    await write(createPlanFile(file, { config }), 0, 0);
    const reader = await openPlanFile(file);
    expect(await all(reader.readChanges())).toEqual({ rows: [], largest: 0 });
    expect(await all(reader.readChunks())).toEqual({ rows: [], largest: 0 });
    await reader.close();
  });

  it('has the same bytes for the same plan, whatever the time zone', async () => {
    const zone = process.env['TZ'];
    const files = ['Asia/Tokyo', 'America/Lima'].map((_, i) => join(folder, `${i}.kfplan`));
    try {
      for (const [i, path] of files.entries()) {
        process.env['TZ'] = ['Asia/Tokyo', 'America/Lima'][i];
        await write(createPlanFile(path, { config }), 1500, 2);
      }
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
    const [a, b] = await Promise.all(files.map((path) => readFile(path)));
    expect(a?.equals(b ?? Buffer.alloc(0))).toBe(true);
  });

  it('replaces an older one, and leaves nothing beside it', async () => {
    await writeFile(file, 'older');
    await write(createPlanFile(file, { config }), 5, 1);
    expect(await readdir(folder)).toEqual(['a.kfplan']);
    await (await openPlanFile(file)).close();
  });

  it('is not there before it is finished, and never when it was aborted', async () => {
    await writeFile(file, 'older');
    const writer = createPlanFile(file, { config });
    await writer.writeChanges([change(0)]);
    expect(await readFile(file, 'utf8')).toBe('older');
    await writer.abort();
    await writer.abort();
    expect(await readdir(folder)).toEqual(['a.kfplan']);
    expect(await readFile(file, 'utf8')).toBe('older');
  });

  it('that cannot be written is refused before anything is read', () => {
    expect(() => createPlanFile(join(folder, 'gone', 'a.kfplan'), { config })).toThrow(
      expect.objectContaining({ code: 'file.unwritable' }),
    );
  });
});

describe('what is no plan file', () => {
  it('says when there is none', async () => {
    await expect(openPlanFile(join(folder, 'gone'))).rejects.toMatchObject({
      code: 'file.unreadable',
      details: { detail: 'ENOENT' },
    });
  });

  it.each([
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('a plan, honestly')],
    ['zeros', Buffer.alloc(5000)],
  ])('is refused: %s', async (_name, bytes) => {
    await writeFile(file, bytes);
    expect(await whyInvalid()).toMatch(/damaged, cut off or no zip/);
  });

  it('is refused wherever it was cut off', async () => {
    await write(createPlanFile(file, { config }), 50, 2);
    const { length } = await readFile(file);
    for (let size = length - 1; size > 0; size -= 97) {
      await truncate(file, size);
      expect(await whyInvalid()).not.toBe('');
    }
  });

  it('is refused, or the same plan, whichever byte was damaged', async () => {
    await write(createPlanFile(file, { config }), 3, 1);
    const whole = await readFile(file);
    for (let at = 0; at < whole.length; at += 3) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt8((whole[at] ?? 0) ^ 0x55, at);
      await writeFile(file, damaged);
      const read = await openPlanFile(file).catch((error: unknown) => error);
      if (isKeyferryError(read, 'plan.file-invalid')) continue;
      const reader = read as Awaited<ReturnType<typeof openPlanFile>>;
      expect((await all(reader.readChanges())).rows).toEqual([change(0), change(1), change(2)]);
      expect(reader.plan).toEqual(document(3, 1));
      await reader.close();
    }
  });

  it('is noticed when the file is changed while it is open', async () => {
    await write(createPlanFile(file, { config }), 3, 1);
    const other = join(folder, 'other.kfplan');
    const writer = createPlanFile(other, { config });
    await writer.writeChanges([change(0), change(1), change(4)]);
    await writer.writeChunks([chunk(0)]);
    await writer.finish(document(3, 1));
    const forged = await readFile(other);
    const reader = await openPlanFile(file);
    await writeFile(file, forged);
    await expect(all(reader.readChanges())).rejects.toMatchObject({ code: 'plan.file-invalid' });
    await reader.close();
  });
});

describe('a forged plan file', () => {
  type Entries = Record<string, string>;
  const rows = `${canonicalJson(change(0))}\n`;
  const good: Entries = {
    'plan.json': canonicalJson(document(1, 1)),
    'changes.ndjson': rows,
    'chunks.ndjson': `${canonicalJson(chunk(0))}\n`,
    'config.json': canonicalJson(config),
  };
  const summary = (content: string) => ({
    bytes: Buffer.byteLength(content),
    sha256: createHash('sha256').update(content).digest('hex'),
  });
  const manifestOf = (entries: Entries, formatVersion = '1.0') => ({
    format: 'keyferry.plan',
    formatVersion,
    keyferryVersion: '0.1.0',
    entries: Object.fromEntries(Object.entries(entries).map(([name, content]) => [name, summary(content)])),
  });

  async function forge(entries: Entries, manifest: unknown = manifestOf(entries), extra: [string, string][] = []) {
    const zip = new yazl.ZipFile();
    const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    for (const [name, content] of [['manifest.json', text] as const, ...Object.entries(entries), ...extra]) {
      if (manifest !== null || name !== 'manifest.json') zip.addBuffer(Buffer.from(content), name);
    }
    zip.end();
    await writeFile(file, await buffer(zip.outputStream));
  }
  const { 'config.json': _config, ...withoutConfig } = good;

  it('is accepted when nothing is wrong with it', async () => {
    await forge(good);
    const reader = await openPlanFile(file);
    expect((await all(reader.readChanges())).rows).toEqual([change(0)]);
    await reader.close();
  });

  it.each<[name: string, why: RegExp, ...forged: Parameters<typeof forge>]>([
    ['has no manifest', /manifest\.json is missing/, good, null],
    ['has a manifest of something else', /not a plan file/, good, { ...manifestOf(good), format: 'keyferry.state' }],
    ['has a manifest that is no JSON', /manifest\.json is not JSON/, good, '{'],
    [
      'has a manifest of the wrong shape',
      /manifest\.json has not the shape of one \(at entries\)/,
      good,
      { ...manifestOf(good), entries: 1 },
    ],
    ['is of a newer format', /it has format 2\.0, and this version reads 1\.x/, good, manifestOf(good, '2.0')],
    ['lacks an entry', /config\.json is missing/, withoutConfig],
    ['lacks an entry that is listed', /config\.json is missing/, withoutConfig, manifestOf(good)],
    ['has an entry that is not listed', /does not belong to it: run\.sh/, good, manifestOf(good), [['run.sh', 'x']]],
    ['has one more entry, listed', /does not belong to it: a\/b/, { ...good, 'a/b': 'x' }],
    ['has an entry twice', /plan\.json is in it twice/, good, manifestOf(good), [['plan.json', 'x']]],
    [
      'has other rows',
      /changes\.ndjson is not what the manifest says/,
      { ...good, 'changes.ndjson': rows.replace('5', '6') },
      manifestOf(good),
    ],
    ['has another plan', /plan\.json is not what the manifest says/, { ...good, 'plan.json': '{}' }, manifestOf(good)],
    [
      'has more rows than its plan says',
      /changes\.ndjson has 2 rows, and the plan says 1/,
      { ...good, 'changes.ndjson': rows + rows },
    ],
    [
      'has a plan without a salt',
      /plan\.json has not the shape of one \(at salt\)/,
      { ...good, 'plan.json': canonicalJson(document(1, 1)).replace('"salt"', '"slat"') },
    ],
    ['has a configuration that is a list', /config\.json has not the shape/, { ...good, 'config.json': '[]' }],
  ])('that %s is refused', async (_name, why, ...forged) => {
    await forge(...forged);
    expect(await whyInvalid()).toMatch(why);
  });

  it('with a row that is none is refused when it is read', async () => {
    await forge({ ...good, 'changes.ndjson': '7\n' });
    const reader = await openPlanFile(file);
    await expect(all(reader.readChanges())).rejects.toMatchObject({ code: 'plan.file-invalid' });
    await reader.close();
  });

  it('of a newer minor version may hold more, if its manifest lists it', async () => {
    await forge({ ...good, 'more.json': '{}' }, manifestOf({ ...good, 'more.json': '{}' }, '1.7'));
    const reader = await openPlanFile(file);
    expect((await all(reader.readChunks())).rows).toEqual([chunk(0)]);
    await reader.close();
  });
});

describe('a plan without a file', () => {
  it('gives back what was written, and is gone when closed', async () => {
    const plan = createMemoryPlan();
    await write(plan, 1500, 2);
    expect((await all(plan.readChanges())).rows).toEqual(Array.from({ length: 1500 }, (_, i) => change(i)));
    expect((await all(plan.readChanges())).largest).toBe(1000);
    expect((await all(plan.readChunks())).rows).toEqual([chunk(0), chunk(1)]);
    expect(plan.plan).toEqual(document(1500, 2));
    await plan.close();
    await plan.close();
    await expect(all(plan.readChunks())).rejects.toThrow('ENOENT');
  });

  it('cannot be read before it is finished', async () => {
    const plan = createMemoryPlan();
    expect(() => plan.plan).toThrow('before it was finished');
    await plan.abort();
  });

  it('may go nowhere at all', async () => {
    await expect(write(discardPlan(), 10, 1)).resolves.toBeUndefined();
  });
});
