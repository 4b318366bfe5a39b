/**
 * Makes a second import of a newer archive come out like a first one: the rest of an import that was cut short, or what came
 * since another one whose outcome is not known.
 *
 *     walk, against the archive ──► what it would not bring up to date: deleted ──► import ──► rules, groups: written
 *
 * What that is, ../delta/renewal.ts says. Nobody reads a registry of 3.x at that time. What is left after that is the
 * comparison's to find.
 */
import { KeyferryError, type ImportReceipt, type StopSignal } from '@keyferry/core';
import { parseRefusal, refusalError } from '../api/errors.ts';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import * as shapes from '../api/shapes.ts';
import { readSystem } from '../api/system.ts';
import { readArchive } from '../archive/read-archive.ts';
import { renewalOf, type Renewal } from '../delta/renewal.ts';
import { expectedRecords } from '../foresee/expected-records.ts';
import { foreseeImport } from '../foresee/foresee-import.ts';
import { targetRelease, type TargetRelease } from '../foresee/target-release.ts';
import type { RecordDifference } from '../records/compare-records.ts';
import { walkNew } from './walk.ts';

export interface Mended<T> {
  readonly brought: T;
  readonly mended: NonNullable<ImportReceipt['mended']>;
}

/** @param file the archive that `bring` imports */
export async function mendByWalk<T>(
  api: RegistryApi,
  file: string,
  bring: () => Promise<T>,
  signal: StopSignal,
): Promise<Mended<T>> {
  const release = targetRelease((await readSystem(api, null, signal)).version);
  const archive = await readArchive(file);
  const expected = await expectedRecords(archive, foreseeImport(archive, release), null);
  try {
    const found = await walkNew(api, signal);
    try {
      return await mend(api, { release, renewal: await renewalOf(expected, found) }, bring, signal);
    } finally {
      found.close();
    }
  } finally {
    expected.close();
  }
}

/**
 * Around an import: what it would leave as it is goes before, and what no import writes is written after.
 * @throws {KeyferryError} `registry.content-held`, and nothing was changed; `store.…`
 */
export async function mend<T>(
  api: RegistryApi,
  { release, renewal }: { readonly release: TargetRelease; readonly renewal: Renewal },
  bring: () => Promise<T>,
  signal: StopSignal,
): Promise<Mended<T>> {
  const { groups, artifacts, rest, otherIds } = renewal;
  // A release that deletes what no version uses by the hour keeps it until then, and its hash with it.
  if (release.deletesUnusedContents && otherIds.length > 0) {
    const detail = otherIds.slice(0, 5).join('; ');
    throw new KeyferryError('registry.content-held', { store: api.store, count: otherIds.length, detail });
  }
  const mender = new Mender(api, signal);
  await mender.deleteGroups(groups);
  await mender.deleteArtifacts(artifacts);
  const brought = await bring();
  const requests = await mender.finish(rest);
  return { brought, mended: { deletedFirst: groups.length + artifacts.length, requests } };
}

const deletionSetting = '/admin/config/properties/apicurio.rest.deletion.artifact.enabled';
const groupDeletionSetting = '/admin/config/properties/apicurio.rest.deletion.group.enabled';

class Mender {
  private readonly api: RegistryApi;
  private readonly signal: StopSignal;
  private requests = 0;

  constructor(api: RegistryApi, signal: StopSignal) {
    this.api = api;
    this.signal = signal;
  }

  /** With all that is in them. */
  async deleteGroups(groups: readonly string[]): Promise<void> {
    if (groups.length === 0) return;
    await this.whileOn(groupDeletionSetting, async () => {
      for (const group of groups) await this.send('DELETE', `/groups/${pathPart(group)}`);
    });
  }

  async deleteArtifacts(artifacts: Renewal['artifacts']): Promise<void> {
    if (artifacts.length === 0) return;
    await this.whileOn(deletionSetting, async () => {
      for (const [groupId = '', artifactId = ''] of artifacts) {
        await this.send('DELETE', shapes.artifactPath({ groupId, artifactId }));
      }
    });
  }

  async finish(rest: readonly RecordDifference[]): Promise<number> {
    for (const difference of rest) {
      if (difference.kind === 'rivals') continue;
      const { kind, parts } = difference.kind === 'missing' ? difference.expected : difference.found;
      const [name = '', type = ''] = parts;
      if (kind === 'group') await this.group(name, difference);
      else if (kind === 'globalRule') await this.globalRule(name, difference);
      else await this.send('DELETE', `/groups/${pathPart(name)}/rules/${pathPart(type)}`);
    }
    return this.requests;
  }

  private async group(name: string, difference: RecordDifference): Promise<void> {
    const path = `/groups/${pathPart(name)}`;
    if (difference.kind === 'extra') {
      await this.whileOn(groupDeletionSetting, () => this.send('DELETE', path));
    } else if (difference.kind === 'changed' && difference.fields.includes('description')) {
      const { description } = difference.expected.body;
      await this.send('PUT', path, { description: description ?? '', labels: difference.found.body['labels'] });
    }
  }

  private async globalRule(ruleType: string, difference: RecordDifference): Promise<void> {
    const path = `/admin/rules/${pathPart(ruleType)}`;
    if (difference.kind === 'extra') return await this.send('DELETE', path);
    // One that was missing came with the import.
    if (difference.kind !== 'changed') return;
    await this.send('PUT', path, { ruleType, config: difference.expected.body['config'] });
  }

  /** 3.x refuses to delete by default; what the setting was, it is again. */
  private async whileOn(setting: string, run: () => Promise<void>): Promise<void> {
    const { value } = await this.api.get(setting, shapes.setting, this.signal);
    if (value === 'true') return await run();
    await this.send('PUT', setting, { value: 'true' });
    try {
      await run();
    } finally {
      await this.send('PUT', setting, { value: value ?? 'false' });
    }
  }

  private async send(method: 'PUT' | 'DELETE', path: string, body?: object): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    const json = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) };
    const answer = await this.api.send({ method, path, headers, ...json }, this.signal);
    this.requests += 1;
    // Gone already: an earlier try had come so far.
    if (answer.status < 300 || (method === 'DELETE' && answer.status === 404)) return;
    throw refusalError(this.api.store, { ...answer, ...parseRefusal(answer.body) });
  }
}
