/**
 * The mark of one batch, from before its first write to after its last: see marks.ts for what it says when.
 *
 * Its key is nobody else's, so whatever mark stands there when it is opened again is what an earlier try of this batch
 * left, open or closed, and the batch goes on from it.
 */
import { KeyferryError, type Key } from '@keyferry/core';
import { IndexRanges } from './index-ranges.ts';
import { closedMarkText, openMarkText, parseMark, type OpenMark, type WriteKind } from './marks.ts';
import type { EtcdV2WriteApi } from './write-api.ts';

export class BatchMark implements OpenMark {
  readonly index: number;
  readonly hashes: ReadonlyMap<string, WriteKind>;
  private readonly api: EtcdV2WriteApi;
  private readonly key: Key;
  /** Where the mark stands now, to be closed from there. */
  private readonly at: number;
  private readonly written = { created: new IndexRanges(), replaced: new IndexRanges() };

  private constructor(
    api: EtcdV2WriteApi,
    key: Key,
    hashes: ReadonlyMap<string, WriteKind>,
    { index, at }: { readonly index: number; readonly at: number },
  ) {
    this.api = api;
    this.key = key;
    this.hashes = hashes;
    this.index = index;
    this.at = at;
  }

  /** @throws {KeyferryError} `fence.lost` when the mark is gone again, or none: a rollback has been here meanwhile. */
  static async open(api: EtcdV2WriteApi, key: Key, hashes: ReadonlyMap<string, WriteKind>): Promise<BatchMark> {
    const answer = await api.create(key, permanent(openMarkText(hashes)));
    if (answer.kind === 'written') return new BatchMark(api, key, hashes, { index: answer.index, at: answer.index });
    const found = await api.read(key);
    const parsed = parseMark(Buffer.from(found?.value ?? []).toString('utf8'));
    if (found === null || parsed === null) throw lost(key);
    const mark = new BatchMark(api, key, hashes, { index: found.createdIndex, at: found.modifiedIndex });
    if ('created' in parsed) {
      mark.written.created.addAll(parsed.created);
      mark.written.replaced.addAll(parsed.replaced);
    }
    return mark;
  }

  note(kind: WriteKind, index: number): void {
    this.written[kind].add(index);
  }

  /** @throws {KeyferryError} `fence.lost` when the mark is gone: a rollback has been here meanwhile. */
  async close(): Promise<void> {
    const { created, replaced } = this.written;
    const answer =
      created.isEmpty && replaced.isEmpty
        ? await this.api.compareAndDelete(this.key, this.at)
        : await this.api.compareAndSwap(this.key, this.at, permanent(closedMarkText(created, replaced)));
    if (answer.kind !== 'written') throw lost(this.key);
  }
}

export const permanent = (text: string) => ({ value: Buffer.from(text, 'utf8'), ttlSeconds: null });

const lost = (key: Key): KeyferryError => new KeyferryError('fence.lost', { chunk: key });
