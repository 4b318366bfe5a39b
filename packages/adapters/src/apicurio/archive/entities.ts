/**
 * What an export of Apicurio Registry 2.x holds, entity by entity, and how one is read from its JSON. A field that is there
 * is checked for its type; names of entries are never believed, as the servers do not write ids into them safely.
 */
import * as z from 'zod';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? null);
/** Before 2.6 an instant could be missing. */
const instant = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);
const id = z.int();

const manifest = z.object({ systemVersion: text, exportVersion: text, exportedOn: instant, exportedBy: text });

const reference = z.object({ groupId: text, artifactId: z.string(), version: text, name: z.string() });

const content = z.object({
  contentId: id,
  contentHash: z.string(),
  canonicalHash: text,
  artifactType: text,
  serializedReferences: text,
});

const group = z.object({
  groupId: z.string(),
  description: text,
  createdBy: text,
  createdOn: instant,
  properties: z
    .record(z.string(), z.string().nullable())
    .nullish()
    .transform((value) => value ?? {}),
});

const version = z.object({
  globalId: id,
  groupId: text,
  artifactId: z.string(),
  version: z.string(),
  versionId: id,
  artifactType: text,
  state: text,
  name: text,
  description: text,
  createdBy: text,
  createdOn: instant,
  labels: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
  properties: z
    .record(z.string(), z.string().nullable())
    .nullish()
    .transform((value) => value ?? {}),
  isLatest: z
    .boolean()
    .nullish()
    .transform((value) => value ?? false),
  contentId: id,
});

const artifactRule = z.object({ groupId: text, artifactId: z.string(), type: z.string(), configuration: text });
const globalRule = z.object({ ruleType: z.string(), configuration: text });
const comment = z.object({ globalId: id, commentId: z.string(), createdBy: text, createdOn: instant, value: text });

/** By the word that the second last part of an entry's name is: `X.Comment.json`. */
export const entitySchemas = {
  Manifest: manifest,
  Content: content,
  Group: group,
  ArtifactVersion: version,
  ArtifactRule: artifactRule,
  GlobalRule: globalRule,
  Comment: comment,
} as const;

export type EntityKind = keyof typeof entitySchemas;
export type Entity<K extends EntityKind> = z.infer<(typeof entitySchemas)[K]>;

export const references = z.array(reference);
export type ContentReference = z.infer<typeof reference>;

/** An entity, and the entry that it stands in. */
export type Entry<K extends EntityKind> = Entity<K> & { readonly entry: string };

export type ArchivedVersion = Entry<'ArtifactVersion'>;

export interface ArchivedContent extends Entry<'Content'> {
  readonly bytes: number;
  /** Over the bytes alone. */
  readonly sha256: string;
  /** SHA-256 as 3.x computes it: over the bytes, and the references where there are some. */
  readonly recomputedHash: string;
  readonly references: readonly ContentReference[];
  /** What a JSON document it is, for those that the importer takes for something else; null: anything else. */
  readonly takenFor: string | null;
}

/** Group and artifact, as people write them; the group of none is called `default`. */
export function artifactName({
  groupId,
  artifactId,
}: {
  readonly groupId: string | null;
  readonly artifactId: string;
}) {
  return `${groupId ?? 'default'}/${artifactId}`;
}

export function versionName(of: Pick<ArchivedVersion, 'groupId' | 'artifactId' | 'version'>): string {
  return `${artifactName(of)}/${of.version}`;
}
