/**
 * A target of which only the keys of an image are looked at, each by itself, instead of all keys under its prefix.
 *
 *     image of 1,000 keys, target of 10,000,000:   1,000 keys looked up in pages, and no scan of ten million
 *
 * To whoever joins it with the image it is a view like any other, in which there is nothing else. It reads the image for
 * its keys, so it is for images that were spilled: those need not be read from the source again.
 *
 * It is not pinned. Its position is that of the target before the first look, so that a target which has moved since is
 * never taken for one that stood still.
 */
import { prefixRange, type MigrationSpec, type StoredRecord, type StoreView } from '@keyferry/core';
import type { SpilledImage } from './image-spool.ts';
import type { Engine } from './migration.ts';
import { withRetry } from './retry.ts';

/** A target this many times larger than the image is looked up: a look costs about as much as a scan of so many keys. */
const timesLarger = 20;

/**
 * Whether so much more is in the target than in the image that looking up the image's keys is quicker than a scan. Never
 * where keys are deleted that no source key maps to: those are found only by reading all of the target.
 */
export async function isWorthLookingUp(engine: Engine, spec: MigrationSpec, image: SpilledImage): Promise<boolean> {
  if (spec.prune || image.keys === 0) return false;
  const max = image.keys * timesLarger;
  const range = prefixRange(spec.rule.targetPrefix);
  return (await withRetry(engine, 'count target', () => engine.target.countRecords(range, max))) >= max;
}

export async function openLookedUp(engine: Engine, image: SpilledImage): Promise<StoreView> {
  const { target } = engine;
  const position = await withRetry(engine, 'target position', () => target.head());
  return {
    position,
    async *scan(range, { pageKeysMax }) {
      const size = Math.min(pageKeysMax, target.capabilities.batchKeysMax);
      for await (const { records } of image.scan(range, { pageKeysMax })) {
        for (let at = 0; at < records.length; at += size) {
          const keys = records.slice(at, at + size).map(({ key }) => key);
          const found = await target.lookUp(keys);
          yield { records: found.filter((record): record is StoredRecord => record !== null), notCarried: [] };
        }
      }
    },
    close: () => Promise.resolve(),
  };
}
