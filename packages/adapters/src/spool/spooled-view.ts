/** A view that shows what a spool holds: pinned, ordered, and read as often as wanted. */
import type { Key, KeyRange, Position, RecordPage, ScanOptions, StoreView } from '@keyferry/core';
import { RecordSpool } from './record-spool.ts';

class SpooledView implements StoreView {
  readonly position: Position;
  private readonly spool: RecordSpool;

  constructor(spool: RecordSpool, position: Position) {
    this.spool = spool;
    this.position = position;
  }

  scan(range: KeyRange, options: ScanOptions): AsyncIterable<RecordPage> {
    return this.spool.scan(range, options);
  }

  close(): Promise<void> {
    this.spool.close();
    return Promise.resolve();
  }
}

/** What a key that came twice is to its store, and where the later one was found. */
export type RepeatFailure = (key: Key, place: number) => unknown;

/**
 * Fills a new spool by `fill`, which returns the position; nothing is left behind when that fails.
 *
 * @param repeated of a store in which a key is there once; of several that came again it is asked about the first, by place.
 *   Absent: what was added first counts
 * @throws what `repeated` makes of one; {KeyferryError} `scratch.unusable`
 */
export async function openSpooledView(
  fill: (spool: RecordSpool) => Promise<Position>,
  repeated: RepeatFailure | null = null,
): Promise<StoreView> {
  const spool = new RecordSpool();
  try {
    const position = await fill(spool);
    const first = await sealed(spool);
    if (first !== null && repeated !== null) throw await repeated(first.key, first.place);
    return new SpooledView(spool, position);
  } catch (error) {
    spool.close();
    throw error;
  }
}

interface Repeat {
  readonly key: Key;
  readonly place: number;
}

/** @returns of all that came again, the first by place */
async function sealed(spool: RecordSpool): Promise<Repeat | null> {
  const repeats: Repeat[] = [];
  await spool.seal((key, place) => {
    const [first] = repeats;
    if (first === undefined || place < first.place) repeats[0] = { key, place };
  });
  return repeats[0] ?? null;
}
