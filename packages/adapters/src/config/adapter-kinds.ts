/** What kinds of stores there are and which side of a migration each can be on; `adapters list` prints it. */
import type { StoreKind } from './resolved-config.ts';

export interface AdapterKind {
  readonly description: string;
  readonly source: boolean;
  readonly target: boolean;
}

export const adapterKinds: Readonly<Record<StoreKind, AdapterKind>> = {
  'etcd-v2': { description: 'the v2 keys of a running etcd, 2.0 to 3.5', source: true, target: true },
  'etcd-v2-datadir': {
    description: 'the v2 keys in the data directory of an etcd member, 2.x to 3.5, without any etcd',
    source: true,
    target: false,
  },
  'etcd-v3': { description: 'the v3 keys of a running etcd', source: true, target: true },
  'etcd-v3-snapshot': {
    description: 'a snapshot file of etcd v3, as etcdctl saves and etcdutl restores it',
    source: true,
    target: true,
  },
  consul: { description: "Consul's KV store, 1.8 or later", source: true, target: true },
  dynamodb: { description: 'the items of a DynamoDB table', source: true, target: true },
  sqlite: { description: 'a table of keys in an SQLite file', source: true, target: true },
  file: { description: 'a snapshot file: NDJSON, or the JSON of an etcd v2 tree', source: true, target: true },
  'apicurio-2': { description: 'Apicurio Registry 2.6, under strategy parallel', source: false, target: false },
  'apicurio-3': { description: 'Apicurio Registry 3, under strategy parallel', source: false, target: false },
  postgres: { description: 'rows of tables, views or queries of a PostgreSQL database', source: true, target: true },
};
