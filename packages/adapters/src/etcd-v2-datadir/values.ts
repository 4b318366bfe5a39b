/**
 * The values of a tree, outside of JavaScript's heap: bytes one behind the other in slabs of a megabyte, and in a node only
 * where its own are. As strings they would be most of the heap, and be copied again and again while it is collected.
 *
 * A value that is replaced stays in its slab. The log may be many times as large as what it leaves, so the tree copies
 * the living into fresh slabs when so much was added that most of it must be dead (`isMostlyDead`).
 */

/** Bytes that somebody else holds: good until the next record of the log. */
export interface ByteSpan {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Where the value of a node is. */
export interface ValueHolder {
  slab: Buffer;
  valueStart: number;
  valueBytes: number;
}

const slabBytes = 1024 * 1024;
/** Below this much nothing is worth a copy. */
const keptBytesMin = 32 * 1024 * 1024;
export const noBytes = Buffer.alloc(0);

export class ValueStore {
  private slab = noBytes;
  private used = 0;
  private added = 0;
  private readonly keptBytesMax: number;

  /** @param liveBytes what is copied into it first */
  constructor(liveBytes = 0) {
    this.keptBytesMax = Math.max(keptBytesMin, 2 * liveBytes);
  }

  get isMostlyDead(): boolean {
    return this.added > this.keptBytesMax;
  }

  /** Copies the value, and tells the holder where it is. */
  keep(holder: ValueHolder, value: string | ByteSpan): void {
    const length = typeof value === 'string' ? value.length : value.end - value.start;
    holder.valueBytes = length;
    if (length === 0) {
      holder.slab = noBytes;
      holder.valueStart = 0;
      return;
    }
    if (this.used + length > this.slab.length) {
      this.slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, length));
      this.used = 0;
    }
    holder.slab = this.slab;
    holder.valueStart = this.used;
    if (typeof value === 'string') this.slab.write(value, this.used, 'latin1');
    else value.bytes.copy(this.slab, this.used, value.start, value.end);
    this.used += length;
    this.added += length;
  }
}
