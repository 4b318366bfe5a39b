/**
 * Goal: an archive that no import would take is told with the reason, and none that is damaged passes for a smaller one.
 * Method: archives as 2.6 writes them, each with one thing wrong; what imports do is in test/contract/apicurio-import.test.ts.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKeyferryError } from '@keyferry/core';
import { afterAll, describe, expect, it } from 'vitest';
import { writeArchive, type WrittenArchive } from '../../test/apicurio-archive-writer.ts';
import { inspectArchive } from './inspect-archive.ts';
import { repairArchive } from './repair/repair-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'keyferry-apicurio-unit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const written = (archive: WrittenArchive): Promise<string> =>
  writeArchive(join(folder, `${(files += 1)}.zip`), archive);

const text = '{"type":"string"}';
const whole: WrittenArchive = {
  contents: [{ contentId: 1, text }],
  versions: [{ globalId: 1, artifactId: 'a', version: '1', contentId: 1 }],
};

async function refusals(archive: WrittenArchive, target = '3.3.3'): Promise<readonly (readonly [string, string])[]> {
  const { findings } = await inspectArchive(await written(archive), target);
  const cases = findings.find(({ code }) => code === 'registry.archive-refused')?.cases ?? [];
  return cases.map(({ key, detail }) => ['text' in key ? key.text : '', detail]);
}

describe('inspectArchive', () => {
  it('has nothing to say of a whole one', async () => {
    const report = await inspectArchive(await written(whole), '3.3.3');
    expect(report).toMatchObject({ findings: [], next: { globalId: 2, contentId: 2 } });
  });

  it.each<{ name: string; more: WrittenArchive; want: string }>([
    { name: 'no manifest', more: { manifest: null }, want: 'it has no manifest' },
    { name: 'one of 3.x', more: { manifest: { exportVersion: '3.0' } }, want: 'export version 3.0, not 1 or 2' },
    { name: 'an unknown writer', more: { manifest: { exportVersion: '1.0' } }, want: 'an unknown release' },
    { name: 'a stray JSON', more: { others: { 'notes.json': '{}' } }, want: 'of no kind that an importer knows' },
    { name: 'a broken JSON', more: { others: { 'x.GlobalRule.json': '{' } }, want: 'it is not JSON' },
    { name: 'a member that is missing', more: { others: { 'x.GlobalRule.json': '{}' } }, want: 'ruleType' },
    {
      name: 'a content without its bytes',
      more: { others: { 'content/x.Content.json': '{"contentId":7,"contentHash":"x"}' } },
      want: 'the bytes of the content are not in the archive',
    },
    {
      name: 'a path that no file system takes',
      more: { others: { [`content/${'x'.repeat(256)}.data`]: '' } },
      want: 'a part of the path has 261 bytes, and a file system takes 255',
    },
  ])('says $name', async ({ more, want }) => {
    const found = await refusals({ ...whole, ...more });
    expect(found).toHaveLength(1);
    expect(found[0]?.[1]).toContain(want);
  });

  it('goes by the limits that the target has by default, from 3.3.1 on', { timeout: 60_000 }, async () => {
    const large = { ...whole, contents: [{ contentId: 1, text: 'x'.repeat(10 * 1024 ** 2 + 1) }] };
    expect(await refusals(large)).toMatchObject([
      [/* the entry */ expect.stringContaining('.data'), expect.anything()],
    ]);
    expect(await refusals(large, '3.3.0')).toEqual([]);
  });

  it('knows what earlier releases of the target did', async () => {
    const same = { groupId: null, artifactId: 'a', version: '1', name: 'n' };
    const archive = { ...whole, contents: [{ contentId: 1, text, references: [same, same] }] };
    const codes = async (target: string) =>
      (await inspectArchive(await written(archive), target)).findings.map(({ code }) => code);
    expect(await codes('3.0.5')).toEqual(['registry.target-unfit']);
    expect(await codes('3.0.10')).toEqual([]);
    expect(await codes('3.0.11')).toContain('registry.references-clash');
  });

  it.each(['2.6.13', '3.3', 'latest'])('refuses %s as a target', async (version) => {
    await expect(inspectArchive(await written(whole), version)).rejects.toMatchObject({ code: 'usage.invalid' });
  });

  it('refuses a zip that is cut, with any byte of its end missing', async () => {
    const bytes = readFileSync(await written(whole));
    for (const length of [0, 1, bytes.length / 2, bytes.length - 1]) {
      const cut = join(folder, 'cut.zip');
      writeFileSync(cut, bytes.subarray(0, length));
      await expect(inspectArchive(cut, '3.3.3')).rejects.toMatchObject({ code: 'registry.archive-invalid' });
    }
    await expect(inspectArchive(join(folder, 'absent.zip'), '3.3.3')).rejects.toMatchObject({
      code: 'file.unreadable',
    });
  });
});

describe('an archive with a flipped byte', () => {
  it('is refused, or said to be what it was: never something else', { timeout: 60_000 }, async () => {
    const file = await written(whole);
    const bytes = readFileSync(file);
    const same = JSON.stringify((await inspectArchive(file, '3.3.3')).entities);
    const flipped = join(folder, 'flipped.zip');
    for (let at = 0; at < bytes.length; at += 19) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x04;
      writeFileSync(flipped, changed);
      const outcome = await inspectArchive(flipped, '3.3.3').then(
        ({ entities, findings }) => (findings.length > 0 ? 'told' : JSON.stringify(entities)),
        (error: unknown) => (isKeyferryError(error, 'registry.archive-invalid') ? 'told' : String(error)),
      );
      expect([same, 'told'], `byte ${at}`).toContain(outcome);
    }
  });
});

describe('repairArchive', () => {
  it('changes nothing in an archive that needs nothing', async () => {
    const file = await written(whole);
    const into = join(folder, 'same.zip');
    expect(await repairArchive(file, into)).toEqual([]);
    expect((await inspectArchive(into, '3.3.3')).entities).toEqual((await inspectArchive(file, '3.3.3')).entities);
  });

  it('never writes over a file, and leaves none behind when it cannot read', async () => {
    const file = await written(whole);
    const there = readFileSync(file);
    await expect(repairArchive(file, file)).rejects.toMatchObject({ code: 'file.unwritable' });
    expect(readFileSync(file)).toEqual(there);
    const broken = join(folder, 'broken.zip');
    writeFileSync(broken, 'no zip');
    const into = join(folder, 'never.zip');
    await expect(repairArchive(broken, into)).rejects.toMatchObject({ code: 'registry.archive-invalid' });
    expect(() => readFileSync(into)).toThrow(/ENOENT/);
  });
});
