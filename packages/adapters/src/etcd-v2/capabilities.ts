/** What an etcd v2 source can do: it answers once, atomically; the spool makes that answer ordered and repeatable. */
import type { StoreCapabilities } from '@keyferry/core';

export const etcdV2Capabilities: StoreCapabilities = {
  orderedScan: true,
  pinnedView: true,
  expiry: true,
  positionIsContent: false,
  // A recursive listing leaves out what begins with an underscore (etcd 3.4, etcdserver/api/v2store/node.go, IsHidden).
  hidesKeys: 'names below the prefix that begin with "_"',
  // Values are Go strings of any bytes; encoding/json writes what is not UTF-8 as U+FFFD.
  lossyText: true,
};
