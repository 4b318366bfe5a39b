/** What a comparison of a transaction looks at; etcd's api/etcdserverpb/rpc.proto, of the types that npm `etcd3` has for it. */
import type { CompareTarget as Target } from 'etcd3';

const numbers: unknown = { Version: 0, Create: 1, Mod: 2, Value: 3 };

export const CompareTarget = numbers as Pick<typeof Target, 'Version' | 'Create' | 'Mod' | 'Value'>;
