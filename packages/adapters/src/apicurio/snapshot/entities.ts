/** What an export of 3.x holds, entity by entity, with the names of its fields; the form is that of 2.6 (../archive/entities.ts). */
import * as z from 'zod';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? null);
const instant = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);
const labels = z
  .record(z.string(), z.string().nullable())
  .nullish()
  .transform((value) => value ?? {});
const artifact = { groupId: text, artifactId: z.string() };

export const snapshotSchemas = {
  Manifest: z.object({ systemVersion: text, exportVersion: text }),
  Content: z.object({
    contentId: z.int(),
    contentHash: z.string(),
    canonicalHash: text,
    contentType: text,
    serializedReferences: text,
  }),
  Group: z.object({ groupId: z.string(), description: text, owner: text, createdOn: instant, labels }),
  Artifact: z.object({ ...artifact, artifactType: text, name: text, description: text, owner: text, labels }),
  ArtifactVersion: z.object({
    ...artifact,
    version: z.string(),
    globalId: z.int(),
    contentId: z.int(),
    versionOrder: z.int(),
    state: text,
    name: text,
    description: text,
    owner: text,
    createdOn: instant,
    labels,
  }),
  ArtifactRule: z.object({ ...artifact, type: z.string(), configuration: text }),
  GroupRule: z.object({ groupId: z.string(), type: z.string(), configuration: text }),
  GlobalRule: z.object({ ruleType: z.string(), configuration: text }),
  Comment: z.object({ globalId: z.int(), commentId: z.string(), owner: text, createdOn: instant, value: text }),
  Branch: z.object({ ...artifact, branchId: z.string(), versions: z.array(z.string()) }),
} as const;

export type SnapshotKind = keyof typeof snapshotSchemas;
export type SnapshotFacts<K extends SnapshotKind> = z.infer<(typeof snapshotSchemas)[K]>;

/** One of them, and the entry that it stands in. */
export type SnapshotEntity = {
  [K in SnapshotKind]: { readonly kind: K; readonly entry: string; readonly facts: SnapshotFacts<K> };
}[SnapshotKind];
