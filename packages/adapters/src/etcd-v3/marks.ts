/**
 * The revisions at which keyferry wrote, as far as one reader knows them.
 *
 * A writer loads them only when it meets a record that it did not expect, which in a first run is never. From then on it
 * knows its own by their answers. Only a write whose answer was lost can have left a mark that it does not know, and that
 * write may be applied late, after a reload; so once one failed, any revision newer than the last load asks for another.
 */
import type { KeyRange } from '@keyferry/core';
import type { EtcdClient } from './client.ts';
import { keyToBuffer } from './codec.ts';
import { readPages } from './pages.ts';

const pageKeysMax = 5000;

export class WriterMarks {
  private readonly client: EtcdClient;
  private readonly range: KeyRange;
  private readonly own = new Set<string>();
  private loadedAt = 0n;
  private answerWasLost = false;

  constructor(client: EtcdClient, range: KeyRange) {
    this.client = client;
    this.range = range;
  }

  add(revision: string): void {
    this.own.add(revision);
  }

  /** After any failure of a write: it may have happened all the same, now or later. */
  noteFailure(): void {
    this.answerWasLost = true;
  }

  has(revision: string): boolean {
    return this.own.has(revision);
  }

  /** Whether `has` may be wrong about a record that is there at `revision`. */
  mayLack(revision: string): boolean {
    if (this.own.has(revision)) return false;
    return this.loadedAt === 0n || (this.answerWasLost && BigInt(revision) > this.loadedAt);
  }

  async load(): Promise<void> {
    const { revisions, readAt } = await readMarks(this.client, this.range);
    for (const revision of revisions) this.own.add(revision);
    if (readAt > this.loadedAt) this.loadedAt = readAt;
  }
}

/** @returns `readAt`: every mark up to this revision is among them */
export async function readMarks(
  client: EtcdClient,
  range: KeyRange,
): Promise<{ readonly revisions: ReadonlySet<string>; readonly readAt: bigint }> {
  const { header } = await client.range({ key: keyToBuffer(range.start), keys_only: true });
  const options = { pageKeysMax, revision: null, keysOnly: true };
  const revisions = new Set<string>();
  const pages = readPages(client, range, options, ({ kvs }) => {
    for (const { mod_revision } of kvs) revisions.add(mod_revision);
  });
  for await (const _ of pages);
  return { revisions, readAt: BigInt(header.revision) };
}
