/** Randomness of the operating system, drawn in blocks: one call into the kernel serves many ids and jitters. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '@keyferry/core';

const block = new Uint32Array(256);
let used = block.length;

export const systemRandom: Random = {
  uint32() {
    if (used === block.length) {
      randomFillSync(block);
      used = 0;
    }
    const drawn = block[used] ?? 0;
    used += 1;
    return drawn;
  },
};
