/** etcd v2 from a live server; see README.md for what its API can and cannot show. */
export { openEtcdV2Store, type EtcdV2Options } from './source.ts';
export { etcdV2Capabilities } from './capabilities.ts';
