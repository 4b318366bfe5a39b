/**
 * What an export of 2.6 leaves out, read by its API: roles, dynamic configuration, owners of artifacts, and what 3.x takes of
 * no archive although it is in one (properties of groups, a latest version that is not the newest).
 */
import type { BesidesArchive, StopSignal } from '@keyferry/core';
import * as z from 'zod';
import { Lanes } from '../../lanes.ts';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import * as shapes from '../api/shapes.ts';
import { isMisspeltDefault } from '../foresee/foresee-import.ts';
import { defaultGroup } from '../records/records.ts';
import { lanesMax, listArtifacts, listGroups, listVersions, type Artifact2, type Version2 } from './walk.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** What a 2.6 has by itself: a setting that says so was set by nobody, or to what it is anyway. */
const defaults: Readonly<Record<string, string>> = { 'registry.download.href.ttl': '30' };
const flagDefault = 'false';

/** Values of these are for nobody's file. */
const secret = /password|secret|token|credential(?!s\.)|private/i;

export async function readBesides(api: RegistryApi, signal: StopSignal): Promise<BesidesArchive> {
  const besides: Mutable<BesidesArchive> = {
    roles: [],
    settings: [],
    owners: [],
    groupLabels: [],
    latestOrders: [],
    unreadable: [],
  };
  await readRoles(api, besides, signal);
  await readSettings(api, besides, signal);
  const lanes = new Lanes(lanesMax);
  await lanes.untilFailed(await listGroups(api, signal), async (group) => {
    const { properties } = await api.get(`/groups/${pathPart(group)}`, shapes.group2, signal);
    const labels = Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, value ?? '']));
    if (Object.keys(labels).length > 0) besides.groupLabels.push({ group, labels });
  });
  await lanes.untilFailed(await listArtifacts(api, signal), (artifact) => readArtifact(api, artifact, besides, signal));
  return sorted(besides);
}

async function readRoles(api: RegistryApi, besides: Mutable<BesidesArchive>, signal: StopSignal): Promise<void> {
  // 403 without a word is its answer where roles do not come from the application.
  const roles = await api.getUnless('/admin/roleMappings', shapes.roles2, signal, ({ status }) => status === 403);
  if (roles === null) {
    const why = 'it answers 403: roles come from tokens or are off, or this user is no administrator';
    besides.unreadable.push({ what: 'roles', why });
    return;
  }
  besides.roles.push(
    ...roles.map(({ principalId: principal, principalName: name, role }) => ({ principal, name, role })),
  );
}

async function readSettings(api: RegistryApi, besides: Mutable<BesidesArchive>, signal: StopSignal): Promise<void> {
  for (const { name, value } of await api.get('/admin/config/properties', shapes.settings, signal)) {
    if (value === null || value === (defaults[name] ?? flagDefault)) continue;
    if (secret.test(name)) besides.unreadable.push({ what: `setting ${name}`, why: 'its value is a secret' });
    else besides.settings.push({ name, value });
  }
}

async function readArtifact(
  api: RegistryApi,
  artifact: Artifact2,
  besides: Mutable<BesidesArchive>,
  signal: StopSignal,
): Promise<void> {
  const { groupId, artifactId } = artifact;
  const [path, group] = [shapes.artifactPath(artifact), groupId ?? defaultGroup];
  if (isMisspeltDefault(groupId)) {
    besides.unreadable.push({ what: `owner of ${group}/${artifactId}`, why: 'no path of its API leads there' });
    return;
  }
  const owner = await api.getOrNull(`${path}/owner`, shapes.owner2, signal);
  if (owner === null) {
    const why = 'it tells no owner of an artifact whose versions are all DISABLED';
    besides.unreadable.push({ what: `owner of ${group}/${artifactId}`, why });
  } else besides.owners.push({ group, artifact: artifactId, owner: owner.owner ?? '' });
  const versions = await listVersions(api, artifact, signal);
  const order = versions.toSorted((a, b) => a.globalId - b.globalId);
  const meta = await api.getOrNull(`${path}/meta`, z.object({ version: z.string() }), signal);
  const latest = order.find(({ version }) => version === meta?.version);
  // 2.6 shows the newest one that is not DISABLED where the latest is: that is no other order.
  if (latest === undefined || order.slice(order.indexOf(latest) + 1).every(isDisabled)) return;
  const others = order.filter((version) => version !== latest);
  besides.latestOrders.push({
    group,
    artifact: artifactId,
    versions: [...others, latest].map(({ version }) => version),
  });
}

function isDisabled({ state }: Version2): boolean {
  return state === 'DISABLED';
}

/** Requests end in any order; a file that is written twice is the same twice. */
function sorted(besides: BesidesArchive): BesidesArchive {
  const by = <T>(list: readonly T[], textOf: (each: T) => string): readonly T[] =>
    list.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  const ofArtifact = ({ group, artifact }: { readonly group: string; readonly artifact: string }) =>
    `${group}/${artifact}`;
  return {
    roles: by(besides.roles, ({ principal }) => principal),
    settings: by(besides.settings, ({ name }) => name),
    owners: by(besides.owners, ofArtifact),
    groupLabels: by(besides.groupLabels, ({ group }) => group),
    latestOrders: by(besides.latestOrders, ofArtifact),
    unreadable: by(besides.unreadable, ({ what }) => what),
  };
}
