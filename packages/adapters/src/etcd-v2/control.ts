/**
 * A migration's own keys in etcd v2: epoch, fences, marks, tombstones, notes of deletions; and going back.
 *
 * Each step reads a key and writes it at the index that was read. Nothing spans two keys: a look at the epoch is a look
 * and no guard, which is why the capabilities claim no fencing.
 */
import {
  compareFences,
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
  type SourceStore,
  type TargetControl,
} from '@keyferry/core';
import { EtcdV2ChunkWriter } from './chunk-writer.ts';
import { fenceOf, fenceValue } from './control-keys.ts';
import { IndexRanges } from './index-ranges.ts';
import { directoriesAbove } from './key-form.ts';
import { readMarks } from './read-marks.ts';
import { Origins, restore } from './restore.ts';
import { assertEpoch, indexOf, recordOf, type TargetContext } from './target-context.ts';

export class EtcdV2Control implements TargetControl {
  private readonly context: TargetContext;
  private readonly source: SourceStore;
  private readonly origins: Origins;
  /** Above what was removed here, to be looked at in the end: those that this migration made may be empty now. */
  private readonly directories = new Set<Key>();
  private readonly removed = new IndexRanges();

  constructor(context: TargetContext, source: SourceStore) {
    this.context = context;
    this.source = source;
    this.origins = new Origins(context);
  }

  async readEpoch(): Promise<Fence | null> {
    return (await this.readFenceAt(this.context.keys.epoch)).fence;
  }

  async readFence(chunk: ChunkId): Promise<Fence | null> {
    return (await this.readFenceAt(this.context.keys.fence(chunk))).fence;
  }

  async raiseEpoch(epoch: Fence): Promise<RaiseOutcome> {
    const { keys } = this.context;
    for (;;) {
      const { fence: current, index } = await this.readFenceAt(keys.epoch);
      if (current !== null && compareFences(epoch, current) <= 0) return { kind: 'refused', current };
      if (await this.writeFence(keys.epoch, epoch, index)) return { kind: 'raised' };
    }
  }

  async claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome> {
    const { keys } = this.context;
    for (;;) {
      const [held, { fence: currentEpoch }] = await Promise.all([
        this.readFenceAt(keys.fence(chunk)),
        this.readFenceAt(keys.epoch),
      ]);
      const isHigher = held.fence === null || compareFences(fence, held.fence) > 0;
      if (!isHigher || currentEpoch === null || compareFences(epoch, currentEpoch) !== 0) {
        return { kind: 'refused', fence: held.fence, epoch: currentEpoch };
      }
      if (!(await this.writeFence(keys.fence(chunk), fence, held.index))) continue;
      return { kind: 'claimed', writer: new EtcdV2ChunkWriter(this.context, { chunk, fence, epoch }) };
    }
  }

  /** Marks are read first, then the range: what was written meanwhile is not among them. */
  async *listCreated(range: KeyRange, options: ScanOptions): AsyncIterable<readonly CreatedRecord[]> {
    const { store, reads, keys } = this.context;
    const { marks } = await readMarks(store, reads, keys.marks);
    const view = await this.source.openView(range);
    try {
      for await (const { records } of view.scan(range, options)) {
        const own = records.filter((record) => marks.kindOf(record, indexOf(record.version)) === 'created');
        if (own.length > 0) yield own.map(({ key, version }) => ({ key, version }));
      }
    } finally {
      await view.close();
    }
  }

  async removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]> {
    const { writes, lanes } = this.context;
    await assertEpoch(this.context, epoch);
    return await lanes.all(records, async ({ key, version }): Promise<RemoveOutcome> => {
      const answer = await writes.compareAndDelete(key, indexOf(version));
      if (answer.kind === 'missing') return 'absent';
      if (answer.kind !== 'written') return 'changed';
      this.removed.add(indexOf(version));
      for (const directory of directoriesAbove(key)) this.directories.add(directory);
      return 'removed';
    });
  }

  async readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]> {
    const { writes, lanes, nowMs } = this.context;
    const records = await lanes.all(keys, async (key) => recordOf(key, await writes.read(key), nowMs()));
    return await this.origins.of(records);
  }

  async restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]> {
    await assertEpoch(this.context, epoch);
    return await restore(this.context, this.origins, restorations, epoch);
  }

  /** In the order in which they protect: nobody can claim under this epoch, so fences go first and marks last. */
  async dropControl(epoch: Fence): Promise<void> {
    const { writes, keys } = this.context;
    await assertEpoch(this.context, epoch);
    await this.removeDirectories();
    for (const own of [keys.fences, keys.tails, keys.tombs, keys.gones, keys.marks]) await writes.removeTree(own);
  }

  async readDone(): Promise<string | null> {
    const node = await this.context.writes.read(this.context.keys.done);
    return node === null || node.value === null ? null : Buffer.from(node.value).toString('utf8');
  }

  async writeDone(marker: string | null, epoch: Fence): Promise<void> {
    const { writes, keys } = this.context;
    await assertEpoch(this.context, epoch);
    for (;;) {
      const index = (await writes.read(keys.done))?.modifiedIndex ?? null;
      if (marker === null && index === null) return;
      const content = { value: Buffer.from(marker ?? '', 'utf8'), ttlSeconds: null };
      const answer =
        index === null
          ? await writes.create(keys.done, content)
          : marker === null
            ? await writes.compareAndDelete(keys.done, index)
            : await writes.compareAndSwap(keys.done, index, content);
      if (answer.kind === 'written') return;
    }
  }

  /**
   * A directory that a put made has the index of that put, which tells those that were there before, and those that
   * somebody made anew. Only of what was removed here: where a rollback died in between, empty ones stay behind.
   */
  private async removeDirectories(): Promise<void> {
    const { writes, lanes } = this.context;
    if (this.directories.size === 0) return;
    const { created } = await this.origins.marksAt(Number.MAX_SAFE_INTEGER);
    const byDepth = Map.groupBy(this.directories, (key) => key.split('/').length);
    for (const depth of [...byDepth.keys()].toSorted((a, b) => b - a)) {
      await lanes.all(byDepth.get(depth) ?? [], async (directory) => {
        const node = await writes.read(directory);
        if (node === null || node.value !== null) return;
        const isOurs = created.has(node.createdIndex) || this.removed.has(node.createdIndex);
        if (isOurs) await writes.removeDirectory(directory);
      });
    }
    this.directories.clear();
  }

  private async readFenceAt(key: Key): Promise<{ readonly fence: Fence | null; readonly index: number | null }> {
    const node = await this.context.writes.read(key);
    return { fence: fenceOf(this.context.store, key, node), index: node?.modifiedIndex ?? null };
  }

  /** @returns false when somebody else was first */
  private async writeFence(key: Key, fence: Fence, index: number | null): Promise<boolean> {
    const { writes } = this.context;
    const value = fenceValue(fence);
    const answer = index === null ? await writes.create(key, value) : await writes.compareAndSwap(key, index, value);
    return answer.kind === 'written';
  }
}
