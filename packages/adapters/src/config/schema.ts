/**
 * The shape of a configuration file. One definition: it checks, it fills in defaults, it gives the types, and the
 * JSON schema that editors use is generated from it. What one field says about another is in references.ts.
 */
import * as z from 'zod';
import { adapterKinds } from './adapter-kinds.ts';
import { auth, tls } from './network-fields.ts';
import { balancer, parallelMigration, registryThree, registryTwo } from './parallel-fields.ts';
import { postgresStore } from './postgres-fields.ts';
import { prices } from './price-fields.ts';
import type { StateConfig, SwitchPlaceConfig } from './resolved-config.ts';
import { rule } from './rule-schema.ts';
import { choice, duration, endpoint, expects, flag, glob, integer, name, rate, secret, size, text } from './scalars.ts';
import { dynamoDb, dynamoDbTable } from './schema-dynamodb.ts';

/** Keys that later versions will know: naming one deserves a better answer than "unknown". */
export const laterKeys: readonly string[] = ['emptyDirs', 'only'];

const reads = z
  .union(
    [
      z.string().min(1),
      z.strictObject({ env: text.describe('variable of the component, whose value is the name of a store') }),
    ],
    { error: expects('the name of a store, or { env: NAME },') },
  )
  .describe(
    'for strategy offline: the setting by which the component chooses its store; nothing is applied while that is still the source',
  );

const endpoints = z.array(endpoint, { error: expects('a list of URLs') }).min(1, 'at least one URL is expected');

const network = {
  tls: tls.optional().describe('for https endpoints'),
  requestTimeout: duration.optional().describe('how long one request may take'),
};

const etcd = { endpoints: endpoints.describe('client URLs of the members'), ...network, auth: auth.optional() };

const tenant = (what: string) => text.optional().describe(`${what}; by default the one that the token is in`);

const consul = {
  endpoints: endpoints.describe('URLs of agents, servers or clients'),
  ...network,
  token: secret.optional().describe('a reference to the secret of an ACL token'),
  datacenter: text.optional().describe("the datacenter whose keys are meant; by default the agents' own"),
  namespace: tenant('the namespace (Consul Enterprise)'),
  partition: tenant('the admin partition (Consul Enterprise from 1.11 on)'),
  flags: choice(['leave-out', 'carry', 'drop'])
    .default('leave-out')
    .describe(
      'as a source: what becomes of records with flags: left out and counted, carried in their values, or carried ' +
        'without the flags. A target always carries them',
    ),
  flagsFrom: z
    .string({ error: expects('a JSON pointer, such as /version,') })
    .regex(/^\//, 'a JSON pointer begins with a slash')
    .optional()
    .describe('JSON pointer into values: the number there is what the flags of a record are to be; 0 by default'),
  lock: flag
    .default(true)
    .describe('as a target: runs hold a lock there, by a session, so that hosts that share no state take turns'),
  transactionSize: size
    .optional()
    .describe("what the servers' limits.txn_max_req_len is set to, where it is not their default; 512KiB by default"),
  reservedPrefix: text
    .regex(/^(?:(?!\.{1,2}\/)[^/]+\/)+$/, 'a prefix such as _keyferry/, of names with a slash behind each, is expected')
    .optional()
    .describe('where keyferry keeps its own keys in this store; _keyferry/ by default'),
};

const tableWords = 'the name of a table, of letters, digits and underscores,';

const store = z.discriminatedUnion(
  'kind',
  [
    z
      .strictObject({
        kind: z.literal('etcd-v2'),
        ...etcd,
        reservedPrefix: text
          .regex(
            /^\/([^/]+\/)*_[^/]*\/?$/,
            'a path whose last name begins with an underscore, so that no listing shows it, is expected',
          )
          .optional()
          .describe('where keyferry keeps its own keys in this store; /_keyferry/ by default'),
      })
      .describe('the v2 keys of a running etcd'),
    z
      .strictObject({
        kind: z.literal('etcd-v2-datadir'),
        dataDir: text.describe("path of the member's data directory, of what etcdctl backup wrote, or of a copy"),
        walDir: text.optional().describe("path of the log, where the member's --wal-dir kept it elsewhere"),
        members: z
          .array(
            z.strictObject({
              dataDir: text.describe('path of its data directory'),
              walDir: text.optional().describe('path of its log, where it is elsewhere'),
            }),
            { error: expects('a list of data directories') },
          )
          .default([])
          .describe('other members of the cluster: a plan compares them with this one, and insists that they agree'),
        upTo: choice(['end', 'last-good'])
          .default('end')
          .describe('what a damaged record in the log means: an error, or the end of what is read'),
        hidden: choice(['leave-out', 'carry'])
          .default('leave-out')
          .describe('what becomes of names that begin with _ below the prefix: left out and counted, or carried'),
      })
      .describe('the v2 keys in the data directory of a member that is stopped'),
    z
      .strictObject({
        kind: z.literal('etcd-v3'),
        ...etcd,
        reservedPrefix: text
          .optional()
          .describe('where keyferry keeps its own keys in this store; _keyferry/ by default'),
      })
      .describe('the v3 keys of a running etcd'),
    z.strictObject({ kind: z.literal('consul'), ...consul }).describe("Consul's KV store"),
    dynamoDb,
    z
      .strictObject({
        kind: z.literal('etcd-v3-snapshot'),
        path: text.describe('path of the snapshot file'),
        firstRevision: integer('a revision', 2, 2 ** 52)
          .default(2)
          .describe('as a target: revision of the first key; those after it count up'),
      })
      .describe('a snapshot file of etcd v3: read as etcdctl saves it, written for etcdutl snapshot restore'),
    z
      .strictObject({
        kind: z.literal('sqlite'),
        file: text.describe('path of the SQLite file'),
        table: z
          .string({ error: expects(tableWords) })
          .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, `${tableWords} is expected`)
          .refine((table) => !/^(keyferry|sqlite)_/i.test(table), 'tables keyferry_* and sqlite_* have owners already')
          .optional()
          .describe('table that holds the keys; records by default'),
      })
      .describe('a table of keys in an SQLite file'),
    z
      .strictObject({
        kind: z.literal('file'),
        path: text.describe('path of the snapshot file'),
        format: choice(['ndjson', 'etcd-v2-json']).describe('one record a line, or a saved answer of etcd v2'),
      })
      .describe('a snapshot file'),
    registryTwo,
    registryThree,
    postgresStore.describe('rows of tables, views or queries of a PostgreSQL database'),
  ],
  { error: ({ input }) => kindComplaint(input) },
);

function kindComplaint(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null) return undefined;
  const kind = 'kind' in input ? input.kind : undefined;
  return expects(`one of ${Object.keys(adapterKinds).join(', ')}`)({
    input: kind,
  });
}

const storeName = z.string({ error: expects('the name of a store') });

/** What applications follow, whichever strategy leads them. */
const switchPlace = z
  .strictObject({
    store: storeName.optional().describe('the store that holds it, which every instance of the application reaches'),
    dynamodb: z
      .strictObject(dynamoDbTable("a table made by state create-table; it may be the state's own"))
      .optional()
      .describe('in place of a store: a DynamoDB table that holds it, which every instance of the application reaches'),
    key: text
      .optional()
      .describe(
        'where in that store; in etcd-v3 _keyferry/switch by default, in etcd-v2 /_keyferry/switch, in dynamodb switch',
      ),
    form: choice(['guide'])
      .optional()
      .describe(
        'guide: the application follows the key by itself, as the guide of etcd has it, which turns true at cutover; with dual-read alone',
      ),
  })
  .transform(({ store: inStore, dynamodb, key = null, form }, context): SwitchPlaceConfig => {
    if ((inStore === undefined) === (dynamodb === undefined)) context.addIssue('one of store, dynamodb is expected');
    const inForm = form === undefined ? {} : { form };
    if (dynamodb === undefined) return { store: inStore ?? '', key, ...inForm };
    const { table, region, endpoint: url = null, requestTimeout: requestTimeoutMs = null } = dynamodb;
    return { dynamodb: { table, region, endpoint: url, requestTimeoutMs }, key, ...inForm };
  });

const freeze = z.union(
  [
    z.literal('person'),
    z.strictObject({
      switch: switchPlace,
    }),
    z.strictObject({
      command: z
        .array(text, { error: expects('a program and its arguments') })
        .min(1, 'a program is expected')
        .describe('run with three arguments more: hold or open, source or target, and a number that grows'),
    }),
  ],
  { error: expects('person, { switch: … } or { command: […] }') },
);

const followersMin = integer('a number of instances', 1, 10_000).describe(
  'a cutover is begun with so many registered at least, each of which must be alive',
);
const replicate = z.strictObject({
  freeze: freeze.describe(
    'how the writers of a store are held at a cutover: applications that follow a switch, a program, or a person',
  ),
  pauseMax: duration.prefault('30s').describe('longest that writes may be held at a cutover; past it, it is undone'),
  requestLife: duration
    .prefault('5s')
    .describe('longest that a request of an application may take effect after it was sent, and to follow the switch'),
  instances: z
    .union([z.literal('none'), z.strictObject({ min: followersMin })], { error: expects('{ min: … } or none') })
    .optional()
    .describe(
      'the instances of the application that register at the switch and acknowledge a hold, which then need not last for requestLife; none: not every writer does. Default: those that are registered, if any is',
    ),
});

const prefix = z.string({ error: expects('a prefix of keys (an empty one is all keys)') });

const strategies = ['offline', 'dual-read', 'replicate'] as const;

export const recordMigration = z.strictObject({
  source: z.strictObject({ store: storeName, prefix }),
  target: z.strictObject({
    store: storeName,
    prefix,
    requireEmpty: choice(['keyspace', 'prefix'])
      .optional()
      .describe('refuse a target that holds records: anywhere, or under its prefix'),
  }),
  strategy: z.enum(strategies, { error: expects(`one of ${[...strategies, 'parallel'].join(', ')}`) }),
  switch: switchPlace
    .optional()
    .describe('where the mode of a dual-read is written, and where instances of the application register'),
  instances: z
    .strictObject({
      min: integer('a number of instances', 1, 10_000).describe(
        'each mode is waited for until so many acknowledged it',
      ),
      barrierTimeout: duration
        .prefault('30s')
        .describe(
          'how long a mode is waited for before it is given up; at most so long are writes held on the way forward',
        ),
      requestLife: duration
        .prefault('30s')
        .describe('longest time after which a request of an instance can take effect; as its client has it'),
    })
    .optional()
    .describe('the instances of the application that take part in a dual-read'),
  replicate: replicate.optional().describe('for strategy replicate: how applications are led over'),
  reads: reads.optional(),
  after: z
    .array(z.string({ error: expects('the name of a migration') }), { error: expects('a list of migrations') })
    .default([])
    .describe('migrations that must be over, or at least proven, before this one is applied'),
  rules: z.array(rule, { error: expects('a list of rules') }).default([]),
  onConflict: choice(['keep-target', 'overwrite', 'fail'])
    .default('fail')
    .describe('what to do with a key that the target holds with another value'),
  prune: flag
    .default(false)
    .describe(
      'delete the keys under the target prefix that no source key maps to, except those that the rules leave out',
    ),
  guards: z
    .strictObject({
      deleteShareMax: z
        .number({ error: expects('a share of the keys, 0 to 1,') })
        .min(0, 'a share of the keys, 0 to 1, is expected')
        .max(1, 'a share of the keys, 0 to 1, is expected')
        .default(0.1)
        .describe('share of the target keys, or of those under one part of its prefix, that a plan deletes unasked'),
      deletesMax: integer('a number of keys', 0, 1_000_000_000)
        .default(1000)
        .describe('most keys that a plan deletes unasked'),
    })
    .prefault({})
    .describe('deletes past these must be accepted by name at apply: --accept guard.deletes'),
  keepBefore: flag
    .default(true)
    .describe('keep what is overwritten or deleted in the state first, so that rollback can put it back'),
  backup: z
    .strictObject({
      into: text.describe('directory that backups go into, relative to this file'),
      source: flag.default(false).describe('copy the data directory of the source'),
      target: flag.default(false).describe('save a snapshot of the target, an etcd v3'),
    })
    .refine(({ source, target }) => source || target, 'one of source, target is expected to be true')
    .optional()
    .describe('backups that apply makes, and finds whole, before it writes anything'),
  limits: z
    .strictObject({
      workers: integer('a number of workers', 1, 64).default(2).describe('chunks that are written at the same time'),
      chunkKeys: integer('a number of keys', 1, 10_000_000).default(10_000).describe('most keys of a chunk'),
      chunkSize: size.prefault('16MiB').describe('most bytes of a chunk'),
      rate: rate
        .optional()
        .describe('most keys a second that are written, by all workers together; no limit by default'),
      targetP99: duration
        .optional()
        .describe('write more slowly while 99 of 100 requests of the target are not answered within this'),
      sourceP99: duration.optional().describe('the same for pages that are read from the source'),
      deadLettersMax: integer('a number of records', 0, 1_000_000_000)
        .default(100)
        .describe('a run stops once more records than that could not be written'),
      functions: integer('a number of functions', 1, 1000)
        .default(8)
        .describe('functions that work on it at once, where functions do; each keeps to its share of the rate'),
    })
    .prefault({}),
  plan: z
    .strictObject({ maxAge: duration.prefault('24h').describe('how long a plan may be applied after it was made') })
    .prefault({}),
  sensitive: z
    .array(glob, { error: expects('a list of globs') })
    .default([])
    .describe('globs over target keys whose content is never shown, besides the built-in ones'),
  review: choice(['always', 'warnings', 'blocking'])
    .default('warnings')
    .describe(
      'when a person must approve what apply MIGRATION has planned: always; warnings, if the plan has any or does more ' +
        'than create keys that are absent; blocking, never, as blocking findings stop a plan by themselves. ' +
        'apply FILE is a reviewed plan and never asks',
    ),
});

/** What is of neither strategy is judged as a migration of records (schema-issues.ts). */
const migration = z.discriminatedUnion('strategy', [recordMigration, parallelMigration]);

const state = z
  .strictObject({
    sqlite: text.optional().describe('path of an SQLite file, relative to this file: for one machine'),
    dynamodb: z
      .strictObject({
        ...dynamoDbTable('the table; state create-table makes it'),
        eventsKept: duration.optional().describe('how long events stay; by default for ever'),
      })
      .optional()
      .describe('a DynamoDB table, for several machines; credentials are found as the AWS SDK finds them'),
  })
  .transform(({ sqlite, dynamodb }, context): StateConfig => {
    if ((sqlite === undefined) === (dynamodb === undefined)) context.addIssue('one of sqlite, dynamodb is expected');
    if (dynamodb === undefined) return { sqlite: sqlite ?? '' };
    const { table, region, endpoint: url = null, requestTimeout = null, eventsKept = null } = dynamodb;
    return { dynamodb: { table, region, endpoint: url, requestTimeoutMs: requestTimeout, eventsKeptMs: eventsKept } };
  });

export const schema = z.strictObject({
  $schema: text.optional().describe('for editors, in a file that is JSON'),
  version: z.literal(1, { error: expects('1, the version of this format,') }).describe('version of this format'),
  state: state.prefault({ sqlite: '.keyferry/state.db' }).describe('where the progress of migrations is kept'),
  stores: z.record(name, store, { error: expects('a map of names to stores') }).describe('stores by name'),
  balancers: z
    .record(name, balancer, { error: expects('a map of names to load balancers') })
    .default({})
    .describe('load balancers by name, for strategy parallel'),
  migrations: z
    .record(name, migration, { error: expects('a map of names to migrations') })
    .describe('migrations by name'),
  prices: prices
    .optional()
    .describe('in US dollars, for the costs that a plan estimates; by default list prices of us-east-1'),
});

export type CheckedConfig = z.output<typeof schema>;

/** The JSON schema (draft-07) of a configuration file, for editors and for `schema config`. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: 'keyferry configuration', ...z.toJSONSchema(schema, { target: 'draft-7', io: 'input' }) };
}
