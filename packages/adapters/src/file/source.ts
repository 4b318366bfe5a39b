/**
 * A file as a source: one that a tool exported, or a saved answer of etcd v2.
 *
 *     file ──read whole, once a view──► spool on disk (sorted, in range) ──► any number of scans
 *
 * A file has no order that could be relied on and no index, so each view reads all of it. Its position is the digest
 * of its content: equal content is the same state, whatever the file is called and whenever it was written.
 */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  KeyferryError,
  keyForDisplay,
  rangeHolds,
  type KeyRange,
  type MemberPosition,
  type Position,
  type SourceStore,
  type StoreCapabilities,
  type StoreDescription,
  type StoredRecord,
  type StoreView,
} from '@keyferry/core';
import { keyTwice, spoolTree } from '../etcd-v2/spool-tree.ts';
import type { RecordSpool } from '../spool/record-spool.ts';
import { openSpooledView } from '../spool/spooled-view.ts';
import { capabilitiesByFormat } from './capabilities.ts';
import { readContent } from './content.ts';
import { LineSplitter } from './lines.ts';
import { LineLocator } from './line-locator.ts';
import { parseRecordLine } from './ndjson.ts';

/** ndjson: a record a line. etcd-v2-json: the body of `GET /v2/keys/?recursive=true`. */
export type FileFormat = 'ndjson' | 'etcd-v2-json';

export interface FileStoreOptions {
  /** The store's name in the configuration. */
  readonly name: string;
  readonly file: string;
  readonly format: FileFormat;
  /** The clock by which an expiry counts as past; asked once a view. */
  readonly nowMs: () => number;
}

/** Half of the longest JavaScript string, which a line has to become. */
const lineBytesMax = 256 * 1024 * 1024;

/** What a format does with the content of a file, piece by piece. */
interface Reader {
  write(piece: Uint8Array): void;
  /** Throws when the content is not whole. */
  end(): void;
}

/**
 * @example
 * const source = openFileStore({ name: 'dump', file: 'config.json', format: 'etcd-v2-json', nowMs: () => Date.now() });
 * const view = await source.openView(prefixRange(keyFromText('/config/')));
 */
export function openFileStore(options: FileStoreOptions): SourceStore {
  return new FileSource(options);
}

class FileSource implements SourceStore {
  readonly capabilities: StoreCapabilities;
  private readonly options: FileStoreOptions;

  constructor(options: FileStoreOptions) {
    this.options = options;
    this.capabilities = capabilitiesByFormat[options.format];
  }

  /** The version says which format and how large. No identity: the position is the content's, wherever the file is. */
  async describe(): Promise<StoreDescription> {
    const { file, format } = this.options;
    const size = await sizeOf(file);
    const version = `${format}, ${size} bytes`;
    return { kind: 'file', version, endpoints: [basename(file)], members: null, identity: null, viewLocks: null };
  }

  head(): Promise<Position> {
    return readContent(this.options.file, () => undefined);
  }

  /** @throws {KeyferryError} `file.record-invalid` for any bad line of the file, also outside of the range. */
  async openView(range: KeyRange): Promise<StoreView> {
    const isLines = this.options.format === 'ndjson';
    const fill = async (spool: RecordSpool): Promise<Position> => {
      const reader = isLines ? this.lines(spool, range) : this.tree(spool, range);
      const position = await readContent(this.options.file, (piece) => reader.write(piece));
      reader.end();
      return position;
    };
    return await openSpooledView(fill, async (key, place) =>
      isLines
        ? this.invalid(place, `the key ${keyForDisplay(key)} is there twice`)
        : this.invalid(await this.lineAt(place), keyTwice(key)),
    );
  }

  readMembers(): Promise<readonly MemberPosition[] | null> {
    return Promise.resolve(null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private tree(spool: RecordSpool, range: KeyRange): Reader {
    const locator = new LineLocator();
    const broken = (detail: string, offset: number): KeyferryError => this.invalid(locator.lineOf(offset), detail);
    const walker = spoolTree({ spool, range, nowMs: this.options.nowMs(), broken });
    return {
      write: (piece) => {
        locator.write(piece);
        walker.write(piece);
      },
      end: () => walker.end(),
    };
  }

  private lines(spool: RecordSpool, range: KeyRange): Reader {
    const nowMs = this.options.nowMs();
    return new LineSplitter(lineBytesMax, {
      line: (line, number) => {
        const content = number === 1 ? withoutMark(line) : line;
        if (isBlank(content)) return;
        const parsed = parseRecordLine(content);
        if ('wrong' in parsed) throw this.invalid(number, parsed.wrong);
        const { record } = parsed;
        if (!rangeHolds(range, record.key)) return;
        put(spool, record, { nowMs, line: number });
      },
      tooLong: (number) => this.invalid(number, `it is longer than ${lineBytesMax} bytes`),
    });
  }

  /** The line of a byte of the content; read once more, since the lines of a tree are nobody's until one is wrong. */
  private async lineAt(offset: number): Promise<number> {
    let line = 1;
    let passed = 0;
    await readContent(this.options.file, (piece) => {
      const before = piece.subarray(0, Math.max(0, offset - passed));
      for (let at = before.indexOf(0x0a); at >= 0; at = before.indexOf(0x0a, at + 1)) line += 1;
      passed += piece.length;
    });
    return line;
  }

  private invalid(line: number, detail: string): KeyferryError {
    return new KeyferryError('file.record-invalid', { file: this.options.file, line, detail });
  }
}

interface LineFound {
  readonly nowMs: number;
  readonly line: number;
}

function put(spool: RecordSpool, record: StoredRecord, { nowMs, line }: LineFound): void {
  const { key, expiresAtMs } = record;
  if (expiresAtMs !== null && expiresAtMs <= nowMs) spool.addNotCarried({ key, reason: 'ttl.expired' }, line);
  else spool.add(record, line);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new KeyferryError('file.unreadable', { file, detail }, { cause: error });
  }
}

/** Some editors put a byte order mark before the first line. */
function withoutMark(line: Uint8Array): Uint8Array {
  return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line;
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
