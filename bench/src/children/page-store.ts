/**
 * A store whose pages are in memory, built from a file of sorted keys: what is left of a plan or a join when stores cost
 * nothing. It only hands out pages; what is done with them is the product's own code.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { sqliteCapabilities } from '@keyferry/adapters/sqlite';
import {
  intersectRanges,
  PackedPage,
  type Key,
  type KeyRange,
  type Position,
  type RecordPage,
  type ScanOptions,
  type SourceStore,
  type StoreView,
  type TargetControl,
  type TargetStore,
  type Version,
} from '@keyferry/core';

export const pageKeysMax = 1000;

const blockBytes = 64 * 1024;
const newlines = 0x0a0a0a0a;

/** One page after another of a file with a key a line, sorted by bytes; all values are `value`. */
export function* pagesOfFile(path: string, value: Uint8Array): Generator<PackedPage> {
  const file = openSync(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const block = Buffer.allocUnsafeSlow(rest.length + blockBytes);
      rest.copy(block);
      const end = rest.length + readSync(file, block, rest.length, blockBytes, null);
      if (end === rest.length) return;
      const lines = new Lines(block.subarray(0, end), rest.length);
      for (let page = lines.page(value); page !== null; page = lines.page(value)) yield page;
      rest = lines.rest();
    }
  } finally {
    closeSync(file);
  }
}

/** A block of whole lines and the beginning of one; its pages are packed as those of a store are. */
class Lines {
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private lineStart = 0;
  private at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = at;
  }

  page(value: Uint8Array): PackedPage | null {
    const { bytes } = this;
    const spans = new Uint32Array(4 * pageKeysMax);
    const count = this.findLines(spans);
    if (count === 0) return null;
    return new PackedPage({
      bytes,
      spans,
      count,
      keyOf: (start, end) => bytes.toString('latin1', start, end) as Key,
      valueOf: () => value,
      versionOf: () => '1' as Version,
      expiresAtMsOf: () => null,
    });
  }

  /** What is behind the last line's end. */
  rest(): Buffer {
    return this.bytes.subarray(this.lineStart);
  }

  /** Looks at eight bytes at a time where it can: a byte of a word is 0 where it was a line's end. */
  private findLines(spans: Uint32Array): number {
    const { view } = this;
    const end = view.byteLength;
    const lastPair = end - 8;
    let { lineStart, at } = this;
    let count = 0;
    while (at < end && count < pageKeysMax) {
      if (at <= lastPair) {
        const low = zerosOf(view.getInt32(at, true) ^ newlines);
        if (low !== 0) {
          at += firstOf(low);
        } else {
          const high = zerosOf(view.getInt32(at + 4, true) ^ newlines);
          if (high === 0) {
            at += 8;
            continue;
          }
          at += 4 + firstOf(high);
        }
      } else if (view.getUint8(at) !== 10) {
        at += 1;
        continue;
      }
      const span = 4 * count;
      spans[span] = lineStart;
      spans[span + 1] = at;
      at += 1;
      lineStart = at;
      count += 1;
    }
    this.lineStart = lineStart;
    this.at = at;
    return count;
  }
}

/** The high bit of each byte that is 0; above the lowest of them there may be false ones. */
const zerosOf = (word: number): number => (word - 0x01010101) & ~word & 0x80808080;

/** The lowest byte that is marked. */
const firstOf = (zeros: number): number => (31 - Math.clz32(zeros & -zeros)) >> 3;

/** Read only: enough of both ports for a plan. */
export function pageStore(name: string, pages: readonly RecordPage[]): SourceStore & TargetStore {
  const view: StoreView = {
    position: '1' as Position,
    async *scan(range: KeyRange, _options: ScanOptions) {
      if (intersectRanges(range, { start: '' as Key, end: null }) === null) return;
      yield* pages;
    },
    close: () => Promise.resolve(),
  };
  const refuse = (): never => {
    throw new Error(`${name} is read only`);
  };
  return {
    capabilities: sqliteCapabilities,
    publication: null,
    describe: () =>
      Promise.resolve({
        kind: 'memory',
        version: '1',
        endpoints: [name],
        members: null,
        identity: name,
        viewLocks: null,
      }),
    head: () => Promise.resolve(view.position),
    openView: () => Promise.resolve(view),
    readMembers: () => Promise.resolve(null),
    countRecords: (_range, max) => Promise.resolve(Math.min(max, 1)),
    lookUp: refuse,
    // A plan asks for the done marker, and for nothing else.
    control: () => ({ readDone: () => Promise.resolve(null) }) as unknown as TargetControl,
    close: () => Promise.resolve(),
  };
}
