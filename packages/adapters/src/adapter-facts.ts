/**
 * What each kind of store can do, needs and was tested with: `adapters describe KIND` and docs/reference/capabilities.md
 * are made from it. The capabilities are the very objects that the planner reads, at the adapters' defaults; none of this
 * loads a store's client. The adapters' own README files say more, and why.
 */
import { keyFromText, type StoreCapabilities, type TargetCapabilities } from '@keyferry/core';
import type { StoreKind } from './config/resolved-config.ts';
import {
  consulSourceCapabilities,
  consulTargetCapabilities,
  defaultReservedPrefix as defaultConsulPrefix,
  defaultTransactionBytes,
} from './consul/capabilities.ts';
import { ValueForm } from './consul/value-form.ts';
import {
  defaultReservedPrefix as defaultV2ReservedPrefix,
  etcdV2Capabilities,
  etcdV2TargetCapabilities,
} from './etcd-v2/capabilities.ts';
import { etcdV2DatadirCapabilities } from './etcd-v2-datadir/capabilities.ts';
import { dynamoDbCapabilities, dynamoDbTargetCapabilities } from './dynamodb/capabilities.ts';
import { defaultReservedPrefix as defaultDynamoDbReservedPrefix, type Mapping } from './dynamodb/mapping.ts';
import { defaultLeaseBucketMs, defaultReservedPrefix, etcdV3Capabilities } from './etcd-v3/capabilities.ts';
import { etcdV3SnapshotCapabilities, etcdV3SnapshotTargetCapabilities } from './etcd-v3-snapshot/capabilities.ts';
import { capabilitiesByFormat, targetCapabilitiesByFormat } from './file/capabilities.ts';
import { defaultSchema, describedCapabilities as postgresCapabilities } from './postgres/capabilities.ts';
import { sqliteCapabilities } from './sqlite/capabilities.ts';

export interface SideFacts<C extends StoreCapabilities = StoreCapabilities> {
  /** Where a kind has several forms, which one; null else. */
  readonly form: string | null;
  readonly capabilities: C;
  /** What the user or process needs there, as a clause. */
  readonly permission: string;
}

export interface TargetFacts extends SideFacts<TargetCapabilities> {
  /** Which records it can never hold, beside those over its limits: what `unfit` of its capabilities judges; null: none. */
  readonly refuses: string | null;
}

export interface AdapterFacts {
  /** Releases that the contract suite runs against. */
  readonly testedWith: string;
  /** None: it cannot be a source. */
  readonly source: readonly SideFacts[];
  readonly target: readonly TargetFacts[];
}

const etcdVersions = 'etcd 3.3.25, 3.4.23 and 3.5.16';
const etcdV3AtDefaults = etcdV3Capabilities(keyFromText(defaultReservedPrefix), defaultLeaseBucketMs);
const consulTarget = consulTargetCapabilities(
  keyFromText(defaultConsulPrefix),
  defaultTransactionBytes,
  new ValueForm(null),
);
/** As the configuration has it by default, with a TTL. */
const exampleMapping: Mapping = {
  hash: { name: 'pk', type: 'string' },
  sort: null,
  separator: '/',
  value: { from: 'attribute', name: 'value', type: 'binary' },
  ttl: 'expiresAt',
  leaveOut: new Set(),
};
const nodeSqlite = 'the SQLite that Node carries (node:sqlite)';
const newFile = 'write on the folder of the file, which must not be there yet';
const readFile = 'read on the file; write on TMPDIR, for a sorted scratch file';

/** Partial only so that a kind can be wired before it is described; adapter-facts.test.ts wants every one. */
export const adapterFacts: Readonly<Partial<Record<StoreKind, AdapterFacts>>> = {
  // Registries are moved whole, by strategy parallel, and are a side of no other one.
  'apicurio-2': { testedWith: 'Apicurio Registry 2.6.13, in memory', source: [], target: [] },
  'apicurio-3': {
    testedWith: 'Apicurio Registry 3.3.3 in memory and on PostgreSQL; imports also on 3.0.9',
    source: [],
    target: [],
  },
  'etcd-v2': {
    testedWith: etcdVersions,
    source: [
      {
        form: null,
        capabilities: etcdV2Capabilities,
        permission:
          'read on the prefix (pattern /app/* for the prefix /app/); write on TMPDIR, for a sorted scratch file',
      },
    ],
    target: [
      {
        form: null,
        capabilities: etcdV2TargetCapabilities(keyFromText(defaultV2ReservedPrefix)),
        permission: `read and write on the prefix and on ${defaultV2ReservedPrefix}`,
        refuses: 'keys that are no paths, keys and values that are not UTF-8',
      },
    ],
  },
  'etcd-v2-datadir': {
    testedWith: 'directories of etcd 3.3.25, 3.4.23 and 3.5.16, and of an etcd 2.3.8',
    source: [
      {
        form: null,
        capabilities: etcdV2DatadirCapabilities,
        permission: 'read on the directory',
      },
    ],
    target: [],
  },
  'etcd-v3': {
    testedWith: etcdVersions,
    source: [{ form: null, capabilities: etcdV3AtDefaults, permission: 'read on the prefix' }],
    target: [
      {
        form: null,
        capabilities: etcdV3AtDefaults,
        permission: `read and write on the prefix and on ${defaultReservedPrefix}; read on everything for requireEmpty: keyspace`,
        refuses: null,
      },
    ],
  },
  'etcd-v3-snapshot': {
    testedWith: 'snapshot save and restore of etcd 3.3.25, 3.4.23, 3.5.16 and 3.6.16',
    source: [{ form: null, capabilities: etcdV3SnapshotCapabilities, permission: readFile }],
    target: [
      { form: null, capabilities: etcdV3SnapshotTargetCapabilities(), permission: newFile, refuses: 'an empty key' },
    ],
  },
  consul: {
    testedWith: 'Consul 1.8.7 and 1.15.6',
    source: [
      {
        form: null,
        capabilities: consulSourceCapabilities(true),
        permission: 'key_prefix read on the prefix; write on TMPDIR, for a sorted scratch file',
      },
    ],
    target: [
      {
        form: null,
        capabilities: consulTarget,
        permission: `key_prefix write on the prefix and on ${defaultConsulPrefix}; session_prefix write for its lock; read on everything for requireEmpty: keyspace`,
        refuses: 'keys that no path names (a slash at the start, empty parts, "." and ".."), keys that are not UTF-8',
      },
    ],
  },
  dynamodb: {
    testedWith: 'DynamoDB Local 3.3.1',
    source: [
      {
        form: null,
        capabilities: dynamoDbCapabilities(exampleMapping),
        permission:
          'dynamodb:DescribeTable, DescribeTimeToLive and Scan on the table; to be followed, what a target needs, and DescribeStream, GetShardIterator and GetRecords on its stream; write on TMPDIR, for a sorted scratch file',
      },
    ],
    target: (['transactions', 'single'] as const).map((writes) => ({
      form: `writes: ${writes}`,
      capabilities: dynamoDbTargetCapabilities(exampleMapping, keyFromText(defaultDynamoDbReservedPrefix), writes),
      permission:
        'what a source needs; GetItem, BatchGetItem, PutItem, UpdateItem, DeleteItem, BatchWriteItem and ConditionCheckItem',
      refuses: 'keys that are not made of its key attributes, values that are not of the type of theirs',
    })),
  },
  sqlite: {
    testedWith: nodeSqlite,
    source: [{ form: null, capabilities: sqliteCapabilities, permission: 'read on the file and write on its folder' }],
    target: [
      {
        form: null,
        capabilities: sqliteCapabilities,
        permission: 'read and write on the file and its folder',
        refuses: null,
      },
    ],
  },
  file: {
    testedWith: 'files of its own formats, plain and packed with gzip',
    source: [
      { form: 'ndjson', capabilities: capabilitiesByFormat.ndjson, permission: readFile },
      { form: 'etcd-v2-json', capabilities: capabilitiesByFormat['etcd-v2-json'], permission: readFile },
    ],
    target: [
      { form: 'ndjson', capabilities: targetCapabilitiesByFormat.ndjson, permission: newFile, refuses: null },
      {
        form: 'etcd-v2-json',
        capabilities: targetCapabilitiesByFormat['etcd-v2-json'],
        permission: newFile,
        refuses: 'keys that are no paths, keys and values that are not UTF-8',
      },
    ],
  },
  postgres: {
    testedWith: 'PostgreSQL 15.18',
    source: [
      {
        form: null,
        capabilities: postgresCapabilities,
        permission:
          'CONNECT on the database, USAGE on the schemas and SELECT on the tables; write on TMPDIR, for a scratch file',
      },
    ],
    target: [
      {
        form: null,
        capabilities: postgresCapabilities,
        permission: `the same, INSERT, UPDATE and DELETE on the tables, and all on the schema ${defaultSchema}, or CREATE on the database`,
        refuses: 'keys of no table, and values that a row would not give back with the same bytes',
      },
    ],
  },
};
