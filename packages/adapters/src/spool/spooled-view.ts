/** A view that shows what a spool holds: pinned, ordered, and read as often as wanted. */
import type { KeyRange, Position, RecordPage, ScanOptions, StoreView } from '@keyferry/core';
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

/** Fills a new spool by `fill`, which returns the position; nothing is left behind when that fails. */
export async function openSpooledView(fill: (spool: RecordSpool) => Promise<Position>): Promise<StoreView> {
  const spool = new RecordSpool();
  try {
    const position = await fill(spool);
    spool.seal();
    return new SpooledView(spool, position);
  } catch (error) {
    spool.close();
    throw error;
  }
}
