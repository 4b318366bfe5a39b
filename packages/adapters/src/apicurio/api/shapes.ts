/**
 * What the REST APIs of both releases answer, as far as it is read. 2.6 leaves out what is null, and the group of none is
 * absent in both.
 */
import * as z from 'zod';
import { pathPart } from './registry-api.ts';

export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? null);
const labels = z
  .record(z.string(), z.string().nullable())
  .nullish()
  .transform((value) => value ?? {});

export const systemInfo = z.object({ version: z.string() });
export const ruleTypes = z.array(z.string());
export const rule = z.object({ config: text });

export const references = z.array(z.object({ groupId: text, artifactId: z.string(), version: text, name: z.string() }));

const listed = { name: text, createdOn: z.string() };

export const groups2 = z.object({ count: z.int(), groups: z.array(z.object({ id: z.string() })) });
export const group2 = z.object({
  description: text,
  createdBy: text,
  createdOn: z.string(),
  properties: labels,
});
export const artifacts2 = z.object({
  count: z.int(),
  artifacts: z.array(z.object({ ...listed, id: z.string(), groupId: text, type: z.string() })),
});
const version2 = {
  ...listed,
  version: z.string(),
  globalId: z.int(),
  contentId: z.int(),
  type: text,
  state: text,
  description: text,
  createdBy: text,
  labels: z
    .array(z.string())
    .nullish()
    .transform((value) => value ?? []),
  properties: labels,
};
/** The listing says of a version all that its own metadata say (seen on 2.6.13). */
export const versions2 = z.object({ count: z.int(), versions: z.array(z.object(version2)) });
export const versionMeta2 = z.object(version2);
export const owner2 = z.object({ owner: text });
export const comments2 = z.array(
  z.object({ commentId: z.string(), createdBy: text, createdOn: z.string(), value: text }),
);

export const groups3 = z.object({ count: z.int(), groups: z.array(z.object({ groupId: z.string() })) });
export const group3 = z.object({ description: text, owner: text, createdOn: z.string(), labels });
export const artifacts3 = z.object({
  count: z.int(),
  artifacts: z.array(z.object({ groupId: text, artifactId: z.string() })),
});
export const artifact3 = z.object({ name: text, description: text, owner: text, artifactType: text, labels });
export const versions3 = z.object({
  count: z.int(),
  versions: z.array(
    z.object({
      ...listed,
      groupId: text,
      artifactId: z.string(),
      version: z.string(),
      globalId: z.int(),
      contentId: z.int(),
      artifactType: text,
      state: text,
      description: text,
      owner: text,
      labels,
    }),
  ),
});
export const branches3 = z.object({ count: z.int(), branches: z.array(z.object({ branchId: z.string() })) });
export const comments3 = z.array(z.object({ commentId: z.string(), owner: text, createdOn: z.string(), value: text }));
export const role = z.object({ principalId: z.string(), principalName: text, role: z.string() });
export const roles2 = z.array(role);
export const setting = z.object({ name: z.string(), value: text });
export const settings = z.array(setting);

/** `/groups/G/artifacts/A` */
export function artifactPath({ groupId, artifactId }: { groupId: string | null; artifactId: string }): string {
  return `/groups/${pathPart(groupId ?? 'default')}/artifacts/${pathPart(artifactId)}`;
}
