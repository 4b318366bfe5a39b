/**
 * Clients of a schema registry as they are in the field: the requests of the 2.6 libraries, sent without end and without a
 * retry, so that whatever a migration does to them is seen.
 *
 *     SerDes          by global id, content id and content hash, references; by content (POST that only reads); auto-register (a write)
 *     Confluent       ccompat v7: subjects, by id, latest of a subject, by content and compatibility (POST that only read), register (a write)
 *     Maven plugin    download, test (PUT that only reads), register (a write)
 *     UI              lists of artifacts and versions, rules
 *     v2 core API     metadata of the latest and of a version, search by content
 *
 * ccompat v6 is not among them: 3.x has it no more, which a plan says (`registry.api-gone`).
 *
 * Each client has one connection that it keeps, as the libraries do, or a fresh one for each request. Nothing is forgiven:
 * a connection that was closed under a request counts as lost even where a library would send it again.
 */
import { createHash } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';

export interface RegistryRequest {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether it could change anything: a freeze refuses exactly these. */
  readonly writes: boolean;
}

/** What has to be there for the requests to find. */
export interface SeededRegistry {
  readonly group: string;
  readonly artifact: string;
  readonly globalId: number;
  readonly contentId: number;
  readonly schema: string;
}

const json = { 'content-type': 'application/json' };
const confluent = { 'content-type': 'application/vnd.schemaregistry.v1+json' };

/** Makes an artifact in a registry of 2.6 that the requests below are about. @param url of the registry itself */
export async function seedRegistry(url: string, group: string, artifact: string): Promise<SeededRegistry> {
  const schema = JSON.stringify({ type: 'record', name: 'Order', fields: [{ name: 'id', type: 'long' }] });
  const reply = await fetch(`${url}/apis/registry/v2/groups/${group}/artifacts?ifExists=RETURN`, {
    method: 'POST',
    headers: { ...json, 'x-registry-artifactid': artifact, 'x-registry-artifacttype': 'AVRO' },
    body: schema,
  });
  const made = (await reply.json()) as { readonly globalId: number; readonly contentId: number };
  return { group, artifact, globalId: made.globalId, contentId: made.contentId, schema };
}

/** Subjects of ccompat are artifacts of the default group, so theirs are only asked for where the seed is there. */
export function clientRequests(seed: SeededRegistry): readonly RegistryRequest[] {
  const { globalId, contentId, schema } = seed;
  const v2 = '/apis/registry/v2';
  const ccompat = '/apis/ccompat/v7';
  const artifacts = `${v2}/groups/${seed.group}/artifacts`;
  const artifact = `${artifacts}/${seed.artifact}`;
  const subject = `${ccompat}/subjects/${seed.artifact}`;
  const confluentSchema = JSON.stringify({ schema });
  const get = (name: string, path: string): RegistryRequest => ({ name, method: 'GET', path, writes: false });
  const post = (name: string, path: string, body: string, headers = json): RegistryRequest => {
    return { name, method: 'POST', path, headers, body, writes: false };
  };
  const autoRegister = { ...json, 'x-registry-artifactid': seed.artifact, 'x-registry-artifacttype': 'AVRO' };
  return [
    get('serdes: by global id', `${v2}/ids/globalIds/${globalId}`),
    get('serdes: by content id', `${v2}/ids/contentIds/${contentId}/`),
    get('serdes: by content hash', `${v2}/ids/contentHashes/${createHash('sha256').update(schema).digest('hex')}/`),
    get('serdes: references', `${v2}/ids/globalIds/${globalId}/references`),
    post('serdes: by content', `${artifact}/meta`, schema),
    get('v2: latest', `${artifact}/meta`),
    get('v2: version', `${artifact}/versions/1/meta`),
    post('v2: search by content', `${v2}/search/artifacts`, schema),
    get('ui: artifacts', `${v2}/search/artifacts?limit=10&offset=0&order=asc&orderby=name`),
    get('ui: versions', `${artifact}/versions?limit=20&offset=0`),
    get('ui: rules', `${v2}/admin/rules`),
    get('maven: download', `${artifact}/versions/1`),
    { ...post('maven: test', `${artifact}/test`, schema), method: 'PUT' },
    { ...post('maven: register', `${artifacts}?ifExists=RETURN_OR_UPDATE`, schema, autoRegister), writes: true },
    ...(seed.group === 'default'
      ? [
          get('ccompat: by id', `${ccompat}/schemas/ids/${contentId}`),
          get('ccompat: latest', `${subject}/versions/latest`),
          get('ccompat: subjects', `${ccompat}/subjects`),
          post(
            'ccompat: compatible',
            `${ccompat}/compatibility${subject.slice(ccompat.length)}/versions/latest`,
            confluentSchema,
            confluent,
          ),
          post('ccompat: by content', subject, confluentSchema, confluent),
          { ...post('ccompat: register', `${subject}/versions`, confluentSchema, confluent), writes: true },
        ]
      : []),
    { ...post('serdes: auto-register', `${artifacts}?ifExists=RETURN`, schema, autoRegister), writes: true },
  ];
}

export interface LoadFigures {
  readonly requests: number;
  /** The connection was closed or refused before an answer came. */
  readonly lost: number;
  /** Reads that were answered 4xx or 5xx. */
  readonly readsFailed: number;
  /** Writes that were answered 405. */
  readonly writesRefused: number;
  /** Writes that were answered with another 4xx or with 5xx. */
  readonly writesFailed: number;
  /** `NAME STATUS`, or `NAME CODE` of the error, of everything above other than refused writes; each with its count. */
  readonly failures: ReadonlyMap<string, number>;
  /** Longest time from a request to the end of its answer, in milliseconds. */
  readonly slowestMs: number;
}

export interface RegistryLoad {
  /** So far; for conditions. */
  figures(): LoadFigures;
  /** After what is under way was answered. */
  stop(): Promise<LoadFigures>;
}

export interface RegistryLoadOptions {
  readonly url: string;
  readonly requests: readonly RegistryRequest[];
  /** Clients with a kept connection each, and clients with fresh ones. Default 4 and 2. */
  readonly kept?: number;
  readonly fresh?: number;
  /** Default 30 000. */
  readonly timeoutMs?: number;
}

/** Each client goes through all requests, again and again, one at a time. */
export function startRegistryLoad(options: RegistryLoadOptions): RegistryLoad {
  const { url, requests, kept = 4, fresh = 2, timeoutMs = 30_000 } = options;
  const base = new URL(url);
  const sums = { requests: 0, lost: 0, readsFailed: 0, writesRefused: 0, writesFailed: 0, slowestMs: 0 };
  const failures = new Map<string, number>();
  const stopping = new AbortController();
  const fail = (what: string): void => void failures.set(what, (failures.get(what) ?? 0) + 1);

  const client = async (index: number): Promise<void> => {
    const agent = index < kept ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
    for (let at = index; !stopping.signal.aborted; at += 1) {
      const wanted = requests[at % requests.length];
      if (wanted === undefined) return;
      const beganAtMs = performance.now();
      const answer = await send(base, wanted, agent, timeoutMs).catch((error: unknown) =>
        error instanceof Error && 'code' in error ? String(error.code) : String(error),
      );
      sums.requests += 1;
      sums.slowestMs = Math.max(sums.slowestMs, performance.now() - beganAtMs);
      if (typeof answer === 'string') {
        sums.lost += 1;
        fail(`${wanted.name} ${answer}`);
      } else if (answer >= 400) {
        if (wanted.writes && answer === 405) sums.writesRefused += 1;
        else fail(`${wanted.name} ${answer}`);
        if (wanted.writes && answer !== 405) sums.writesFailed += 1;
        if (!wanted.writes) sums.readsFailed += 1;
      }
    }
    agent?.destroy();
  };

  const clients = Array.from({ length: kept + fresh }, (_, index) => client(index));
  const figures = (): LoadFigures => ({ ...sums, failures: new Map(failures) });
  const stop = async (): Promise<LoadFigures> => {
    stopping.abort();
    await Promise.all(clients);
    return figures();
  };
  return { figures, stop };
}

/** @returns the status @throws an error of the network */
async function send(base: URL, wanted: RegistryRequest, agent: Agent | undefined, timeoutMs: number): Promise<number> {
  const { method, path, headers = {}, body } = wanted;
  return await new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options = { host: base.hostname, port: base.port, method, path, headers: { ...headers, ...length } };
    const request = httpRequest({ ...options, agent: agent ?? false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', reject);
    });
    request.setTimeout(timeoutMs, () => request.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })));
    request.once('error', reject);
    request.end(body);
  });
}
