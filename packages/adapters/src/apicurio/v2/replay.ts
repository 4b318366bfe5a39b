/**
 * Writes into a 2.6 what a 3.x took after the switch. New groups, versions and comments come by an archive, which keeps their ids;
 * everything else by the API. Whatever was to be written is read back, as an import says nothing of what it dropped.
 *
 *     each change ──there already?──► equal            new ones ──archive──► import ──read back──► written, refused
 *                         └─────────────────────────► others ──request──► written, refused
 */
import { join } from 'node:path';
import {
  registryNamedMax,
  type RegistryChange,
  type RegistryChanges,
  type RegistryDifference,
  type RegistryKind,
  type ReplayReceipt,
  type StopSignal,
} from '@keyferry/core';
import { parseRefusal, refusalError } from '../api/errors.ts';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import * as shapes from '../api/shapes.ts';
import {
  commentRecord,
  groupRecord,
  mergedLabels,
  versionRecord,
  type Labels,
  type RecordBody,
} from '../records/records.ts';
import { importFrom } from '../transfer/import.ts';
import type { ChangeData } from '../v3/changes.ts';
import { listVersions } from './walk.ts';
import { writeReplayArchive } from './replay-archive.ts';

export async function replay(
  api: RegistryApi,
  { archive, changes }: RegistryChanges,
  scratch: string,
  signal: StopSignal,
): Promise<ReplayReceipt> {
  const startedAtMs = performance.now();
  const replayer = new Replayer(api, signal);
  await replayer.run(changes, archive.file, join(scratch, 'replay.zip'));
  return { ...replayer.receipt(), tookMs: Math.round(performance.now() - startedAtMs) };
}

const byArchive: ReadonlySet<string> = new Set(['group', 'version', 'comment']);

class Replayer {
  private readonly api: RegistryApi;
  private readonly signal: StopSignal;
  private readonly refused: RegistryDifference[] = [];
  private written = 0;
  private equal = 0;

  constructor(api: RegistryApi, signal: StopSignal) {
    this.api = api;
    this.signal = signal;
  }

  async run(changes: readonly RegistryChange[], snapshot: string, archive: string): Promise<void> {
    const isNew = ({ action, kind }: RegistryChange): boolean => action === 'create' && byArchive.has(kind);
    const first = changes.findIndex(isNew);
    const before = first < 0 ? changes : changes.slice(0, first);
    for (const change of before) await this.request(change);
    if (first < 0) return;
    await this.import(changes.filter(isNew), snapshot, archive);
    for (const change of changes.slice(first)) if (!isNew(change)) await this.request(change);
  }

  receipt(): Omit<ReplayReceipt, 'tookMs'> {
    const { written, equal, refused } = this;
    return { written, equal, refused: refused.slice(0, registryNamedMax), refusedTotal: refused.length };
  }

  private async import(created: readonly RegistryChange[], snapshot: string, archive: string): Promise<void> {
    const missing: RegistryChange[] = [];
    for (const change of created) {
      if ((await this.differs(change)) === null) this.equal += 1;
      else missing.push(change);
    }
    if (missing.length === 0) return;
    const of = (kind: RegistryKind): readonly ChangeData[] =>
      missing.filter((change) => change.kind === kind).map(({ data }) => data as ChangeData);
    const wanted = {
      globalIds: new Set(of('version').map(({ body }) => Number(body['globalId']))),
      comments: new Set(of('comment').map(({ parts }) => parts.join('/'))),
      groups: new Set(of('group').map(({ parts }) => parts[0] ?? '')),
    };
    await writeReplayArchive(snapshot, wanted, archive);
    await importFrom(this.api, archive, '', this.signal);
    for (const change of missing) {
      const why = await this.differs(change);
      if (why === null) this.written += 1;
      else this.refuse(change, `was imported, and ${why}`);
    }
  }

  /** What is not as it should be; null: it is. */
  private async differs({ kind, data }: RegistryChange): Promise<string | null> {
    const { parts, body, of } = data as ChangeData;
    const held = await this.read(kind, parts, of);
    if (held === null) return 'it is not there';
    const fields = Object.keys(body).filter(
      (field) => JSON.stringify(held[field] ?? null) !== JSON.stringify(body[field]),
    );
    return fields.length === 0 ? null : `its ${fields.join(', ')} is not as in 3.x`;
  }

  /** @param of of a comment: its version */
  private async read(
    kind: RegistryChange['kind'],
    parts: readonly string[],
    of?: readonly string[],
  ): Promise<RecordBody | null> {
    const [first = '', second = ''] = parts;
    if (kind === 'group') {
      const group = await this.api.getOrNull(`/groups/${pathPart(first)}`, shapes.group2, this.signal);
      if (group === null) return null;
      return groupRecord(first, { ...group, owner: group.createdBy, labels: group.properties }).body;
    }
    if (kind === 'comment') {
      if (of === undefined) return null;
      const comments = await this.api.getOrNull(`${pathOf(of)}/comments`, shapes.comments2, this.signal);
      const comment = comments?.find(({ commentId }) => commentId === second);
      return comment === undefined
        ? null
        : commentRecord(Number(first), second, { ...comment, owner: comment.createdBy }).body;
    }
    const meta = await this.api.getOrNull(`${pathOf(parts)}/meta`, shapes.versionMeta2, this.signal);
    if (meta === null) return null;
    const { createdBy: owner, labels, properties, ...facts } = meta;
    const names = { groupId: first, artifactId: second };
    return versionRecord({ ...facts, ...names, owner, labels: mergedLabels(labels, properties) }).body;
  }

  private async request(change: RegistryChange): Promise<void> {
    const request = await this.requestFor(change);
    if (request === 'equal') this.equal += 1;
    else if (request === 'missing') this.refuse(change, 'is not in 2.6');
    else {
      const { method, path, body } = request;
      const json = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) };
      const headers = { 'content-type': 'application/json' };
      const answer = await this.api.send({ method, path, headers, ...json }, this.signal);
      if (answer.status < 300) this.written += 1;
      else if (answer.status === 404 && change.action === 'delete') this.equal += 1;
      else {
        const refusal = { ...answer, ...parseRefusal(answer.body) };
        if (answer.status === 401 || answer.status > 501) throw refusalError(this.api.store, refusal);
        this.refuse(change, `was refused by 2.6 with ${answer.status}: ${refusal.message}`);
      }
    }
  }

  private async requestFor(change: RegistryChange): Promise<Request | 'equal' | 'missing'> {
    const { kind, data } = change;
    const { parts, body, of } = data as ChangeData;
    if (kind === 'owner') return await this.ownerRequest(parts, body);
    if (kind === 'state' || kind === 'metadata') return await this.versionRequest(kind, parts, body);
    if (kind === 'globalRule' || kind === 'artifactRule') return await this.ruleRequest(change, parts, body);
    if (kind === 'comment') return await this.commentRequest(change, parts, body, of);
    // What is left is deleted.
    if (kind !== 'group') {
      const list = `${pathOf(parts.slice(0, 2))}/versions?limit=1`;
      if ((await this.api.getOrNull(list, shapes.versions2, this.signal)) === null) return 'equal';
      await this.deleteComments(parts);
    }
    return { method: 'DELETE', path: pathOf(parts) };
  }

  /** 2.6.13 answers 500 to the deletion of an artifact or version that has comments: a foreign key of its own. */
  private async deleteComments(parts: readonly string[]): Promise<void> {
    const [groupId = '', artifactId = '', only] = parts;
    const versions =
      only === undefined
        ? (await listVersions(this.api, { groupId, artifactId }, this.signal)).map(({ version }) => version)
        : [only];
    for (const version of versions) {
      const path = `${pathOf([groupId, artifactId, version])}/comments`;
      for (const { commentId } of (await this.api.getOrNull(path, shapes.comments2, this.signal)) ?? []) {
        await this.api.send({ method: 'DELETE', path: `${path}/${pathPart(commentId)}` }, this.signal);
      }
    }
  }

  private async ownerRequest(parts: readonly string[], { owner }: RecordBody): Promise<Request | 'equal' | 'missing'> {
    const path = `${pathOf(parts)}/owner`;
    const held = await this.api.getOrNull(path, shapes.owner2, this.signal);
    const wanted = typeof owner === 'string' ? owner : '';
    if (held === null) return 'missing';
    return (held.owner ?? '') === wanted ? 'equal' : { method: 'PUT', path, body: { owner: wanted } };
  }

  private async versionRequest(
    kind: 'state' | 'metadata',
    parts: readonly string[],
    body: RecordBody,
  ): Promise<Request | 'equal' | 'missing'> {
    const held = await this.read('version', parts);
    if (held === null) return 'missing';
    const fields = kind === 'state' ? ['state'] : ['name', 'description', 'labels'];
    if (fields.every((field) => JSON.stringify(held[field]) === JSON.stringify(body[field]))) return 'equal';
    const path = `${pathOf(parts)}/${kind === 'state' ? 'state' : 'meta'}`;
    if (kind === 'state') return { method: 'PUT', path, body: { state: body['state'] } };
    const labels = body['labels'] as Labels;
    const keys = Object.keys(labels).filter((key) => labels[key] === null);
    const properties = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== null));
    const { name, description } = body;
    return { method: 'PUT', path, body: { name, description, labels: keys, properties } };
  }

  private async ruleRequest(
    { action }: RegistryChange,
    parts: readonly string[],
    { config }: RecordBody,
  ): Promise<Request | 'equal'> {
    const type = parts.at(-1) ?? '';
    const list = parts.length === 1 ? '/admin/rules' : `${pathOf(parts.slice(0, 2))}/rules`;
    const path = `${list}/${pathPart(type)}`;
    if (action === 'delete') return { method: 'DELETE', path };
    const held = await this.api.getOrNull(path, shapes.rule, this.signal);
    if (held === null) return { method: 'POST', path: list, body: { type, config } };
    return held.config === config ? 'equal' : { method: 'PUT', path, body: { type, config } };
  }

  private async commentRequest(
    { action }: RegistryChange,
    parts: readonly string[],
    { value }: RecordBody,
    of: readonly string[] | undefined,
  ): Promise<Request | 'equal' | 'missing'> {
    if (of === undefined) return action === 'delete' ? 'equal' : 'missing';
    const path = `${pathOf(of)}/comments/${pathPart(parts[1] ?? '')}`;
    if (action === 'delete') return { method: 'DELETE', path };
    const held = await this.read('comment', parts, of);
    if (held === null) return 'missing';
    return held['value'] === value ? 'equal' : { method: 'PUT', path, body: { value } };
  }

  private refuse({ kind, name }: RegistryChange, what: string): void {
    const kinds: Partial<Record<RegistryChange['kind'], RegistryKind>> = {
      owner: 'artifact',
      groupLabels: 'group',
      state: 'version',
      metadata: 'version',
    };
    this.refused.push({ kind: kinds[kind] ?? (kind as RegistryKind), name, what });
  }
}

interface Request {
  readonly method: 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
}

/** Of a group, an artifact or a version. */
function pathOf([group = '', artifact, version]: readonly string[]): string {
  const ofGroup = `/groups/${pathPart(group)}`;
  if (artifact === undefined) return ofGroup;
  const ofArtifact = `${ofGroup}/artifacts/${pathPart(artifact)}`;
  return version === undefined ? ofArtifact : `${ofArtifact}/versions/${pathPart(version)}`;
}
