/**
 * A snapshot of etcd v3 as a target: records wait beside it, then it is written whole, and once (written-once/target.ts).
 * `etcdutl snapshot restore` makes members of it.
 */
import type { Position, TargetStore } from '@keyferry/core';
import { defaultLeaseBucketMs } from '../etcd-v3/capabilities.ts';
import { WrittenOnceTarget } from '../written-once/target.ts';
import { etcdV3SnapshotTargetCapabilities } from './capabilities.ts';
import { openEtcdV3SnapshotStore, type EtcdV3SnapshotOptions } from './source.ts';
import { writeSnapshot } from './write-snapshot.ts';

export interface EtcdV3SnapshotTargetOptions extends EtcdV3SnapshotOptions {
  /** Records whose expiries fall into the same span of this length share a lease; a minute by default. */
  readonly leaseBucketMs?: number | undefined;
  /** Revision of the first key; 2, as in an etcd that nothing was written to before, by default. */
  readonly firstRevision?: number;
}

export const defaultFirstRevision = 2;

/**
 * @example
 * const target = openEtcdV3SnapshotTarget({ name: 'new', file: 'v3.snapshot', nowMs: () => Date.now() });
 */
export function openEtcdV3SnapshotTarget(options: EtcdV3SnapshotTargetOptions): TargetStore {
  const { name, file, nowMs } = options;
  const { leaseBucketMs = defaultLeaseBucketMs, firstRevision = defaultFirstRevision } = options;
  let written: Position | null = null;
  return new WrittenOnceTarget({
    name,
    file,
    nowMs,
    form: {
      capabilities: etcdV3SnapshotTargetCapabilities(leaseBucketMs),
      kind: 'etcd-v3-snapshot',
      version: 'not written yet',
      source: openEtcdV3SnapshotStore({ ...options, isInKeyOrder: (position) => position === written }),
      async write(handle, pages, atMs) {
        written = await writeSnapshot(handle, { pages, nowMs: atMs, leaseBucketMs, firstRevision });
        return written;
      },
    },
  });
}
