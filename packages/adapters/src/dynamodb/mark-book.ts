/**
 * What all marks of a migration say together, by key: whose a record is, and whether the migration deleted it. It lies in
 * a scratch file, because marks grow with the number of records; what was written since it was read lies beside it.
 */
import { keyAfter, type Key, type KeyRange, type RecordOrigin, type Version } from '@keyferry/core';
import { RecordSpool } from '../spool/record-spool.ts';
import type { Connection } from './connection.ts';
import type { ControlItems } from './control-items.ts';
import type { MarkEntry, MarkKind } from './marks.ts';
import { readMarks, takeInventory } from './read-marks.ts';

/** Two lists in one: of what was written, and of what was deleted and put back. Each knows the newest entry of a key. */
type List = 'written' | 'gone';
const listOf = (kind: MarkKind): List => (kind === 'gone' || kind === 'back' ? 'gone' : 'written');
const letters = { written: 'w', gone: 'g' } as const;

/** Entries beside the file, before it is better to read the marks anew. */
const besideMax = 250_000;

export class MarkBook {
  private readonly spool: RecordSpool;
  private readonly beside = new Map<string, MarkEntry>();

  private constructor(spool: RecordSpool) {
    this.spool = spool;
  }

  static async read(connection: Connection, control: ControlItems): Promise<MarkBook> {
    const spool = new RecordSpool();
    try {
      const { marks } = await takeInventory(connection, control);
      for await (const entries of readMarks(connection, control, marks)) {
        // Newest first, and the spool keeps the first of a key.
        for (const entry of entries) {
          const { key, kind, version } = entry;
          const value = Buffer.from(kind);
          spool.add({ key: placeOf(key, listOf(kind)), value, version: version ?? ('' as Version), expiresAtMs: null });
        }
      }
      await spool.seal();
      return new MarkBook(spool);
    } catch (error) {
      spool.close();
      throw error;
    }
  }

  /** Room for more of what is written now; without it, read the marks anew. */
  get hasRoom(): boolean {
    return this.beside.size < besideMax;
  }

  note(entries: readonly MarkEntry[]): void {
    for (const entry of entries) this.beside.set(placeOf(entry.key, listOf(entry.kind)), entry);
  }

  /** Whose a record is that is at `version` now. */
  async originOf(key: Key, version: Version): Promise<RecordOrigin> {
    const entry = await this.find(key, 'written');
    if (entry === null || entry.version !== version) return 'foreign';
    return entry.kind === 'created' ? 'created' : 'overwritten';
  }

  async wasDeleted(key: Key): Promise<boolean> {
    return (await this.find(key, 'gone'))?.kind === 'gone';
  }

  /** What was created and nothing but created, in pages; whether it is still there is not known here. */
  async *created(range: KeyRange, pageKeysMax: number): AsyncGenerator<readonly MarkEntry[]> {
    const start = placeOf(range.start, 'written');
    const places = { start, end: range.end === null ? behindWritten : placeOf(range.end, 'written') };
    for await (const { records } of this.spool.scan(places, { pageKeysMax })) {
      const entries = records.map(({ key, value, version }) => entryAt(key, value, version));
      yield entries.filter(({ kind }) => kind === 'created');
    }
  }

  close(): void {
    this.spool.close();
  }

  private async find(key: Key, list: List): Promise<MarkEntry | null> {
    const place = placeOf(key, list);
    const beside = this.beside.get(place);
    if (beside !== undefined) return beside;
    for await (const { records } of this.spool.scan({ start: place, end: keyAfter(place) }, { pageKeysMax: 1 })) {
      for (const { value, version } of records) return entryAt(place, value, version);
    }
    return null;
  }
}

const placeOf = (key: Key, list: List): Key => `${letters[list]}${key}` as Key;

/** The first place behind all that was written. */
const behindWritten = String.fromCharCode(letters.written.charCodeAt(0) + 1) as Key;

function entryAt(place: Key, value: Uint8Array, version: Version): MarkEntry {
  const kind = Buffer.from(value).toString() as MarkKind;
  return { key: place.slice(1) as Key, kind, version: version === '' ? null : version };
}
