/**
 * Makes a second import of a newer archive come out like a first one: the delta of a freeze, and the rest of an import that
 * was cut short.
 *
 *     walk, against the archive ──► artifacts that it would not bring up to date: deleted ──► import ──► rules, groups: written
 *
 * The importer adds what is absent and leaves what is there as it is: a changed state, label or rule, a deletion and a new comment
 * of a version that is there do not come over. So an artifact with any of these is taken out and imported anew, whole and with its
 * ids. Nobody reads a registry of 3.x at that time. What is left after that is the comparison's to find.
 */
import type { StopSignal } from '@keyferry/core';
import { parseRefusal, refusalError } from '../api/errors.ts';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import * as shapes from '../api/shapes.ts';
import { readSystem } from '../api/system.ts';
import { readArchive } from '../archive/read-archive.ts';
import { expectedRecords } from '../foresee/expected-records.ts';
import { foreseeImport } from '../foresee/foresee-import.ts';
import { targetRelease } from '../foresee/target-release.ts';
import { compareRecords, type RecordDifference } from '../records/compare-records.ts';
import { keyOf, partsOf, type Json, type RegistryRecord } from '../records/records.ts';
import type { RecordSet } from '../records/record-set.ts';
import { walkNew } from './walk.ts';

export interface Mending {
  /** Artifacts that were deleted, for the import to bring again. */
  readonly deleted: number;
  /** What is written once the import is over. @returns how many requests that took */
  finish(): Promise<number>;
}

/** @param file the archive that is imported next */
export async function mendBeforeImport(api: RegistryApi, file: string, signal: StopSignal): Promise<Mending> {
  const { version } = await readSystem(api, null, signal);
  const archive = await readArchive(file);
  const expected = expectedRecords(archive, foreseeImport(archive, targetRelease(version)), null);
  try {
    const found = await walkNew(api, signal);
    try {
      const sorter = new DifferenceSorter();
      for await (const difference of compareRecords(expected, found)) sorter.take(difference);
      const artifacts = await sorter.artifactsToDelete(found);
      const mender = new Mender(api, signal);
      await mender.delete(artifacts);
      return { deleted: artifacts.length, finish: () => mender.finish(sorter.rest) };
    } finally {
      found.close();
    }
  } finally {
    expected.close();
  }
}

class DifferenceSorter {
  /** Of groups and global rules: no import changes one that is there. */
  readonly rest: RecordDifference[] = [];
  /** Their keys. */
  private readonly artifacts = new Set<string>();
  /** Of versions whose comments differ. */
  private readonly globalIds = new Set<string>();

  take(difference: RecordDifference): void {
    if (difference.kind === 'rivals') return; // which of them is there is left as it is
    const { kind, parts } = difference.kind === 'missing' ? difference.expected : difference.found;
    if (kind === 'group' || kind === 'globalRule' || kind === 'groupRule') this.rest.push(difference);
    else if (kind === 'comment') this.globalIds.add(parts[0] ?? '');
    else if (kind !== 'content' && !isBroughtByImport(difference)) this.artifacts.add(artifactKey(parts));
  }

  /** @param found what is there now: what is not needs no deleting */
  async artifactsToDelete(found: RecordSet): Promise<readonly RegistryRecord['parts'][]> {
    const there: string[] = [];
    for await (const { kind, key, parts, body } of found.entries()) {
      if (kind === 'version' && this.globalIds.has(JSON.stringify(body?.['globalId']))) {
        this.artifacts.add(artifactKey(parts));
      }
      if (kind === 'artifact') there.push(key);
    }
    return there.filter((key) => this.artifacts.has(key)).map((key) => partsOf(key).parts);
  }
}

/** New versions, also at the end of `latest`, what their artifact's row says of them, and what is carried over afterwards. */
function isBroughtByImport(difference: RecordDifference): boolean {
  if (difference.kind === 'missing') return difference.expected.kind !== 'artifactRule';
  if (difference.kind !== 'changed') return false;
  const { expected, found, fields } = difference;
  if (found.kind === 'artifact') return !fields.includes('type');
  if (found.kind !== 'branch') return false;
  const [wanted, held] = [versionsOf(expected), versionsOf(found)];
  return held.length < wanted.length && held.every((version, at) => version === wanted[at]);
}

function versionsOf({ body }: RegistryRecord): readonly Json[] {
  return Array.isArray(body['versions']) ? (body['versions'] as readonly Json[]) : [];
}

function artifactKey([group = '', artifact = '']: RegistryRecord['parts']): string {
  return keyOf({ kind: 'artifact', parts: [group, artifact] });
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

  async delete(artifacts: readonly RegistryRecord['parts'][]): Promise<void> {
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
