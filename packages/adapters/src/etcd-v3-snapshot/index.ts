/** Snapshot files of etcd v3 as a source and as a target; see README.md for what is in them. */
export { openEtcdV3SnapshotStore, type EtcdV3SnapshotOptions } from './source.ts';
export { openEtcdV3SnapshotTarget, type EtcdV3SnapshotTargetOptions } from './target.ts';
