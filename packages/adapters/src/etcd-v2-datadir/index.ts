/** The files of an etcd member as a source of its v2 keys; see README.md. */
export { openEtcdV2DatadirStore, type EtcdV2DatadirOptions } from './source.ts';
export { compareLiveMembers, compareMembers, type ComparedMember } from './compare-members.ts';
export { inspectDataDirectory, type DatadirReport } from './inspect.ts';
