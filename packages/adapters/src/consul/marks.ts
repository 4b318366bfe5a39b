/**
 * The indexes at which keyferry wrote, as far as one reader knows them.
 *
 * A writer loads them only when it meets a record that it did not expect, which in a first run is never. From then on it
 * knows its own by their answers. Only a write whose answer was lost can have left a mark that it does not know, and that
 * write may be applied late, after a reload; so once one failed, any index newer than the last load asks for another.
 */
import type { Key } from '@keyferry/core';
import type { ConsulApi } from './api.ts';

export class WriterMarks {
  private readonly api: ConsulApi;
  private readonly prefix: Key;
  private readonly own = new Set<number>();
  private loadedAt = 0;
  private answerWasLost = false;

  constructor(api: ConsulApi, prefix: Key) {
    this.api = api;
    this.prefix = prefix;
  }

  add(index: number): void {
    this.own.add(index);
  }

  /** After any failure of a write: it may have happened all the same, now or later. */
  noteFailure(): void {
    this.answerWasLost = true;
  }

  has(index: number): boolean {
    return this.own.has(index);
  }

  /** Whether `has` may be wrong about a record that is there at `index`. */
  mayLack(index: number): boolean {
    if (this.own.has(index)) return false;
    return this.loadedAt === 0 || (this.answerWasLost && index > this.loadedAt);
  }

  async load(): Promise<void> {
    const { indexes, readAt } = await readMarks(this.api, this.prefix);
    for (const index of indexes) this.own.add(index);
    if (readAt > this.loadedAt) this.loadedAt = readAt;
  }
}

/** @returns `readAt`: every mark up to this index is among them */
export async function readMarks(
  api: ConsulApi,
  prefix: Key,
): Promise<{ readonly indexes: ReadonlySet<number>; readonly readAt: number }> {
  const readAt = Number(await api.readPosition(prefix));
  return await api.readTree(prefix, async (feed) => {
    const indexes = new Set<number>();
    await feed({ take: ({ modifyIndex }) => void indexes.add(modifyIndex), notText: () => undefined });
    return { indexes, readAt };
  });
}
