/** Real registries for the contract tests: filled by their API, exported, imported into, and read back whole. */
import { buffer } from 'node:stream/consumers';
import { KeyferryError, type Repeat } from '@keyferry/core';
import { request, type ApicurioServer } from '@keyferry/servers';
import yauzl from 'yauzl';

const zip = { accept: 'application/zip' };

/** A registry of 2.6, spoken to as its clients do. */
export class OldRegistry {
  private readonly base: string;

  constructor(server: Pick<ApicurioServer, 'endpoint'>) {
    this.base = `${server.endpoint}/apis/registry/v2`;
  }

  async artifact(groupId: string, artifactId: string, version: string, body: string, type = 'AVRO'): Promise<void> {
    const headers = {
      'content-type': 'application/json',
      'x-registry-artifactid': artifactId,
      'x-registry-version': version,
      'x-registry-artifacttype': type,
    };
    await this.call('POST', `/groups/${groupId}/artifacts?ifExists=UPDATE`, body, headers);
  }

  /** @param body JSON */
  async call(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
  ): Promise<unknown> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const options = body === null ? { method } : { method, headers, body: text };
    const reply = await request(`${this.base}${path}`, { ...options, timeoutMs: 60_000 });
    if (reply.status >= 300) throw new TypeError(`${method} ${path}: ${reply.status} ${reply.body}`);
    return reply.body === '' ? null : JSON.parse(reply.body);
  }

  async export(): Promise<Buffer> {
    return await download(`${this.base}/admin/export`);
  }
}

/** @returns the status of the answer */
export async function importArchive(server: ApicurioServer, archive: Buffer): Promise<number> {
  const reply = await fetch(`${server.endpoint}/apis/registry/v3/admin/import`, {
    method: 'POST',
    headers: { 'content-type': 'application/zip' },
    body: new Uint8Array(archive),
  });
  await reply.text();
  return reply.status;
}

/** By the importer of 2.6 itself, which takes what its API does not. @returns the status of the answer */
export async function importIntoOld({ endpoint }: Pick<ApicurioServer, 'endpoint'>, archive: Buffer): Promise<number> {
  const headers = { 'content-type': 'application/zip' };
  const body = new Uint8Array(archive);
  return (await fetch(`${endpoint}/apis/registry/v2/admin/import`, { method: 'POST', headers, body })).status;
}

/** Of a 3.x. */
export async function get(server: ApicurioServer, path: string): Promise<unknown> {
  const reply = await request(`${server.endpoint}/apis/registry/v3${path}`, { timeoutMs: 60_000 });
  if (reply.status !== 200) throw new TypeError(`GET ${path}: ${reply.status} ${reply.body}`);
  return JSON.parse(reply.body);
}

export async function put(server: ApicurioServer, path: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const url = `${server.endpoint}/apis/registry/v3${path}`;
  const reply = await request(url, { method: 'PUT', headers, body: JSON.stringify(body), timeoutMs: 60_000 });
  if (reply.status >= 300) throw new TypeError(`PUT ${path}: ${reply.status} ${reply.body}`);
}

export interface HeldVersion {
  readonly globalId: number;
  readonly groupId: string | null;
  readonly artifactId: string;
  readonly version: string;
  readonly contentId: number;
  readonly state: string;
  readonly owner: string | null;
  readonly labels: Readonly<Record<string, string | null>> | null;
}

/** What a registry of 3.x holds, by its own export. */
export interface Held {
  readonly versions: readonly HeldVersion[];
  readonly contents: readonly {
    readonly contentId: number;
    readonly contentHash: string;
    readonly contentType: string;
  }[];
  /** `group/artifact` */
  readonly artifacts: readonly string[];
  readonly groups: readonly (string | null)[];
  /** `group/artifact` to the versions on its branch `latest`, in order. */
  readonly latest: ReadonlyMap<string, readonly string[]>;
  readonly artifactRules: readonly string[];
  readonly globalRules: readonly string[];
  /** `globalId/commentId` */
  readonly comments: readonly string[];
}

export async function readHeld(server: ApicurioServer): Promise<Held> {
  const entries = await entriesOf(await download(`${server.endpoint}/apis/registry/v3/admin/export`));
  const of = (kind: string): readonly unknown[] =>
    entries
      .filter(({ name }) => name.endsWith(`.${kind}.json`))
      .map(({ body }): unknown => JSON.parse(body.toString()));
  const name = ({ groupId, artifactId }: Named) => `${groupId ?? 'default'}/${artifactId}`;
  const branches = of('Branch') as readonly (Named & { readonly versions: readonly string[] })[];
  const artifactRules = of('ArtifactRule') as readonly (Named & { readonly type: string })[];
  const comments = of('Comment') as readonly { readonly globalId: number; readonly commentId: string }[];
  return {
    versions: of('ArtifactVersion') as readonly HeldVersion[],
    contents: of('Content') as Held['contents'],
    artifacts: (of('Artifact') as readonly Named[]).map(name),
    groups: (of('Group') as readonly Pick<Named, 'groupId'>[]).map(({ groupId }) => groupId),
    latest: new Map(branches.map((each) => [name(each), each.versions])),
    artifactRules: artifactRules.map((rule) => `${name(rule)} ${rule.type}`),
    globalRules: (of('GlobalRule') as readonly { readonly ruleType: string }[]).map(({ ruleType }) => ruleType),
    comments: comments.map(({ globalId, commentId }) => `${globalId}/${commentId}`),
  };
}

interface Named {
  readonly groupId: string | null;
  readonly artifactId: string;
}

async function download(url: string): Promise<Buffer> {
  const reply = await fetch(url, { headers: zip });
  if (!reply.ok) throw new TypeError(`${url}: ${reply.status}`);
  return Buffer.from(await reply.arrayBuffer());
}

async function entriesOf(archive: Buffer): Promise<{ readonly name: string; readonly body: Buffer }[]> {
  const file = await yauzl.fromBufferPromise(archive, { lazyEntries: true, strictFileNames: false });
  const entries: { readonly name: string; readonly body: Buffer }[] = [];
  for await (const entry of file.eachEntry()) {
    entries.push({ name: entry.fileName, body: await buffer(await file.openReadStreamPromise(entry)) });
  }
  return entries;
}

const record = (name: string, ...fields: readonly string[]): string =>
  JSON.stringify({ type: 'record', name, fields: fields.map((field) => ({ name: field, type: 'string' })) });

/** What applications do to a 2.6 that was filled with hazards, while a first import into 3.x is under way: each kind of change. */
export async function writeMeanwhile({ endpoint }: Pick<ApicurioServer, 'endpoint'>): Promise<void> {
  const registry = new OldRegistry({ endpoint });
  await registry.artifact('orders', 'order', '3b', record('Order', 'id', 'by'));
  await registry.call('POST', '/groups/implied/artifacts/shares/versions/1/comments', { value: 'late' });
  await registry.call('PUT', '/groups/implied/artifacts/proto/versions/1/state', { state: 'DEPRECATED' });
  await registry.call('PUT', '/groups/default/artifacts/referring/versions/1/meta', { name: 'late', labels: ['l'] });
  await registry.call('PUT', '/groups/default/artifacts/labelled/owner', { owner: 'late' });
  await registry.call('DELETE', '/groups/hazards/artifacts/xml', null);
  await registry.call('POST', '/groups/hazards/artifacts/property-too-long/rules', {
    type: 'VALIDITY',
    config: 'FULL',
  });
  // Made anew of the same name, under other ids, with a content that others have too.
  await registry.call('DELETE', '/groups/hazards/artifacts/owner-moved', null);
  await registry.artifact('hazards', 'owner-moved', '1', record('OwnerMoved', 'b'));
  await registry.artifact('hazards', 'owner-moved', '2', record('Order', 'id'));
  await registry.call('DELETE', '/groups/with-properties', null);
  await registry.call('POST', '/groups', { id: 'with-properties', description: 'again', properties: { team: 'b' } });
  await registry.artifact('with-properties', 'inside', '7', record('Inside', 'b'));
  await registry.artifact('late', 'new', '1', record('Late', 'a'));
  await registry.artifact('late', 'new', '2', record('Late', 'a', 'b'));
  await registry.call('PUT', '/admin/rules/VALIDITY', { type: 'VALIDITY', config: 'FULL' });
  await registry.call('POST', '/admin/rules', { type: 'INTEGRITY', config: 'NONE' });
}

/** After `writeMeanwhile`. */
export async function writeMore({ endpoint }: Pick<ApicurioServer, 'endpoint'>): Promise<void> {
  const registry = new OldRegistry({ endpoint });
  await registry.artifact('late', 'new', '3', record('Late', 'a', 'c'));
  await registry.call('POST', '/groups/late/artifacts/new/versions/1/comments', { value: 'more' });
  await registry.call('PUT', '/groups/implied/artifacts/proto/versions/1/state', { state: 'ENABLED' });
  await registry.call('DELETE', '/groups/hazards/artifacts/property-too-long/rules/VALIDITY', null);
  await registry.call('DELETE', '/admin/rules/INTEGRITY', null);
}

/** 2.6 deletes a content with its last version, and gives it another id when it comes again. */
export async function makeAnew({ endpoint }: Pick<ApicurioServer, 'endpoint'>): Promise<void> {
  const registry = new OldRegistry({ endpoint });
  await registry.call('DELETE', '/groups/late/artifacts/new', null);
  await registry.artifact('late', 'new', '1', record('Late', 'a'));
}

export const tries = 4;
/** As the engine lends it: a registry leaves one of thousands of requests without an answer, now and then. */
export const repeat: Repeat = async (_what, call) => {
  for (let left = tries; ; left -= 1) {
    try {
      return await call();
    } catch (error) {
      if (left === 1 || !(error instanceof KeyferryError) || error.retry !== 'backoff') throw error;
    }
  }
};
