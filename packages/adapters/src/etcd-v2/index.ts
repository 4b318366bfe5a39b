/** etcd v2 on a live server, as a source and as a target; see README.md for what its API can and cannot do. */
export { openEtcdV2Store, type EtcdV2Options } from './source.ts';
export { openEtcdV2Target, type EtcdV2TargetOptions } from './target.ts';
export { etcdV2Capabilities } from './capabilities.ts';
export {
  openEtcdV2PlainSwitch,
  openEtcdV2PrimarySwitch,
  openEtcdV2Switch,
  type EtcdV2SwitchOptions,
} from './switch.ts';
export { openEtcdV2OnlineSource, type EtcdV2OnlineOptions } from './online-source.ts';
