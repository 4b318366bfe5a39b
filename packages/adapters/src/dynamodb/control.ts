/** A migration's own items in the table: epoch, fences, marks, done marker; and going back by them. */
import { GetItemCommand, type TransactWriteItem } from '@aws-sdk/client-dynamodb';
import {
  KeyferryError,
  type BeforeImage,
  type ChunkId,
  type ClaimOutcome,
  type CreatedRecord,
  type Fence,
  type Key,
  type KeyRange,
  type RaiseOutcome,
  type RemoveOutcome,
  type Restoration,
  type RestoreOutcome,
  type ScanOptions,
  type TargetControl,
} from '@keyferry/core';
import { DynamoDbChunkWriter } from './chunk-writer.ts';
import { attribute, countAttribute, shardOf } from './control-items.ts';
import type { Step } from './guarded-writes.ts';
import type { Attributes } from './item-text.ts';
import { writesMax, type WriteMode } from './limits.ts';
import { tombstoneAttribute, tombstoneOf } from './mapping.ts';
import { MarkBook } from './mark-book.ts';
import type { MarkEntry } from './marks.ts';
import { takeInventory } from './read-marks.ts';
import { EpochGuard, imageOf, restoreAll } from './restore.ts';
import { scanTable } from './table-scan.ts';
import { assertEpoch, deleteExactly, readItems, type TargetContext } from './target-context.ts';

export interface ControlOptions {
  readonly writeMode: WriteMode;
  readonly segments: number;
}

/** Records of one request, where they are many: those that were created are looked at so many at a time. */
const listedAtOnce = 100;
/** A record that others write again and again. */
const roundsMax = 20;

export class DynamoDbControl implements TargetControl {
  private readonly context: TargetContext;
  private readonly options: ControlOptions;
  private bookRead: Promise<MarkBook> | null = null;
  /** Somebody may still be reading in them. */
  private readonly retired: Promise<MarkBook>[] = [];

  constructor(context: Omit<TargetContext, 'noteMarks'>, options: ControlOptions) {
    this.context = { ...context, noteMarks: (entries) => this.noteMarks(entries) };
    this.options = options;
  }

  async readEpoch(): Promise<Fence | null> {
    const { connection, control } = this.context;
    const [item] = await connection.getMany([control.epoch(0)]);
    return control.fenceOf(item);
  }

  async raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    const { connection, control } = this.context;
    this.forgetBook();
    for (;;) {
      const result = await connection.transact(control.allEpochs().map((key) => control.raiseFence(key, epoch)));
      if (result.kind === 'done') return { kind: 'raised' };
      const current = await this.readEpoch();
      if (current !== null) return { kind: 'refused', current };
    }
  }

  async readFence(chunk: ChunkId): Promise<Fence | null> {
    const { control } = this.context;
    return control.fenceOf(await this.get(control.fence(chunk)));
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { connection, control } = this.context;
    const fenceKey = control.fence(chunk);
    const result = await connection.transact([
      control.checkFence(control.epoch(shardOf(chunk)), epoch),
      control.raiseFence(fenceKey, fence),
      control.noteChunk(chunk),
    ]);
    const [item, held] = await Promise.all([this.get(fenceKey), this.readEpoch()]);
    if (result.kind === 'cancelled') return { kind: 'refused', fence: control.fenceOf(item), epoch: held };
    const marks = Number(item?.[countAttribute(fence.attempt)]?.N ?? 0);
    const readsFirst = this.options.writeMode === 'single';
    return {
      kind: 'claimed',
      writer: new DynamoDbChunkWriter(this.context, { chunk, fence, epoch }, marks, readsFirst),
    };
  }

  /** Marks are read first, then the records that they are about. */
  async *listCreated(range: KeyRange, { pageKeysMax }: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const book = await MarkBook.read(this.context.connection, this.context.control);
    try {
      for await (const entries of book.created(range, Math.min(pageKeysMax, listedAtOnce))) {
        const found = await readItems(
          this.context,
          entries.map(({ key }) => key),
        );
        const own = entries.flatMap(({ key, version }) =>
          version !== null && this.recordIn(found.get(key))?.version === version ? [{ key, version }] : [],
        );
        if (own.length > 0) yield own;
      }
    } finally {
      book.close();
    }
  }

  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const outcomes: RemoveOutcome[] = [];
    const guard = await EpochGuard.open(this.context, epoch);
    for (let at = 0; at < records.length; at += writesMax) {
      outcomes.push(...(await this.removePart(records.slice(at, at + writesMax), guard)));
    }
    return outcomes;
  }

  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    const [found, book] = await Promise.all([readItems(this.context, keys), this.book()]);
    const images: (BeforeImage | null)[] = [];
    for (const key of keys) {
      const record = this.recordIn(found.get(key));
      images.push(record === null ? null : await imageOf(book, record));
    }
    return images;
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    await assertEpoch(this.context, epoch);
    return await restoreAll(this.context, await this.book(), restorations, epoch);
  }

  /**
   * Each only when what it leads to is gone, so that one that was interrupted finds the rest when it is repeated. Nobody
   * writes meanwhile: former workers have another epoch. Tombstones are found by reading the table.
   */
  async dropControl(epoch: Fence): Promise<void> {
    const { connection, control, items } = this.context;
    await assertEpoch(this.context, epoch);
    const { fences, marks } = await takeInventory(connection, control);
    for (const keys of [marks, fences, control.allChunks(), control.allTails()]) await connection.deleteMany(keys);
    const tombstones: Attributes[] = [];
    await scanTable(connection, this.options.segments, (item) => {
      const isOurs = item[tombstoneAttribute]?.S === tombstoneOf(control.migration);
      if (isOurs && items.find(item, 0).kind === 'tombstone') tombstones.push(item);
    });
    for (const item of tombstones) {
      const found = items.find(item, 0);
      const action = found.kind === 'tombstone' ? deleteExactly(items, found.key, item) : null;
      if (action !== null && typeof action !== 'string') await connection.write(action);
    }
    this.forgetBook();
  }

  async readDone(): Promise<string | null> {
    const { control } = this.context;
    return (await this.get(control.done))?.[attribute.body]?.S ?? null;
  }

  async writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const { connection, control } = this.context;
    const table = { TableName: control.table };
    const write: TransactWriteItem =
      marker === null
        ? { Delete: { ...table, Key: control.done } }
        : { Put: { ...table, Item: { ...control.done, [attribute.body]: { S: marker } } } };
    const result = await connection.transact([control.checkFence(control.epoch(0), epoch), write]);
    if (result.kind === 'cancelled') throw new KeyferryError('fence.lost', { chunk: `all of ${control.migration}` });
  }

  async close(): Promise<void> {
    this.forgetBook();
    for (const read of await Promise.allSettled(this.retired)) if (read.status === 'fulfilled') read.value.close();
  }

  private async removePart(records: readonly CreatedRecord[], guard: EpochGuard): Promise<readonly RemoveOutcome[]> {
    const outcomes = Array.from<RemoveOutcome>({ length: records.length });
    let open = [...records.keys()];
    for (let round = 1; open.length > 0; round += 1) {
      const found = await readItems(
        this.context,
        open.map((i) => (records[i] as CreatedRecord).key),
      );
      const sent: { readonly at: number; readonly step: Step }[] = [];
      for (const at of open) {
        const { key, version } = records[at] as CreatedRecord;
        const item = found.get(key) ?? null;
        const record = this.recordIn(item);
        const action = record?.version === version ? deleteExactly(this.context.items, key, item as Attributes) : null;
        if (record === null) outcomes[at] = 'absent';
        else if (action === null || typeof action === 'string' || round > roundsMax) outcomes[at] = 'changed';
        else sent.push({ at, step: { action, entry: null } });
      }
      const results = await this.context.writes.run(
        sent.map(({ step }) => step),
        guard,
      );
      for (const [i, { at }] of sent.entries()) if (results[i] === 'done') outcomes[at] = 'removed';
      open = sent.filter((_, i) => results[i] !== 'done').map(({ at }) => at);
    }
    return outcomes;
  }

  private recordIn(item: Attributes | null | undefined) {
    const found = item === null || item === undefined ? null : this.context.items.find(item, this.context.nowMs());
    return found?.kind === 'record' ? found.record : null;
  }

  private async get(key: Attributes): Promise<Attributes | undefined> {
    const { connection, control } = this.context;
    const input = { TableName: control.table, Key: { ...key }, ConsistentRead: true };
    return (await connection.send((client) => client.send(new GetItemCommand(input)))).Item;
  }

  /** Read once; what this process writes is noted beside it. */
  private async book(): Promise<MarkBook> {
    const known = await this.bookRead?.catch(() => null);
    if (known?.hasRoom === true) return known;
    this.forgetBook();
    this.bookRead = MarkBook.read(this.context.connection, this.context.control);
    return await this.bookRead;
  }

  private noteMarks(entries: readonly MarkEntry[]): void {
    // Whoever waits for it is not told; who noted it has its own answer.
    void this.bookRead?.then((book) => book.note(entries)).catch(() => undefined);
  }

  private forgetBook(): void {
    if (this.bookRead !== null) this.retired.push(this.bookRead);
    this.bookRead = null;
  }
}
