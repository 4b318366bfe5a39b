/**
 * Reads an export of Apicurio Registry 2.x from its zip: every entity in memory, contents as a stream of which only digests
 * and sizes stay. The zip is never unpacked.
 *
 * What does not fit the form is collected and not thrown: an importer meets it too, and the point is to say how.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { KeyferryError } from '@keyferry/core';
import { ZipEntries } from '../../zip/zip-entries.ts';
import { kindTakenFor, lookedAtBytesMax } from './content-kind.ts';
import {
  entitySchemas,
  references as referencesSchema,
  type ArchivedContent,
  type ArchivedVersion,
  type ContentReference,
  type Entity,
  type EntityKind,
  type Entry,
} from './entities.ts';

export interface RegistryArchive {
  readonly file: string;
  readonly bytes: number;
  readonly manifest: Entry<'Manifest'> | null;
  readonly contents: readonly ArchivedContent[];
  readonly groups: readonly Entry<'Group'>[];
  readonly versions: readonly ArchivedVersion[];
  readonly artifactRules: readonly Entry<'ArtifactRule'>[];
  readonly globalRules: readonly Entry<'GlobalRule'>[];
  readonly comments: readonly Entry<'Comment'>[];
  /** What stands in the way of any import. */
  readonly faults: readonly ArchiveFault[];
  readonly sizes: ArchiveSizes;
}

export interface ArchiveFault {
  /** The entry, or the file itself. */
  readonly entry: string;
  readonly detail: string;
}

export interface ArchiveSizes {
  readonly entries: number;
  /** Unpacked. */
  readonly bytes: number;
  readonly largest: { readonly entry: string; readonly bytes: number } | null;
  /** In bytes of UTF-8: a file system takes 255 at most. */
  readonly longestPathPart: { readonly entry: string; readonly bytes: number } | null;
}

/**
 * The three that were read last. A freeze asks for the same ones a dozen times, at seconds each for a large registry, while writers
 * wait: what is imported, what was imported before it, and the export before the freeze, which is another one where archives are
 * repaired.
 */
const atHand: { readonly identity: string; readonly archive: Promise<RegistryArchive> }[] = [];
const atHandMax = 3;
/** A soak of days needs none of them in memory. */
const atHandMs = 10 * 60_000;
let forgetting: NodeJS.Timeout | undefined;

/** One that is replaced or written to meanwhile is read anew. @throws {KeyferryError} `registry.archive-invalid`, `file.unreadable` */
export async function readArchive(file: string): Promise<RegistryArchive> {
  const identity = await identityOf(file);
  const at = atHand.findIndex((each) => each.identity === identity);
  const archive = atHand[at]?.archive ?? readArchiveOnce(file);
  if (at >= 0) atHand.splice(at, 1);
  atHand.unshift({ identity, archive });
  atHand.splice(atHandMax);
  clearTimeout(forgetting);
  forgetting = setTimeout(() => (atHand.length = 0), atHandMs).unref();
  try {
    return await archive;
  } catch (error) {
    const failed = atHand.findIndex((each) => each.archive === archive);
    if (failed >= 0) atHand.splice(failed, 1);
    throw error;
  }
}

async function identityOf(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => null); // who opens it says why it cannot be read
  if (found === null) return file;
  const { ino, size, mtimeNs, ctimeNs } = found;
  return [file, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** For a file that nobody asks for again, and which would push out one that somebody does. @throws as `readArchive` */
export async function readArchiveOnce(file: string): Promise<RegistryArchive> {
  const zip = await openArchive(file);
  try {
    const reader = new ArchiveReader(zip);
    for (const name of zip.names) await reader.take(name);
    return { file, bytes: (await stat(file)).size, ...reader.result() };
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('registry.archive-invalid', { file, why: `it is damaged: ${why}` }, { cause: error });
  } finally {
    zip.close();
  }
}

/** @throws {KeyferryError} `registry.archive-invalid`, `file.unreadable` */
export async function openArchive(file: string): Promise<ZipEntries> {
  const refuse = (why: string, cause?: unknown) =>
    new KeyferryError('registry.archive-invalid', { file, why }, { cause });
  try {
    return await ZipEntries.open(file, { refuse, strictFileNames: false });
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    if (error instanceof Error && 'syscall' in error) {
      throw new KeyferryError('file.unreadable', { file, detail }, { cause: error });
    }
    throw refuse(`it is not a zip that can be read: ${detail}`, error);
  }
}

class ArchiveReader {
  private readonly zip: ZipEntries;
  private readonly manifests: Entry<'Manifest'>[] = [];
  private readonly contents: ArchivedContent[] = [];
  private readonly groups: Entry<'Group'>[] = [];
  private readonly versions: ArchivedVersion[] = [];
  private readonly artifactRules: Entry<'ArtifactRule'>[] = [];
  private readonly globalRules: Entry<'GlobalRule'>[] = [];
  private readonly comments: Entry<'Comment'>[] = [];
  private readonly faults: ArchiveFault[] = [];
  private bytes = 0;
  private largest: ArchiveSizes['largest'] = null;
  private longestPathPart: ArchiveSizes['longestPathPart'] = null;

  constructor(zip: ZipEntries) {
    this.zip = zip;
  }

  async take(name: string): Promise<void> {
    this.measure(name);
    if (!name.endsWith('.json')) return; // data is read beside its content; anything else no importer looks at
    const kind = kindOf(name);
    if (kind === null) {
      this.faults.push({ entry: name, detail: 'it is JSON of no kind that an importer knows, and ends the import' });
      return;
    }
    const entity = await this.parse(name, kind);
    if (entity === null) return;
    const entry = { ...entity, entry: name };
    if (kind === 'Content') await this.takeContent(entry as Entry<'Content'>);
    else (this.listOf(kind) as object[]).push(entry);
  }

  result(): Omit<RegistryArchive, 'file' | 'bytes'> {
    const { manifests, contents, groups, versions, artifactRules, globalRules, comments, faults } = this;
    const { bytes, largest, longestPathPart } = this;
    if (manifests.length > 1)
      faults.push({ entry: manifests[1]?.entry ?? '', detail: 'there is more than one manifest' });
    return {
      manifest: manifests[0] ?? null,
      contents,
      groups,
      versions,
      artifactRules,
      globalRules,
      comments,
      faults,
      sizes: { entries: this.zip.names.length, bytes, largest, longestPathPart },
    };
  }

  private listOf(kind: Exclude<EntityKind, 'Content'>) {
    const lists = {
      Manifest: this.manifests,
      Group: this.groups,
      ArtifactVersion: this.versions,
      ArtifactRule: this.artifactRules,
      GlobalRule: this.globalRules,
      Comment: this.comments,
    };
    return lists[kind];
  }

  private measure(entry: string): void {
    const bytes = this.zip.sizeOf(entry);
    this.bytes += bytes;
    if (bytes > (this.largest?.bytes ?? -1)) this.largest = { entry, bytes };
    for (const part of entry.split('/')) {
      const length = Buffer.byteLength(part);
      if (length > (this.longestPathPart?.bytes ?? -1)) this.longestPathPart = { entry, bytes: length };
    }
  }

  private async parse<K extends EntityKind>(name: string, kind: K): Promise<Entity<K> | null> {
    let json: unknown;
    try {
      json = JSON.parse((await this.zip.readDocument(name)).toString('utf8'));
    } catch (error) {
      if (error instanceof KeyferryError) throw error;
      this.faults.push({ entry: name, detail: 'it is not JSON' });
      return null;
    }
    const parsed = entitySchemas[kind].safeParse(json);
    if (parsed.success) return parsed.data as Entity<K>;
    const [issue] = parsed.error.issues;
    this.faults.push({ entry: name, detail: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it is wrong'}` });
    return null;
  }

  private async takeContent(entity: Entry<'Content'>): Promise<void> {
    const data = entity.entry.replace(/\.json$/, '.data');
    if (!this.zip.has(data)) {
      this.faults.push({ entry: entity.entry, detail: 'the bytes of the content are not in the archive' });
      return;
    }
    const references = this.referencesOf(entity);
    if (references === null) return;
    const hash = createHash('sha256');
    let bytes = 0;
    const head: Buffer[] = [];
    for await (const piece of this.zip.pieces(data)) {
      hash.update(piece);
      bytes += piece.byteLength;
      if (bytes <= lookedAtBytesMax) head.push(piece);
    }
    const sha256 = hash.copy().digest('hex');
    if (references.length > 0) hash.update(JSON.stringify(references));
    const takenFor = bytes > lookedAtBytesMax ? null : kindTakenFor(Buffer.concat(head).toString('utf8'));
    const recomputedHash = hash.digest('hex');
    this.contents.push({ ...entity, bytes, sha256, references, recomputedHash, takenFor });
  }

  private referencesOf({ entry, serializedReferences }: Entry<'Content'>): readonly ContentReference[] | null {
    if (serializedReferences === null || serializedReferences === '') return [];
    try {
      return referencesSchema.parse(JSON.parse(serializedReferences));
    } catch {
      this.faults.push({ entry, detail: 'its references are not a list of group, artifact, version and name' });
      return null;
    }
  }
}

/** The word before `.json`: all that an importer goes by. */
export function kindOf(name: string): EntityKind | null {
  const word = name.split('.').at(-2) ?? '';
  return Object.hasOwn(entitySchemas, word) ? (word as EntityKind) : null;
}
