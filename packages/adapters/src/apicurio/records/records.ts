/**
 * Records: what a registry holds, in one form for both releases, for archives and for the REST API, so that any two can be held
 * against each other.
 *
 * Instants are whole seconds, as the API says no more. A user that is not known is null, as 2.6 has it as an empty text. Labels
 * of 2.6 are keys without a value, and a property wins over a label of its name, as 3.x has both in one.
 */
import { keyFromText, type Key, type RegistryKind } from '@keyferry/core';

export type Json = null | string | number | boolean | readonly Json[] | { readonly [member: string]: Json };
export type RecordBody = { readonly [field: string]: Json };

export interface RegistryRecord {
  readonly kind: RegistryKind;
  /** What names it among its kind: group and artifact, ids. */
  readonly parts: readonly string[];
  readonly body: RecordBody;
}

export interface Named {
  readonly groupId: string | null;
  readonly artifactId: string;
}

/** As URLs and records have the group of none. */
export const defaultGroup = 'default';

export type Labels = Readonly<Record<string, string | null>>;

export interface VersionFacts extends Named {
  readonly version: string;
  readonly globalId: number;
  readonly contentId: number;
  readonly type: string | null;
  readonly state: string | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly owner: string | null;
  readonly createdOn: string | number;
  readonly labels: Labels;
}

export interface ReferenceFacts extends Named {
  readonly version: string | null;
  readonly name: string;
}

const group = (groupId: string | null): string => groupId ?? defaultGroup;

export function versionRecord(facts: VersionFacts): RegistryRecord {
  const { groupId, artifactId, version, owner, createdOn, labels, globalId, contentId, type, state } = facts;
  const body = {
    globalId,
    contentId,
    type,
    state: state ?? 'ENABLED',
    name: facts.name,
    description: facts.description,
    owner: userOf(owner),
    createdOn: secondsOf(createdOn),
    labels: sortedLabels(labels),
  };
  return { kind: 'version', parts: [group(groupId), artifactId, version], body };
}

export function artifactRecord({ groupId, artifactId }: Named, body: RecordBody): RegistryRecord {
  return { kind: 'artifact', parts: [group(groupId), artifactId], body };
}

/** The row of an artifact in 3.x; 2.6 has none of its own. */
export function artifactFacts({
  type,
  name,
  description,
  owner,
  labels,
}: Pick<VersionFacts, 'type' | 'name' | 'description' | 'owner' | 'labels'>): RecordBody {
  return { type, name, description, owner: userOf(owner), labels: sortedLabels(labels) };
}

/** @param sha256 over the bytes alone */
export function contentRecord(
  contentId: number,
  { bytes, sha256, references }: { bytes: number; sha256: string; references: readonly ReferenceFacts[] },
): RegistryRecord {
  const facts = references.map(({ groupId, artifactId, version, name }) => ({
    group: group(groupId),
    artifact: artifactId,
    version,
    name,
  }));
  return { kind: 'content', parts: [String(contentId)], body: { bytes, sha256, references: facts } };
}

export function groupRecord(
  groupId: string,
  { description, owner, createdOn, labels }: Pick<VersionFacts, 'description' | 'owner' | 'createdOn' | 'labels'>,
): RegistryRecord {
  const body = { description, owner: userOf(owner), createdOn: secondsOf(createdOn), labels: sortedLabels(labels) };
  return { kind: 'group', parts: [groupId], body };
}

export function commentRecord(
  globalId: number,
  commentId: string,
  { value, owner, createdOn }: { value: string | null; owner: string | null; createdOn: string | number },
): RegistryRecord {
  const body = { value, owner: userOf(owner), createdOn: secondsOf(createdOn) };
  return { kind: 'comment', parts: [String(globalId), commentId], body };
}

/** @param parts group, artifact and type; group and type; or the type alone */
export function ruleRecord(parts: readonly string[], config: string | null): RegistryRecord {
  const kinds = { 1: 'globalRule', 2: 'groupRule', 3: 'artifactRule' } as const;
  return { kind: kinds[parts.length as 1 | 2 | 3], parts, body: { config: config ?? '' } };
}

/** @param versions the oldest first */
export function branchRecord(
  { groupId, artifactId }: Named,
  branchId: string,
  versions: readonly string[],
): RegistryRecord {
  return { kind: 'branch', parts: [group(groupId), artifactId, branchId], body: { versions } };
}

/** @returns labels of 2.6 as 3.x has them */
export function mergedLabels(labels: readonly string[], properties: Readonly<Record<string, string | null>>): Labels {
  return { ...Object.fromEntries(labels.map((label) => [label, null])), ...properties };
}

export function keyOf({ kind, parts }: Pick<RegistryRecord, 'kind' | 'parts'>): Key {
  return keyFromText([kind, ...parts.map((part) => encodeURIComponent(part.toWellFormed()))].join('/'));
}

export function partsOf(key: string): Pick<RegistryRecord, 'kind' | 'parts'> {
  const [kind = '', ...parts] = key.split('/');
  return { kind: kind as RegistryKind, parts: parts.map(decodeURIComponent) };
}

/** For people: `group/artifact:version`, `group/artifact`, `group/artifact TYPE`, an id. */
export function nameOf({ kind, parts }: Pick<RegistryRecord, 'kind' | 'parts'>): string {
  const [first = '', second = '', third = ''] = parts;
  if (kind === 'version') return `${first}/${second}:${third}`;
  if (kind === 'artifactRule' || kind === 'branch') return `${first}/${second} ${third}`;
  if (kind === 'groupRule') return `${first} ${second}`;
  return parts.join('/');
}

/** A text as it is; anything else as JSON. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

/** Null: nobody is known, which is an empty text in both releases. */
export function userOf(user: string | null): string | null {
  return user === '' ? null : user;
}

/** @param instant milliseconds since 1970, or as either release writes it: `2026-11-28T04:38:40+0000`, `…40Z` */
export function secondsOf(instant: string | number): number {
  const text = typeof instant === 'string' ? instant.replace(/([+-]\d{2})(\d{2})$/, '$1:$2') : instant;
  return Math.floor(new Date(text).getTime() / 1000);
}

function sortedLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
