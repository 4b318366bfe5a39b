/**
 * What was written to a 3.x since a snapshot of it: two exports held against each other, and each difference put as what would
 * have to be done to a 2.6 so that it has it too, or as what 2.6 has no form for.
 *
 * Pure but for reading both files. The order is that in which a 2.6 takes them: what goes, what comes, what changes, and rules
 * last, as they would refuse what 3.x took before them.
 */
import {
  type ArchiveReceipt,
  type RegistryChange,
  type RegistryChanges,
  type RegistryCounts,
  type RegistryDifference,
} from '@keyferry/core';
import { openArchive } from '../archive/read-archive.ts';
import { compareRecords, type RecordDifference } from '../records/compare-records.ts';
import { keyOf, nameOf, textOf, type Json, type RecordBody, type RegistryRecord } from '../records/records.ts';
import { readEntities, readSnapshot } from '../snapshot/read-snapshot.ts';
import type { RecordSet } from '../records/record-set.ts';

/** Of a change: what it is of, and its facts in 3.x; of a delete: those that it had. */
export interface ChangeData {
  readonly parts: readonly string[];
  readonly body: RecordBody;
  /** Of a comment: group, artifact and version, as 2.6 finds it by these alone; absent: the version is gone. */
  readonly of?: readonly string[];
}

/** @param now an export that was just made */
export async function changesSince(snapshot: string, now: ArchiveReceipt): Promise<RegistryChanges> {
  const before = await readSnapshot(snapshot);
  try {
    const after = await readSnapshot(now.file);
    try {
      const sorter = new ChangeSorter(await yamlContents(now.file));
      for await (const { kind, parts, body } of after.entries()) {
        if (kind === 'version' && body !== null) sorter.see({ kind, parts, body });
      }
      for await (const difference of compareRecords(before, after)) sorter.take(difference);
      const { changes, notFitting } = sorter.result();
      return { archive: now, changes: await withVersions(changes, after), notFitting };
    } finally {
      after.close();
    }
  } finally {
    before.close();
  }
}

/** Comments are named by global ids; their versions are looked for in one more pass, as few have any. */
async function withVersions(changes: readonly RegistryChange[], after: RecordSet): Promise<readonly RegistryChange[]> {
  const globalIdOf = ({ data }: RegistryChange): string => (data as ChangeData).parts[0] ?? '';
  const wanted = new Set(changes.filter(({ kind }) => kind === 'comment').map(globalIdOf));
  if (wanted.size === 0) return changes;
  const versions = new Map<string, readonly string[]>();
  for await (const { kind, parts, body } of after.entries()) {
    const globalId = textOf(body?.['globalId']);
    if (kind === 'version' && wanted.has(globalId)) versions.set(globalId, parts);
  }
  return changes.map((change) => {
    const of = change.kind === 'comment' ? versions.get(globalIdOf(change)) : undefined;
    return of === undefined ? change : { ...change, data: { ...(change.data as ChangeData), of } };
  });
}

export async function snapshotReceipt(
  file: string,
): Promise<{ readonly counts: RegistryCounts; readonly globalIdMax: number; readonly contentIdMax: number }> {
  const records: RecordSet = await readSnapshot(file);
  const { globalId: globalIdMax, contentId: contentIdMax } = records.maxima;
  records.close();
  return { counts: records.counts, globalIdMax, contentIdMax };
}

/** 2.6 turns YAML into JSON when it is written, and serves what an import brought as it is: its clients would fail on it. */
async function yamlContents(file: string): Promise<ReadonlySet<number>> {
  const zip = await openArchive(file);
  const found = new Set<number>();
  try {
    for await (const { kind, facts } of readEntities(zip, file)) {
      if (kind === 'Content' && facts.contentType?.includes('yaml') === true) found.add(facts.contentId);
    }
    return found;
  } finally {
    zip.close();
  }
}

const types2: ReadonlySet<Json> = new Set([
  'AVRO',
  'PROTOBUF',
  'JSON',
  'OPENAPI',
  'ASYNCAPI',
  'GRAPHQL',
  'KCONNECT',
  'WSDL',
  'XSD',
  'XML',
]);
const states2: ReadonlySet<Json> = new Set(['ENABLED', 'DISABLED', 'DEPRECATED']);
const rules2: ReadonlySet<string> = new Set(['VALIDITY', 'COMPATIBILITY', 'INTEGRITY']);

/** By when a 2.6 takes them. */
const order = [
  'delete version',
  'delete artifact',
  'delete group',
  'delete',
  'create group',
  'create version',
  'create comment',
];

class ChangeSorter {
  private readonly yaml: ReadonlySet<number>;
  private readonly changes: RegistryChange[] = [];
  private readonly notFitting: RegistryDifference[] = [];
  /** Keys of artifacts that have a version which 2.6 could hold. */
  private readonly withVersion = new Set<string>();
  private readonly goneArtifacts = new Set<string>();
  /** Global ids. */
  private readonly goneVersions = new Set<string>();

  constructor(yaml: ReadonlySet<number>) {
    this.yaml = yaml;
  }

  /** Each version that is there now, before any difference. */
  see({ parts, body }: RegistryRecord): void {
    if (this.misfitOfVersion(body) === null) this.withVersion.add(artifactKey(parts));
  }

  take(difference: RecordDifference): void {
    if (difference.kind === 'rivals') return; // a snapshot expects nothing
    if (difference.kind === 'extra') this.created(difference.found);
    else if (difference.kind === 'missing') {
      const { kind, parts, body } = difference.expected;
      this.deleted({ kind, parts, body: body ?? {} });
    } else this.changed(difference);
  }

  result(): Pick<RegistryChanges, 'changes' | 'notFitting'> {
    const rank = ({ action, kind }: RegistryChange): number => {
      const exact = order.indexOf(`${action} ${kind}`);
      if (exact >= 0) return exact;
      return action === 'delete' ? order.indexOf('delete') : order.length + (kind.endsWith('Rule') ? 1 : 0);
    };
    const idOf = ({ data }: RegistryChange): number => Number((data as ChangeData).body['globalId'] ?? 0);
    // What goes with its artifact or its version is not taken away by itself.
    const changes = this.changes.filter((change) => !this.goesAlong(change));
    return {
      changes: changes.toSorted((a, b) => rank(a) - rank(b) || idOf(a) - idOf(b)),
      notFitting: this.notFitting,
    };
  }

  private goesAlong({ action, kind, data }: RegistryChange): boolean {
    const { parts } = data as ChangeData;
    if (action !== 'delete') return false;
    if (kind === 'comment') return this.goneVersions.has(parts[0] ?? '');
    return (kind === 'version' || kind === 'artifactRule') && this.goneArtifacts.has(artifactKey(parts));
  }

  private created(record: RegistryRecord): void {
    const { kind, parts, body } = record;
    switch (kind) {
      case 'content':
        return; // comes with its version
      case 'branch':
        if (parts[2] !== 'latest') this.misfit(record, '2.6 has no branches');
        return;
      case 'groupRule':
        return this.misfit(record, '2.6 has no rules of groups');
      case 'globalRule':
      case 'artifactRule':
        if (!rules2.has(parts.at(-1) ?? '')) return this.misfit(record, '2.6 has no rule of this type');
        return this.change(kind, 'create', record);
      case 'artifact':
        if (this.withVersion.has(artifactKey(parts))) return this.change('owner', 'update', record);
        return this.misfit(record, 'it has no version that 2.6 could hold, and 2.6 knows no artifact without one');
      case 'version': {
        const why = this.misfitOfVersion(body);
        return why === null ? this.change(kind, 'create', record) : this.misfit(record, why);
      }
      default:
        return this.change(kind, 'create', record);
    }
  }

  private misfitOfVersion({ type, state, contentId }: RecordBody): string | null {
    if (!types2.has(type ?? null)) return `2.6 has no artifacts of type ${textOf(type)}`;
    if (!states2.has(state ?? null)) return `2.6 has no state ${textOf(state)}`;
    return this.yaml.has(Number(contentId)) ? 'its content is YAML, and 2.6 keeps such documents as JSON' : null;
  }

  private deleted(record: RegistryRecord): void {
    const { kind, parts } = record;
    if (kind === 'content' || kind === 'branch' || kind === 'groupRule') return; // 2.6 has none of its own
    if (kind === 'artifact') this.goneArtifacts.add(artifactKey(parts));
    if (kind === 'version') this.goneVersions.add(textOf(record.body['globalId']));
    this.change(kind, 'delete', record);
  }

  private changed({ expected, found, fields }: Extract<RecordDifference, { readonly kind: 'changed' }>): void {
    const { kind } = found;
    const differ = new Set(fields);
    switch (kind) {
      case 'version':
        return this.versionChanged(expected, found, differ);
      case 'artifact':
        if (differ.delete('owner')) this.change('owner', 'update', found);
        if (differ.size > 0) {
          const why = `2.6 keeps ${[...differ].join(', ')} of an artifact in its versions alone`;
          this.misfit(found, why);
        }
        return;
      case 'branch':
        return this.branchChanged(expected, found);
      case 'group':
        return this.misfit(found, `2.6 cannot change ${fields.join(', ')} of a group`);
      case 'groupRule':
        return this.misfit(found, '2.6 has no rules of groups');
      case 'content':
        return this.misfit(found, 'a content of the same id is another one');
      default:
        return this.change(kind, 'update', found);
    }
  }

  private versionChanged(expected: RegistryRecord, found: RegistryRecord, differ: Set<string>): void {
    if (differ.has('globalId')) {
      // Deleted, and another one made of the same name.
      this.deleted(expected);
      return this.created(found);
    }
    if (differ.delete('state')) {
      const { state } = found.body;
      if (states2.has(state ?? null)) this.change('state', 'update', found);
      else this.misfit(found, `2.6 has no state ${textOf(state)}`);
    }
    const metadata = ['name', 'description', 'labels'].filter((field) => differ.delete(field));
    if (metadata.length > 0) this.change('metadata', 'update', found);
    if (differ.size > 0) this.misfit(found, `2.6 cannot change ${[...differ].join(', ')} of a version`);
  }

  /** Versions that came at its end, and those that went, are told by themselves. */
  private branchChanged(expected: RegistryRecord, found: RegistryRecord): void {
    if (found.parts[2] !== 'latest') return this.misfit(found, '2.6 has no branches');
    const [before, after] = [versionsOf(expected), versionsOf(found)];
    const kept = before.filter((version) => after.includes(version));
    if (JSON.stringify(after.slice(0, kept.length)) === JSON.stringify(kept)) return;
    this.misfit(found, 'its versions are in another order, which 2.6 takes from their ids');
  }

  private change(kind: RegistryChange['kind'], action: RegistryChange['action'], record: RegistryRecord): void {
    const { parts, body } = record;
    this.changes.push({ kind, action, name: nameOf(record), data: { parts, body } satisfies ChangeData });
  }

  private misfit(record: RegistryRecord, what: string): void {
    this.notFitting.push({ kind: record.kind, name: nameOf(record), what });
  }
}

function versionsOf({ body }: RegistryRecord): readonly Json[] {
  return Array.isArray(body['versions']) ? (body['versions'] as readonly Json[]) : [];
}

function artifactKey([group = '', artifact = '']: readonly string[]): string {
  return keyOf({ kind: 'artifact', parts: [group, artifact] });
}
