/**
 * A file as a target: written whole or not at all, and once.
 *
 *     put ──► staging beside the file ──publish──► the file, for its owner only ──rollback──► nothing, if it is unchanged
 *
 * What is there already is read as any target is, and never replaced: a plan that has something to write then blocks.
 * Until it is published, views show what waits, so that an attempt that was killed goes on where it was.
 */
import { existsSync, rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  compareFences,
  KeyferryError,
  keyAfter,
  prefixRange,
  recordsEqual,
  type BeforeImage,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type ClaimOutcome,
  type CreatedRecord,
  type Fence,
  type GuardedChange,
  type Key,
  type KeyRange,
  type MigrationId,
  type Position,
  type Publication,
  type RaiseOutcome,
  type RecordPage,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type SourceStore,
  type StoreDescription,
  type StoredRecord,
  type StoreView,
  type TargetCapabilities,
  type TargetControl,
  type TargetStore,
} from '@keyferry/core';
import type { SqliteControl } from '../sqlite/target.ts';
import { removeParts, syncFolderOf, writePart, type FillPart } from './new-file.ts';
import { Staging } from './staging.ts';

const everything: KeyRange = prefixRange('' as Key);
const pageKeysMax = 1000;

/** What kind of file it is: how it is read once it is there, and how its content is made. */
export interface WrittenForm {
  readonly capabilities: TargetCapabilities;
  /** As in `StoreDescription`, while the file is not there. */
  readonly kind: string;
  readonly version: string;
  /** Reads the file. Its position is the digest of the content. */
  readonly source: SourceStore;
  /** Writes records, which come in byte order, into the empty file; @returns the position that `source` will see. */
  readonly write: (handle: FileHandle, pages: AsyncIterable<RecordPage>, nowMs: number) => Promise<Position>;
}

export interface WrittenOnceOptions {
  /** The store's name in the configuration. */
  readonly name: string;
  readonly file: string;
  readonly nowMs: () => number;
  readonly form: WrittenForm;
}

export class WrittenOnceTarget implements TargetStore {
  readonly capabilities: TargetCapabilities;
  readonly publication: Publication;
  private readonly options: WrittenOnceOptions;
  private readonly source: SourceStore;
  private readonly staging: Staging;
  /** Of the file, for writers that find it there. */
  private there: Promise<StoreView> | null = null;

  constructor(options: WrittenOnceOptions) {
    const { name, file, nowMs, form } = options;
    this.options = options;
    this.capabilities = form.capabilities;
    this.source = form.source;
    const { unfit, parentKeys, emptyKeys } = this.capabilities;
    this.staging = new Staging({ name, file, nowMs, unfit, parentKeys, emptyKeys });
    this.publication = {
      exists: async () => this.exists(),
      publish: (migration, epoch) => this.publish(migration, epoch),
    };
  }

  /** Says where the file would be while it is not there yet. */
  async describe(): Promise<StoreDescription> {
    if (this.exists()) return await this.source.describe();
    const { kind, version } = this.options.form;
    const endpoints = [basename(this.options.file)];
    return { kind, version, endpoints, members: null, identity: null, viewLocks: null };
  }

  async head(): Promise<Position> {
    return this.exists() ? await this.source.head() : this.staging.position();
  }

  async openView(range: KeyRange): Promise<StoreView> {
    return this.exists() ? await this.source.openView(range) : this.staging.openView(range);
  }

  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    if (!this.exists()) return this.staging.count(range ?? everything, max);
    const view = await this.source.openView(range ?? everything);
    try {
      let count = 0;
      for await (const { records } of view.scan(range ?? everything, { pageKeysMax })) {
        count += records.length;
        if (count >= max) break;
      }
      return Math.min(count, max);
    } finally {
      await view.close();
    }
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    return this.exists() ? await this.lookUpThere(keys) : this.staging.lookUp(keys);
  }

  control(migration: MigrationId): TargetControl {
    const { source, staging, options } = this;
    return new WrittenOnceControl({
      migration,
      source,
      staging,
      file: options.file,
      staged: staging.control(migration),
      exists: () => this.exists(),
      lookUp: (keys) => this.lookUpThere(keys),
    });
  }

  async close(): Promise<void> {
    await (await this.there?.catch(() => null))?.close();
    this.there = null;
    this.staging.close();
    await this.source.close();
  }

  private exists(): boolean {
    return existsSync(this.options.file);
  }

  private async publish(migration: MigrationId, epoch: Fence): Promise<void> {
    const { staging, options } = this;
    const { file, form, nowMs } = options;
    await assertEpoch(staging.control(migration), migration, epoch);
    if (await this.isPublished(migration)) return;
    if (this.exists()) {
      if (!staging.hasPut(migration)) return;
      throw new KeyferryError('target.exists', { store: options.name, what: file });
    }
    const fill: FillPart = (handle) => form.write(handle, staging.putBy(migration, pageKeysMax), nowMs());
    const part = await writePart(file, fill);
    try {
      staging.write((connection) => {
        staging.control(migration).assertEpoch(connection, epoch);
        staging.setPublished(connection, migration, { phase: 'writing', digest: part.digest });
      });
      // Under the lock of the staging, so that the epoch cannot be raised between the look at it and the link.
      const isNew = staging.write((connection) => {
        staging.control(migration).assertEpoch(connection, epoch);
        return part.publish();
      });
      if (!isNew) throw new KeyferryError('target.exists', { store: options.name, what: file });
      await syncFolderOf(file);
      this.settle(migration, part.digest);
    } finally {
      await part.remove();
    }
  }

  /** Also where a kill came between the file and the note of it. */
  private async isPublished(migration: MigrationId): Promise<boolean> {
    const row = this.staging.published(migration);
    if (row === null || row.phase === 'written') return row !== null;
    if (!this.exists() || (await this.source.head()) !== row.digest) return false;
    this.settle(migration, row.digest);
    return true;
  }

  private settle(migration: MigrationId, digest: Position): void {
    const { staging } = this;
    staging.write((connection) => {
      staging.setPublished(connection, migration, { phase: 'written', digest });
      staging.forgetPut(connection, migration);
    });
    staging.shrink();
  }

  /** In the file: one pass over the range of the keys, which lie close together in a batch. */
  private async lookUpThere(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    this.there ??= this.source.openView(everything);
    const view = await this.there;
    const sorted = keys.toSorted();
    const [first, last] = [sorted[0], sorted.at(-1)];
    if (first === undefined || last === undefined) return [];
    const found = new Map<Key, StoredRecord | null>(keys.map((key) => [key, null]));
    for await (const { records } of view.scan({ start: first, end: keyAfter(last) }, { pageKeysMax })) {
      for (const record of records) if (found.has(record.key)) found.set(record.key, record);
    }
    return keys.map((key) => found.get(key) ?? null);
  }
}

interface ControlContext {
  readonly migration: MigrationId;
  readonly file: string;
  readonly source: SourceStore;
  readonly staging: Staging;
  readonly staged: SqliteControl;
  readonly exists: () => boolean;
  /** In the file, once it is there. */
  readonly lookUp: (keys: readonly Key[]) => Promise<readonly (StoredRecord | null)[]>;
}

class WrittenOnceControl implements TargetControl {
  private readonly context: ControlContext;

  constructor(context: ControlContext) {
    this.context = context;
  }

  readEpoch(): Promise<Fence | null> {
    return this.context.staged.readEpoch();
  }

  raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    return this.context.staged.raiseEpoch(epoch);
  }

  readFence(chunk: ChunkId): Promise<Fence | null> {
    return this.context.staged.readFence(chunk);
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const claimed = await this.context.staged.claimChunk(chunk, fence, epoch);
    if (claimed.kind === 'refused' || !this.context.exists()) return claimed;
    return { kind: 'claimed', writer: this.comparer() };
  }

  /** Of a file that is as it was written, all that it holds; of one that was changed since, nothing. */
  async *listCreated(range: KeyRange, options: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { source, staged, exists } = this.context;
    const digest = await this.publishedAs();
    if (digest === null) {
      yield* staged.listCreated(range, options);
      return;
    }
    // The digest first: what was changed may be nothing that a view could be opened of.
    if (!exists() || (await source.head()) !== digest) return;
    const view = await source.openView(range);
    try {
      if (view.position !== digest) return;
      for await (const { records } of view.scan(range, options)) {
        if (records.length > 0) yield records.map(({ key, version }) => ({ key, version }));
      }
    } finally {
      await view.close();
    }
  }

  /** A file is removed as it was written: whole. The first records take all others with them, which are `absent` then. */
  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const { source, staging, staged, migration, file, exists } = this.context;
    const digest = await this.publishedAs();
    if (digest === null || records.length === 0) return await staged.removeCreated(records, epoch);
    await assertEpoch(staged, migration, epoch);
    if (!exists()) return records.map(() => 'absent');
    if ((await source.head()) !== digest) return records.map(() => 'changed');
    staging.write((connection) => {
      staged.assertEpoch(connection, epoch);
      rmSync(file);
      staging.setPublished(connection, migration, null);
      staging.forgetPut(connection, migration);
    });
    await syncFolderOf(file);
    return records.map(() => 'removed');
  }

  /** Of a file that is there no record is anybody's own: the migration that wrote it takes it back as a whole. */
  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    const { staged, lookUp, exists } = this.context;
    if (!exists()) return await staged.readBefore(keys);
    return (await lookUp(keys)).map((record) => record && { ...record, origin: 'foreign' });
  }

  /** Nothing is ever overwritten in a file, so nothing has to be put back into one. */
  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    const { staged, migration, lookUp, exists } = this.context;
    if (!exists()) return await staged.restore(restorations, epoch);
    await assertEpoch(staged, migration, epoch);
    const found = await lookUp(restorations.map(({ image }) => image.key));
    return restorations.map(({ image }, i) => {
      const present = found[i] ?? null;
      return present !== null && recordsEqual(present, image) ? 'untouched' : 'changed';
    });
  }

  async dropControl(epoch: Fence): Promise<void> {
    const { staging, staged, migration, file } = this.context;
    await staged.dropControl(epoch);
    staging.write((connection) => staging.setPublished(connection, migration, null));
    staging.shrink();
    await removeParts(file);
  }

  readDone(): Promise<string | null> {
    return this.context.staged.readDone();
  }

  writeDone(marker: string | null, epoch: Fence): Promise<void> {
    return this.context.staged.writeDone(marker, epoch);
  }

  /** The digest of the file that this migration wrote; null when it wrote none, whatever it may have begun. */
  private async publishedAs(): Promise<Position | null> {
    const { source, staging, migration, exists } = this.context;
    const row = staging.published(migration);
    if (row === null || row.phase === 'written') return row?.digest ?? null;
    return exists() && (await source.head()) === row.digest ? row.digest : null;
  }

  /** A writer for a file that is there: it says what it finds, and writes nothing. */
  private comparer(): ChunkWriter {
    const answer = (change: GuardedChange, found: StoredRecord | null): ChangeOutcome => {
      if (found !== null) {
        const equal = change.kind === 'put' && recordsEqual(change, found);
        return { kind: 'present', version: found.version, equal };
      }
      if (change.expect !== 'absent') return { kind: 'missing' };
      return { kind: 'refused', detail: 'the file is there already, and is written once' };
    };
    return {
      write: async (changes) => {
        const found = await this.context.lookUp(changes.map(({ key }) => key));
        return changes.map((change, i) => answer(change, found[i] ?? null));
      },
    };
  }
}

async function assertEpoch(control: SqliteControl, migration: MigrationId, epoch: Fence): Promise<void> {
  const held = await control.readEpoch();
  if (held !== null && compareFences(held, epoch) === 0) return;
  throw new KeyferryError('fence.lost', { chunk: `all of ${migration}` });
}
