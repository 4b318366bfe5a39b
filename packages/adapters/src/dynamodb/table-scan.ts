/**
 * Reading a whole table: several segments at once, each page by page, strongly consistent, in no order.
 *
 * A scan is no snapshot. Every item that is there all the while is seen once; one that is written meanwhile is seen as
 * before or after. Only that nothing moved, proven by an equal digest afterwards, makes it one state of the table.
 */
import { DigestSum, RecordHasher, type Position } from '@keyferry/core';
import type { Connection } from './connection.ts';
import type { Attributes } from './item-text.ts';

/** @param each is called for every item, by one segment at a time; `false` ends the scan */
export async function scanTable(
  connection: Connection,
  segments: number,
  each: (item: Attributes) => boolean | void,
): Promise<void> {
  let ended = false;
  const scanSegment = async (Segment: number): Promise<void> => {
    let from: Attributes | null = null;
    do {
      const page = await connection.scanPage(segments === 1 ? {} : { Segment, TotalSegments: segments }, from);
      if (ended) return;
      for (const item of page.items) {
        if (each(item) === false) ended = true;
        if (ended) return;
      }
      from = page.next;
    } while (from !== null);
  };
  const settled = await Promise.allSettled(
    Array.from({ length: segments }, (_, segment) =>
      scanSegment(segment).catch((error: unknown) => {
        ended = true; // the others stop after their page
        throw error;
      }),
    ),
  );
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
}

/** Content as a position: equal for equal items, whoever reads them, in whatever order. */
export class PositionDigest {
  private readonly hasher = new RecordHasher('0'.repeat(32));
  private readonly sum = new DigestSum();

  add(key: string, version: string): void {
    this.sum.add(this.hasher.hash({ key, value: Buffer.from(version, 'latin1'), expiresAtMs: null }));
  }

  value(): Position {
    const { count, sum } = this.sum.value();
    return `${count}-${sum}` as Position;
  }
}
