/**
 * Opens a plan file: everything in it is checked before anything of it is believed.
 *
 * Format and version first, then the set of entries, then the SHA-256 of each, then the documents' own shape and the
 * number of rows. Rows are not kept: they are streamed again from the same open file whenever they are asked for, and
 * hashed once more on the way, because a file can be written over in place.
 */
import { createHash } from 'node:crypto';
import {
  KeyferryError,
  planFormat,
  planFormatVersion,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanReader,
} from '@keyferry/core';
import type { PlanConfig } from '../config/resolved-config.ts';
import {
  configSchema,
  contentEntries,
  fileInvalid,
  manifestEntry,
  manifestSchema,
  planSchema,
  versionOf,
  type Manifest,
} from './format.ts';
import { readRowPages } from './row-pages.ts';
import { ZipEntries } from '../zip/zip-entries.ts';

export interface PlanFileReader extends PlanReader {
  /** What the plan was made with; secrets are in it as references. */
  readonly config: PlanConfig;
  close(): Promise<void>;
}

/** @throws {KeyferryError} `plan.file-invalid` with why; `file.unreadable` when the file is not there or not to be read. */
export async function openPlanFile(path: string): Promise<PlanFileReader> {
  return await judged(path, async () => {
    const zip = await ZipEntries.open(path, { refuse: (why) => fileInvalid(path, why) });
    try {
      const manifest = readManifest(path, await zip.readDocument(manifestEntry));
      assertEntries(path, manifest, zip.names);
      const plan = readPlan(path, await verifiedDocument(path, zip, manifest, 'plan.json'));
      const config = readConfig(path, await verifiedDocument(path, zip, manifest, 'config.json'));
      const rows = { 'changes.ndjson': plan.changesListed, 'chunks.ndjson': plan.chunks };
      for (const name of Object.keys(manifest.entries)) {
        const { sha256, bytes, lines } = await digestOf(zip, name);
        assertDigest(path, manifest, name, { sha256, bytes });
        const expected = rows[name as keyof typeof rows];
        if (expected !== undefined && expected !== lines) {
          throw fileInvalid(path, `${name} has ${lines} rows, and the plan says ${expected}`);
        }
      }
      return new OpenPlanFile(path, zip, manifest, plan, config);
    } catch (error) {
      zip.close();
      throw error;
    }
  });
}

class OpenPlanFile implements PlanFileReader {
  readonly plan: PlanDocument;
  readonly config: PlanConfig;
  private readonly path: string;
  private readonly zip: ZipEntries;
  private readonly manifest: Manifest;

  constructor(path: string, zip: ZipEntries, manifest: Manifest, plan: PlanDocument, config: PlanConfig) {
    this.path = path;
    this.zip = zip;
    this.manifest = manifest;
    this.plan = plan;
    this.config = config;
  }

  readChanges(): AsyncIterable<readonly PlannedChange[]> {
    return this.readRows<PlannedChange>('changes.ndjson');
  }

  readChunks(): AsyncIterable<readonly PlannedChunk[]> {
    return this.readRows<PlannedChunk>('chunks.ndjson');
  }

  async close(): Promise<void> {
    this.zip.close();
  }

  private async *readRows<Row extends object>(name: string): AsyncGenerator<readonly Row[]> {
    const { path } = this;
    const hash = createHash('sha256');
    let bytes = 0;
    const parse = (line: string): Row => {
      const row = parseJson(path, name, line);
      if (!isRow(row)) throw fileInvalid(path, `${name} has a line that is not a row`);
      return row as object as Row;
    };
    const see = (piece: Buffer): void => {
      hash.update(piece);
      bytes += piece.length;
    };
    const stream = await judged(path, () => this.zip.stream(name));
    const pages = readRowPages(stream, parse, see);
    try {
      for (;;) {
        const page = await judged(path, () => pages.next());
        if (page.done === true) break;
        yield page.value;
      }
    } finally {
      await pages.return(undefined);
    }
    assertDigest(path, this.manifest, name, { bytes, sha256: hash.digest('hex') });
  }
}

function readManifest(path: string, bytes: Buffer): Manifest {
  const json = parseJson(path, manifestEntry, bytes.toString('utf8'));
  const { format, formatVersion } = (json ?? {}) as { readonly format?: unknown; readonly formatVersion?: unknown };
  if (format !== planFormat || typeof formatVersion !== 'string') throw fileInvalid(path, 'it is not a plan file');
  const known = versionOf(planFormatVersion);
  if (versionOf(formatVersion).major !== known.major) {
    throw fileInvalid(path, `it has format ${formatVersion}, and this version reads ${known.major}.x`);
  }
  return shaped(path, manifestEntry, manifestSchema, json);
}

/** Exactly the known entries; a newer minor version may have more, when its manifest vouches for them. */
function assertEntries(path: string, manifest: Manifest, names: readonly string[]): void {
  const expected: readonly string[] = contentEntries;
  const listed = Object.keys(manifest.entries);
  const absent = expected.find((name) => !listed.includes(name) || !names.includes(name));
  if (absent !== undefined) throw fileInvalid(path, `${absent} is missing`);
  const newer = versionOf(manifest.formatVersion).minor > versionOf(planFormatVersion).minor;
  const allowed = newer ? listed : expected;
  const stray = [...names, ...listed].find((name) => name !== manifestEntry && !allowed.includes(name));
  if (stray !== undefined) throw fileInvalid(path, `it holds an entry that does not belong to it: ${stray}`);
}

function readPlan(path: string, bytes: Buffer): PlanDocument {
  const json = parseJson(path, 'plan.json', bytes.toString('utf8'));
  return shaped(path, 'plan.json', planSchema, json) as object as PlanDocument;
}

function readConfig(path: string, bytes: Buffer): PlanConfig {
  const json = parseJson(path, 'config.json', bytes.toString('utf8'));
  return shaped(path, 'config.json', configSchema, json) as object as PlanConfig;
}

async function verifiedDocument(path: string, zip: ZipEntries, manifest: Manifest, name: string): Promise<Buffer> {
  const bytes = await zip.readDocument(name);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assertDigest(path, manifest, name, { bytes: bytes.length, sha256 });
  return bytes;
}

async function digestOf(zip: ZipEntries, name: string) {
  const hash = createHash('sha256');
  let [bytes, lines] = [0, 0];
  for await (const piece of zip.pieces(name)) {
    hash.update(piece);
    bytes += piece.length;
    for (let at = piece.indexOf(0x0a); at !== -1; at = piece.indexOf(0x0a, at + 1)) lines += 1;
  }
  return { bytes, lines, sha256: hash.digest('hex') };
}

function assertDigest(path: string, manifest: Manifest, name: string, found: Manifest['entries'][string]): void {
  const stated = manifest.entries[name];
  if (stated === undefined || stated.sha256 !== found.sha256 || stated.bytes !== found.bytes) {
    throw fileInvalid(path, `${name} is not what the manifest says: it was damaged or changed`);
  }
}

const isRow = (row: unknown): row is { readonly chunk: string } =>
  typeof row === 'object' && row !== null && 'chunk' in row && typeof row.chunk === 'string';

function parseJson(path: string, name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fileInvalid(path, `${name} is not JSON`, cause);
  }
}

interface Shape<T> {
  safeParse(
    json: unknown,
    /** Without compiling a parser first, which takes longer than one document. */
    how: { readonly jitless: true },
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { readonly issues: readonly { readonly path: PropertyKey[] }[] } };
}

function shaped<T>(path: string, name: string, shape: Shape<T>, json: unknown): T {
  const result = shape.safeParse(json, { jitless: true });
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.map(String).join('.') ?? '';
  throw fileInvalid(path, `${name} has not the shape of one${where === '' ? '' : ` (at ${where})`}`);
}

/** Gives every failure its code: the filesystem's are about the path, all others about what is in the file. */
async function judged<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KeyferryError) throw error;
    if (error instanceof Error && 'syscall' in error && 'code' in error) {
      throw new KeyferryError('file.unreadable', { file: path, detail: String(error.code) }, { cause: error });
    }
    const what = error instanceof Error ? error.message : String(error);
    throw fileInvalid(path, `it is damaged, cut off or no zip (${what})`, error);
  }
}
