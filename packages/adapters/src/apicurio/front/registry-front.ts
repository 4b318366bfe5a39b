/**
 * What clients see of a registry through a load balancer, asked as they ask: by id, by name, by content, by subject.
 *
 * The v2 API and ccompat v7 are served by both releases, so the same requests are made before the freeze and after the
 * switch; `core` is what only 3.x has. Nothing is written: the one POST that could is a dry run. Bytes of contents are
 * compared where both releases have to hand out the same.
 */
import { createHash } from 'node:crypto';
import { getCACertificates } from 'node:tls';
import {
  KeyferryError,
  type FrontWrite,
  type ProbeOutcome,
  type ProbeSample,
  type RegistryFront,
  type StopSignal,
} from '@keyferry/core';
import * as z from 'zod';
import type { HttpRequest } from '../../http/client.ts';
import { parseRefusal, refusalError } from '../api/errors.ts';
import { pathPart, RegistryApi, type RegistryConnection } from '../api/registry-api.ts';

/** Enough to meet several groups, few enough to ask often. */
const sampleMax = 10;
const bodyBytesMax = 64 * 1024 * 1024;

interface Probe {
  readonly name: string;
  readonly request: HttpRequest;
  /** Asked without the credentials of the configuration. */
  readonly anonymous?: boolean;
  /** Bytes that must stay what they are. */
  readonly keepsBytes?: boolean;
  /** What is wrong about an answer whatever was seen before; null: nothing. */
  readonly judge?: (status: number, body: string) => string | null;
}

/**
 * @param connection of the registry, whose endpoints the balancer's URL takes the place of
 * @param authorities PEM of those that a balancer's URL is known by; by default those of the system
 */
export function registryFront(
  connection: Omit<RegistryConnection, 'endpoints'>,
  authorities: ReadonlyMap<string, string> = new Map(),
): RegistryFront {
  const { auth, oidc, ...nobody } = connection;
  const hasCredentials = auth !== undefined || oidc !== undefined;
  const withApi = async <T>(
    of: Omit<RegistryConnection, 'endpoints'>,
    url: string,
    use: (api: RegistryApi) => Promise<T>,
  ): Promise<T> => {
    const tls = frontTls(connection.tls, authorities.get(url));
    const api = new RegistryApi({ ...of, tls, endpoints: [url] }, '/apis');
    try {
      return await use(api);
    } finally {
      api.close();
    }
  };
  return {
    sample: (url, signal) => withApi(connection, url, (api) => takeSample(api, signal)),
    probe: (url, suite, release, sample, signal) =>
      withApi(connection, url, (api) =>
        withApi(nobody, url, async (anonymous) => {
          const probes =
            suite === 'clients'
              ? await clientProbes(api, release, sample, signal)
              : coreProbes(sample, { hasCredentials });
          const outcomes: ProbeOutcome[] = [];
          for (const probe of probes) {
            outcomes.push(await ask(probe.anonymous === true ? anonymous : api, probe, signal));
          }
          return outcomes;
        }),
      ),
    write: (url, name, signal) => withApi(connection, url, (api) => writeOne(api, name, signal)),
    holds: (url, { globalId, sha256 }, signal) =>
      withApi(connection, url, async (api) => {
        const body = await bodyOf(api, `/registry/v2/ids/globalIds/${globalId}`, signal);
        return body !== null && sha256Of(body) === sha256;
      }),
  };
}

/** A balancer has a certificate of its own; tokens still come from where the registry's authorities are known. */
function frontTls(tls: RegistryConnection['tls'], authority: string | undefined): RegistryConnection['tls'] {
  if (tls === undefined && authority === undefined) return undefined;
  const { serverName: _ofTheRegistry, ca, ...client } = tls ?? {};
  const known = authority === undefined ? getCACertificates('default') : [authority];
  return { ...client, ca: [...known, ...(ca === undefined ? [] : [ca])].join('\n') };
}

async function writeOne(api: RegistryApi, name: string, signal: StopSignal): Promise<FrontWrite> {
  const body = Buffer.from(JSON.stringify({ title: name }));
  const headers = {
    'content-type': 'application/json',
    'x-registry-artifactid': name,
    // Said, so that nothing is guessed from the bytes and no rule on schemas has a word in it.
    'x-registry-artifacttype': 'JSON',
  };
  const request = { method: 'POST', path: '/registry/v2/groups/keyferry-rehearsal/artifacts', headers, body } as const;
  const { status, body: answer, doing } = await api.send(request, signal);
  if (status !== 200) throw refusalError(api.store, { status, doing, ...parseRefusal(answer) });
  const { globalId } = z.object({ globalId: z.number() }).parse(JSON.parse(answer));
  return { globalId, sha256: sha256Of(body) };
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const found = z.object({ artifacts: z.array(z.object({ id: z.string(), groupId: z.string().nullish() })) });
const meta = z.object({ version: z.coerce.string(), globalId: z.number(), contentId: z.number() });

async function takeSample(api: RegistryApi, signal: StopSignal): Promise<ProbeSample> {
  const query = `limit=${sampleMax}&orderby=name&order=asc`;
  const { artifacts } = await api.get(`/registry/v2/search/artifacts?${query}`, found, signal);
  const versions: ProbeSample['versions'][number][] = [];
  for (const { id: artifact, groupId } of artifacts) {
    const group = groupId ?? 'default';
    const latest = await api.getOrNull(`${pathOf({ group, artifact })}/meta`, meta, signal);
    if (latest !== null) versions.push({ group, artifact, ...latest });
  }
  return { versions };
}

const pathOf = ({ group, artifact }: { readonly group: string; readonly artifact: string }, api = 'v2'): string =>
  `/registry/${api}/groups/${pathPart(group)}/artifacts/${pathPart(artifact)}`;

async function clientProbes(
  api: RegistryApi,
  release: 2 | 3,
  { versions }: ProbeSample,
  signal: StopSignal,
): Promise<readonly Probe[]> {
  const probes: Probe[] = [
    { name: 'system of the v2 API', request: { path: '/registry/v2/system/info' }, judge: isRelease(release) },
    { name: 'search of the v2 API', request: { path: '/registry/v2/search/artifacts?limit=1' } },
    { name: 'subjects of ccompat v7', request: { path: '/ccompat/v7/subjects' } },
    { name: 'an artifact that is not there', request: { path: `${pathOf(nobody)}/meta` } },
    { name: 'a global id that is not there', request: { path: '/registry/v2/ids/globalIds/9007199254740' } },
    { name: 'a subject that is not there', request: { path: '/ccompat/v7/subjects/keyferry-nobody/versions' } },
    ...accessProbes,
  ];
  for (const { group, artifact, version, globalId, contentId } of versions) {
    const path = pathOf({ group, artifact });
    const named = `${group}/${artifact}`;
    const content = `/registry/v2/ids/contentIds/${contentId}/`;
    probes.push(
      { name: `latest of ${named}`, request: { path: `${path}/meta` } },
      { name: `version ${named}:${version}`, request: { path: `${path}/versions/${pathPart(version)}/meta` } },
      { name: `global id ${globalId}`, request: { path: `/registry/v2/ids/globalIds/${globalId}` }, keepsBytes: true },
      { name: `content id ${contentId}`, request: { path: content }, keepsBytes: true },
    );
    const bytes = await bodyOf(api, content, signal);
    if (bytes === null) continue;
    const headers = { 'content-type': 'application/octet-stream' };
    const request = { method: 'POST', path: `${path}/meta`, headers, body: bytes } as const;
    probes.push({ name: `look-up of ${named} by content`, request });
  }
  return probes;
}

const nobody = { group: 'default', artifact: 'keyferry-nobody' };

/** Who may what: a 3.x that was started without authentication answers all of this, and nobody would notice. */
const accessProbes: readonly Probe[] = [
  { name: 'rules of the admin API', request: { path: '/registry/v2/admin/rules' } },
  {
    name: 'rules of the admin API, without credentials',
    request: { path: '/registry/v2/admin/rules' },
    anonymous: true,
  },
  {
    name: 'a search without credentials',
    request: { path: '/registry/v2/search/artifacts?limit=1' },
    anonymous: true,
  },
  {
    name: 'a search by content without credentials',
    request: {
      method: 'POST',
      path: '/registry/v2/search/artifacts?limit=1',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{}'),
    },
    anonymous: true,
  },
];

function coreProbes({ versions }: ProbeSample, access: { readonly hasCredentials: boolean }): readonly Probe[] {
  const headers = { 'content-type': 'application/json' };
  const draft = { content: '{}', contentType: 'application/json' };
  const created = { artifactId: 'keyferry-dry-run', artifactType: 'JSON', firstVersion: { content: draft } };
  const dryRun = {
    method: 'POST',
    path: '/registry/v3/groups/default/artifacts?dryRun=true',
    headers,
    body: Buffer.from(JSON.stringify(created)),
  } as const;
  const [first] = versions;
  const ofArtifact: Probe[] =
    first === undefined
      ? []
      : [
          { name: 'branches', request: { path: `${pathOf(first, 'v3')}/branches` }, judge: isOk },
          { name: 'latest by branch', request: { path: `${pathOf(first, 'v3')}/versions/branch=latest` }, judge: isOk },
        ];
  return [
    { name: 'system of the v3 API', request: { path: '/registry/v3/system/info' }, judge: isRelease(3) },
    { name: 'search of artifacts', request: { path: '/registry/v3/search/artifacts?limit=1' }, judge: isOk },
    { name: 'search of versions', request: { path: '/registry/v3/search/versions?limit=1' }, judge: isOk },
    { name: 'rules of the admin API', request: { path: '/registry/v3/admin/rules' }, judge: isOk },
    ...ofArtifact,
    { name: 'groups of the v2 API', request: { path: '/registry/v2/groups?limit=1' }, judge: isOk },
    { name: 'subjects of ccompat v7', request: { path: '/ccompat/v7/subjects' }, judge: isOk },
    { name: 'a dry run of a write', request: dryRun, judge: isOk },
    ...(access.hasCredentials
      ? [{ name: 'a dry run of a write without credentials', request: dryRun, anonymous: true, judge: isRefused }]
      : []),
  ];
}

const isOk = (status: number): string | null => (status >= 200 && status < 300 ? null : `answered ${status}`);

const isRefused = (status: number): string | null =>
  status === 401 || status === 403 ? null : `answered ${status}: anybody may write`;

const isRelease =
  (release: 2 | 3) =>
  (status: number, body: string): string | null => {
    const wrong = isOk(status);
    if (wrong !== null) return wrong;
    const version = /"version"\s*:\s*"([^"]*)"/.exec(body)?.[1] ?? 'none';
    return version.startsWith(`${release}.`) ? null : `release ${version} answered`;
  };

async function bodyOf(api: RegistryApi, path: string, signal: StopSignal): Promise<Buffer | null> {
  return await api.read({ path }, signal, async (answer) => {
    const body = await answer.read(bodyBytesMax);
    return answer.status === 200 && body !== null ? body : null;
  });
}

async function ask(api: RegistryApi, { name, request, keepsBytes = false, judge }: Probe, signal: StopSignal) {
  const startedAtMs = performance.now();
  const outcome = (status: number | null, sha256: string | null, wrong: string | null): ProbeOutcome => {
    const tookMs = Math.round(performance.now() - startedAtMs);
    return { name, status, sha256, wrong, tookMs };
  };
  try {
    if (request.method === 'POST') {
      const { status, body } = await api.send(request, signal);
      return outcome(status, null, judge?.(status, body) ?? brokenBy(status));
    }
    return await api.read(request, signal, async (answer) => {
      const { status } = answer;
      const body = (await answer.read(bodyBytesMax)) ?? Buffer.alloc(0);
      const digest = keepsBytes && status === 200 ? createHash('sha256').update(body).digest('hex') : null;
      return outcome(status, digest, judge?.(status, body.toString('utf8')) ?? brokenBy(status));
    });
  } catch (error) {
    if (!(error instanceof KeyferryError) || signal.aborted) throw error;
    if (error.code === 'store.auth-failed') return outcome(401, null, judge?.(401, '') ?? null);
    return outcome(null, null, error.message);
  }
}

const brokenBy = (status: number): string | null => (status >= 500 ? `answered ${status}` : null);
