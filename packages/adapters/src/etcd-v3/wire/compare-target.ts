/** What a comparison of a transaction looks at; etcd's api/etcdserverpb/rpc.proto, as npm `etcd3` types it. */
import type { CompareTarget as Target } from 'etcd3';

export const CompareTarget = {
  Version: 0 as Target.Version,
  Create: 1 as Target.Create,
  Mod: 2 as Target.Mod,
  Value: 3 as Target.Value,
} as const;
