/**
 * Writes export archives as Apicurio Registry 2.6 lays them out, for what a real server does not write: hazards that its
 * older releases and converters left in archives, and damage.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import yazl from 'yazl';

export interface WrittenReference {
  readonly groupId: string | null;
  readonly artifactId: string;
  readonly version: string;
  readonly name: string;
}

export interface WrittenContent {
  readonly contentId: number;
  readonly text: string;
  readonly references?: readonly WrittenReference[];
  /** Default: what 2.6 computes. */
  readonly contentHash?: string;
}

export interface WrittenVersion {
  readonly globalId: number;
  readonly groupId?: string | null;
  readonly artifactId: string;
  readonly version: string;
  readonly versionId?: number;
  readonly contentId: number;
  readonly artifactType?: string;
  readonly state?: string;
  readonly name?: string | null;
  readonly description?: string | null;
  readonly createdBy?: string;
  readonly labels?: readonly string[] | null;
  readonly properties?: Readonly<Record<string, string>> | null;
  /** Default true. */
  readonly isLatest?: boolean;
}

export interface WrittenArchive {
  /** Default: as 2.6.13 writes it; null: none. */
  readonly manifest?: Readonly<Record<string, unknown>> | null;
  readonly contents?: readonly WrittenContent[];
  readonly versions?: readonly WrittenVersion[];
  readonly groups?: readonly Readonly<Record<string, unknown> & { groupId: string }>[];
  readonly globalRules?: readonly { readonly ruleType: string; readonly configuration: string }[];
  readonly artifactRules?: readonly {
    readonly groupId: string | null;
    readonly artifactId: string;
    readonly type: string;
    readonly configuration: string;
  }[];
  readonly comments?: readonly { readonly globalId: number; readonly commentId: string; readonly value: string }[];
  /** Further entries, by name. */
  readonly others?: Readonly<Record<string, string | Buffer>>;
}

export const writtenAtMs = 1_795_828_705_000;

export async function writeArchive(file: string, archive: WrittenArchive): Promise<string> {
  const zip = new yazl.ZipFile();
  const add = (name: string, body: string | Buffer) => zip.addBuffer(Buffer.from(body), name);
  const entity = (name: string, body: object) => add(name, JSON.stringify(body));
  const { manifest = defaultManifest } = archive;
  if (manifest !== null) entity('manifest-2026-11-28T01:18:25.637Z.Manifest.json', manifest);
  for (const { contentId, text, references = [], contentHash: given } of archive.contents ?? []) {
    const serialized = references.length === 0 ? null : JSON.stringify(references);
    const contentHash =
      given ??
      createHash('sha256')
        .update(text)
        .update(serialized ?? '')
        .digest('hex');
    const canonicalHash = createHash('sha256').update(`canonical ${text}`).digest('hex');
    const body = { contentId, canonicalHash, contentHash, artifactType: null, serializedReferences: serialized };
    // Contents of one hash would be one entry: what an archive has two of has two names.
    const name = `content/${contentHash}${given === undefined ? '' : `-${contentId}`}.Content`;
    entity(`${name}.json`, body);
    add(`${name}.data`, text);
  }
  for (const group of archive.groups ?? []) {
    const rest = { description: null, artifactsType: null, createdBy: 'ada', createdOn: writtenAtMs, modifiedBy: null };
    entity(`groups/${group.groupId}.Group.json`, { ...rest, modifiedOn: 0, properties: null, ...group });
  }
  for (const version of archive.versions ?? []) {
    const filled = {
      groupId: null,
      versionId: 1,
      artifactType: 'AVRO',
      state: 'ENABLED',
      name: null,
      description: null,
      createdBy: 'ada',
      createdOn: writtenAtMs + version.globalId,
      labels: null,
      properties: null,
      isLatest: true,
      ...version,
    };
    const place = `groups/${filled.groupId ?? 'default'}/artifacts/${version.artifactId}/versions/${version.version}`;
    entity(`${place}${version.globalId < 0 ? version.contentId : ''}.ArtifactVersion.json`, filled);
  }
  for (const rule of archive.artifactRules ?? []) {
    entity(
      `groups/${rule.groupId ?? 'default'}/artifacts/${rule.artifactId}/rules/${rule.type}.ArtifactRule.json`,
      rule,
    );
  }
  for (const comment of archive.comments ?? []) {
    const filled = { createdBy: 'ada', createdOn: writtenAtMs, ...comment };
    entity(`comments/${comment.globalId + 45}${comment.commentId}.Comment.json`, filled);
  }
  for (const rule of archive.globalRules ?? []) entity(`rules/${rule.ruleType}.GlobalRule.json`, rule);
  for (const [name, body] of Object.entries(archive.others ?? {})) add(name, body);
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(file));
  return file;
}

/** Copies an archive entry by entry. @param change gives an entry's new body; null: it is left out */
export async function rewriteArchive(
  file: string,
  into: string,
  change: (name: string, body: Buffer) => Buffer | null,
): Promise<void> {
  const source = await yauzl.openPromise(file, { autoClose: false, lazyEntries: true, strictFileNames: false });
  const zip = new yazl.ZipFile();
  for await (const entry of source.eachEntry()) {
    const body = change(entry.fileName, await buffer(await source.openReadStreamPromise(entry)));
    if (body !== null) zip.addBuffer(body, entry.fileName);
  }
  source.close();
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(into));
}

const defaultManifest = {
  systemVersion: '2.6.13.Final',
  systemName: 'apicurio-registry',
  systemDescription: 'High performance, runtime registry for schemas and API designs.',
  exportVersion: '1.0',
  exportedOn: writtenAtMs,
  exportedBy: 'ada',
};
