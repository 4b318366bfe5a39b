/**
 * What a configuration file means once it is read: every default filled in, every duration and size a number.
 *
 * Paths and secrets stay as written: paths relative to the file, secrets as references. So the digest of a
 * configuration is the same in every checkout, and a plan can carry it without a secret or a machine's own path.
 * `directory` is what relative paths are resolved against, at use (secrets.ts, wire.ts).
 */
import type {
  ConflictPolicy,
  DeleteGuards,
  JsonEdit,
  KeySelection,
  Prices,
  RequireEmpty,
  RunLimits,
  ReviewPolicy,
  Strategy,
} from '@keyferry/core';

import type { BalancerConfig, ParallelConfig, RegistryConfig } from './parallel-config.ts';

/** Where a secret is to be found; read at use and never before. */
export type SecretReference =
  | { readonly env: string }
  | { readonly file: string }
  /** Of AWS Systems Manager Parameter Store, and of AWS Secrets Manager. */
  | { readonly ssm: string }
  | { readonly secretsManager: string };

export interface TlsConfig {
  readonly ca: SecretReference | null;
  readonly cert: SecretReference | null;
  readonly key: SecretReference | null;
  /** Name to expect in the server's certificate, when it is not the host of the endpoint. */
  readonly serverName: string | null;
}

export interface AuthConfig {
  /** A name is no secret: it may stand in the file as it is. */
  readonly user: string | SecretReference;
  readonly password: SecretReference;
}

interface EtcdConfig {
  readonly endpoints: readonly string[];
  readonly tls: TlsConfig | null;
  readonly auth: AuthConfig | null;
  /** Null: the adapter's own default. */
  readonly requestTimeoutMs: number | null;
}

interface ConsulConfig {
  readonly endpoints: readonly string[];
  readonly tls: TlsConfig | null;
  readonly token: SecretReference | null;
  readonly datacenter: string | null;
  readonly namespace: string | null;
  readonly partition: string | null;
  readonly flags: 'leave-out' | 'carry' | 'drop';
  readonly lock: boolean;
  /** JSON pointer; null: flags are expected to be 0. */
  readonly flagsFrom: string | null;
  /** Null, as for the others: the adapter's own default. */
  readonly transactionBytes: number | null;
  readonly reservedPrefix: string | null;
  readonly requestTimeoutMs: number | null;
}

/** A table, and how its items are records (adapters/src/dynamodb/mapping.ts). */
interface DynamoDbConfig {
  readonly kind: 'dynamodb';
  readonly table: string;
  readonly region: string;
  /** Null: the region's own. */
  readonly endpoint: string | null;
  /** Null: the adapter's own default. */
  readonly requestTimeoutMs: number | null;
  readonly key: {
    readonly hash: string;
    readonly hashType: AttributeType;
    /** Null: the table has no sort key. */
    readonly sort: string | null;
    readonly sortType: AttributeType;
    readonly separator: string;
  };
  readonly value: { readonly from: 'attribute' | 'item'; readonly attribute: string; readonly type: AttributeType };
  /** Null: records do not expire. */
  readonly ttl: string | null;
  readonly leaveOut: readonly string[];
  readonly writes: 'transactions' | 'single';
  readonly segments: number;
  readonly reservedPrefix: string | null;
}

type AttributeType = 'string' | 'binary';

export type StoreConfig =
  | ({ readonly kind: 'etcd-v2'; readonly reservedPrefix: string | null } & EtcdConfig)
  | {
      readonly kind: 'etcd-v2-datadir';
      readonly dataDir: string;
      /** Null: in the data directory. */
      readonly walDir: string | null;
      /** Other members of the cluster, to be compared with this one. */
      readonly members: readonly { readonly dataDir: string; readonly walDir: string | null }[];
      readonly upTo: 'end' | 'last-good';
      readonly hidden: 'leave-out' | 'carry';
    }
  | ({ readonly kind: 'etcd-v3'; readonly reservedPrefix: string | null } & EtcdConfig)
  | { readonly kind: 'etcd-v3-snapshot'; readonly path: string; readonly firstRevision: number }
  | ({ readonly kind: 'consul' } & ConsulConfig)
  | DynamoDbConfig
  | { readonly kind: 'sqlite'; readonly file: string; readonly table: string | null }
  | { readonly kind: 'file'; readonly path: string; readonly format: FileFormat }
  | PostgresConfig
  | RegistryConfig;

export interface PostgresConfig {
  readonly kind: 'postgres';
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly auth: AuthConfig;
  readonly tls: TlsConfig | null;
  readonly tables: readonly TableConfig[];
  readonly changes: 'log' | 'triggers';
  readonly order: 'auto' | 'server' | 'local';
  /** Null: the adapter's own default; so with the times. */
  readonly schema: string | null;
  readonly statementTimeoutMs: number | null;
  readonly readTimeoutMs: number | null;
}

/** Whose rows are records, and which. */
export interface TableConfig {
  readonly from: { readonly table: string } | { readonly query: string };
  readonly key: string;
  readonly value: 'row' | { readonly column: string };
  readonly leaveOut: readonly string[];
  readonly audit: boolean;
}

export type StoreKind = StoreConfig['kind'];
export type FileFormat = 'ndjson' | 'etcd-v2-json';

export type ValueMapConfig =
  | { readonly kind: 'base64'; readonly direction: 'encode' | 'decode' }
  | { readonly kind: 'gzip'; readonly direction: 'compress' | 'decompress' }
  | { readonly kind: 'json'; readonly edits: readonly JsonEdit[] };

export type RenameConfig =
  | { readonly kind: 'prefix'; readonly prefix: string; readonly to: string }
  | { readonly kind: 'pattern'; readonly pattern: string; readonly to: string }
  | { readonly kind: 'template'; readonly template: string; readonly to: string };

/** A program of the user's, and how it is spoken with. */
export interface ProgramConfig {
  /** The program, as written (relative to the file), and its arguments. */
  readonly run: readonly string[];
  readonly protocol: 'json-lines' | 'etcdctl-migrate';
  /** Files and directories that it consists of besides, as written. */
  readonly files: readonly string[];
  /** Names of variables that it gets to see. */
  readonly env: readonly string[];
  readonly timeoutMs: number;
}

/** One rule. Globs, prefixes and patterns are over target keys; `keys: null` means all of them. */
export type RuleConfig =
  | { readonly ttl: { readonly toLease: { readonly bucketMs: number } } }
  | { readonly include: readonly string[] }
  | { readonly exclude: readonly string[] }
  | { readonly value: { readonly map: ValueMapConfig; readonly keys: readonly string[] | null } }
  | { readonly rename: RenameConfig }
  /** As written: relative to the file. */
  | { readonly module: string }
  | { readonly program: ProgramConfig };

/** Where applications follow a migration: in one of the stores, or in a table of DynamoDB. */
export type SwitchPlaceConfig = {
  /** The application follows the key by itself; absent: it embeds the client. */
  readonly form?: 'guide';
} &
  /** Null: the key that the kind of store has by default. */
  (
    | { readonly store: string; readonly key: string | null }
    | { readonly dynamodb: TablePlace; readonly key: string | null }
  );

/** Where a table of keyferry's own is. */
export interface TablePlace {
  readonly table: string;
  readonly region: string;
  /** Null: the region's own. */
  readonly endpoint: string | null;
  /** Null: the adapter's own default. */
  readonly requestTimeoutMs: number | null;
}

/** How an application takes part. */
export interface OnlineConfig {
  readonly switch: SwitchPlaceConfig;
  readonly instancesMin: number;
  readonly barrierTimeoutMs: number;
  readonly requestLifeMs: number;
  /** Time stands in place of acknowledgements. */
  readonly followedBy?: 'time';
}

export interface MigrationConfig {
  readonly source: { readonly store: string; readonly prefix: string };
  readonly target: { readonly store: string; readonly prefix: string; readonly requireEmpty: RequireEmpty };
  readonly strategy: Strategy;
  /** Absent: the application takes no part. */
  readonly online?: OnlineConfig;
  /** Present under that strategy, and under no other. */
  readonly replicate?: ReplicateConfig;
  /** Migrations that come before this one. */
  readonly after: readonly string[];
  /** Which store the component is set to use: by name, or by a variable that holds the name. Absent: nobody says. */
  readonly reads?: string | { readonly env: string };
  readonly rules: readonly RuleConfig[];
  /** No part of the file: which keys a plan was asked for (selection.ts). Absent: all of them. */
  readonly selection?: KeySelection;
  readonly onConflict: ConflictPolicy;
  readonly prune: boolean;
  readonly guards: DeleteGuards;
  readonly keepBefore: boolean;
  /** What apply backs up before it writes anything; null: nothing. */
  readonly backup: { readonly into: string; readonly source: boolean; readonly target: boolean } | null;
  readonly limits: { readonly workers: number; readonly chunkKeys: number; readonly chunkBytes: number };
  readonly runLimits: RunLimits;
  readonly plan: { readonly maxAgeMs: number };
  /** Globs over target keys, besides the built-in ones. */
  readonly sensitive: readonly string[];
  readonly review: ReviewPolicy;
}

/** How applications are led from one store to the other, and how long they may be kept from writing. */
export interface ReplicateConfig {
  readonly freeze: FreezeConfig;
  readonly pauseMaxMs: number;
  readonly requestLifeMs: number;
  /** Which instances acknowledge a hold. Absent: those that are registered, if any is. */
  readonly instances?: { readonly min: number } | 'none';
}

export type FreezeConfig =
  | ({ readonly kind: 'key' } & SwitchPlaceConfig)
  /** As written: relative to the file where it is a path. */
  | { readonly kind: 'command'; readonly run: readonly string[] }
  | { readonly kind: 'person' };

/** Where the progress of migrations is kept. */
export type StateConfig =
  | { readonly sqlite: string }
  | {
      readonly dynamodb: TablePlace & {
        /** Null: for ever. */
        readonly eventsKeptMs: number | null;
      };
    };

export interface ResolvedConfig {
  /** As it was named by whoever asked. */
  readonly file: string;
  /** Absolute; what relative paths of the file are relative to. */
  readonly directory: string;
  readonly state: StateConfig;
  readonly stores: Readonly<Record<string, StoreConfig>>;
  readonly migrations: Readonly<Record<string, MigrationConfig>>;
  readonly balancers: Readonly<Record<string, BalancerConfig>>;
  /** Migrations of strategy `parallel`: no name is in `migrations` too. */
  readonly parallel: Readonly<Record<string, ParallelConfig>>;
  /** What the plan estimates costs by: no part of what it promises. */
  readonly prices: Prices;
}

/**
 * What decides what is written, and not when or how fast: whoever slows a migration down need not have its plan reviewed
 * again.
 */
export type PlannedSettings = Omit<MigrationConfig, 'runLimits' | 'after' | 'reads'>;

/** The part of a configuration that one migration rests on: `config.json` of its plans, and what its digest covers. */
export interface PlanConfig {
  readonly migration: string;
  readonly settings: PlannedSettings;
  readonly stores: Readonly<Record<string, StoreConfig>>;
}
