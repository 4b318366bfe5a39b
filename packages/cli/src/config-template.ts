/**
 * The file that `init` writes: the smallest configuration of a pair of stores that is valid, with the settings that most
 * people come to need as comments. It names no secret: those are references, and so they stay.
 */
import type { StoreKind } from '@keyferry/adapters';

export function configTemplate(source: StoreKind, target: StoreKind): string {
  return [
    '# yaml-language-server: $schema=./keyferry.schema.json',
    '# For completion in an editor:   keyferry schema config > keyferry.schema.json',
    '# After changes:                 keyferry validate, then keyferry doctor',
    'version: 1',
    '',
    '# Where the progress of migrations is kept. Do not delete it while one is under way.',
    'state: { sqlite: .keyferry/state.db }',
    '',
    'stores:',
    '  old:',
    ...storeLines(source, 'old').map(indented(4)),
    '  new:',
    ...storeLines(target, 'new').map(indented(4)),
    '',
    'migrations:',
    `  ${migrationName(source, target)}:`,
    `    source: { store: old, prefix: ${prefixOf(source)} } # an empty prefix is all keys`,
    `    target: { store: new, prefix: ${prefixOf(target)} } # requireEmpty: keyspace | prefix   refuses a target that holds records`,
    '    strategy: offline # writers of the source are stopped until verify is done',
    ...(target === 'etcd-v3' || target === 'etcd-v3-snapshot'
      ? [
          '    rules:',
          '      - ttl: { toLease: { bucket: 1m } } # keys that expire within the same minute share a lease',
        ]
      : []),
    '    onConflict: fail # or keep-target, overwrite: what to do with a key that the target holds with another value',
    '    # prune: true # deletes the target keys that no source key maps to; guards and keepBefore: keyferry schema config',
    "    sensitive: ['**/password', '**/secret'] # shown by size only, besides the built-in patterns",
    '    review: warnings # always | warnings | blocking: when a person must approve what apply MIGRATION has planned',
    '    # limits: { workers: 2, chunkKeys: 10000, chunkSize: 16MiB, deadLettersMax: 100 }',
    '    # and, for applications beside it:  rate: 2000/s   targetP99: 50ms   sourceP99: 100ms',
    '    # plan: { maxAge: 24h } # how long a saved plan may be applied',
    '',
  ].join('\n');
}

export function migrationName(source: StoreKind, target: StoreKind): string {
  return `${source}-to-${target}`;
}

/** Keys of Consul do not begin with a slash. */
function prefixOf(kind: StoreKind): string {
  return kind === 'consul' ? 'config/' : '/config/';
}

function storeLines(kind: StoreKind, store: 'old' | 'new'): string[] {
  switch (kind) {
    case 'etcd-v2':
    case 'etcd-v3':
      return [
        `kind: ${kind}`,
        `endpoints: ['http://127.0.0.1:2379'] # all members: keyferry asks each of them whether they agree`,
        '# requestTimeout: 10s',
        '# With https endpoints:',
        '# tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: client.key } }',
        '# With authentication; secrets are references, { env: NAME } or { file: PATH }:',
        `# auth: { user: { env: ${store.toUpperCase()}_USER }, password: { env: ${store.toUpperCase()}_PASSWORD } }`,
      ];
    case 'etcd-v2-datadir':
      return [
        `kind: ${kind}`,
        'dataDir: /var/lib/etcd # of a member that is stopped, or a copy; keyferry only reads it',
        '# walDir: /var/lib/etcd-wal # if the member was started with --wal-dir',
        '# hidden: carry # names that begin with _ are left out and counted by default',
      ];
    case 'etcd-v3-snapshot':
      return [`kind: ${kind}`, `path: ${store}.snapshot`];
    case 'consul':
      return [
        'kind: consul',
        `endpoints: ['http://127.0.0.1:8500'] # agents, servers or clients; others are asked where one fails`,
        '# With ACLs; secrets are references, { env: NAME } or { file: PATH }:',
        `# token: { env: ${store.toUpperCase()}_CONSUL_TOKEN }`,
        '# With https endpoints:',
        '# tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: client.key } }',
        '# flags: carry # records with flags are left out of a source and counted by default',
      ];
    case 'dynamodb':
      return [
        'kind: dynamodb',
        `table: ${store}-config`,
        'region: eu-west-1',
        'key: { hash: pk } # with a sort key: { hash: pk, sort: sk, separator: / }',
        '# value: { from: item } # all attributes; by default those of one attribute, value, a binary',
        '# ttl: expiresAt # attribute with the second at which an item ends',
        '# leaveOut: [revision] # attributes that belong to no record',
      ];
    case 'apicurio-2':
    case 'apicurio-3':
      return [`kind: ${kind}`, `endpoints: ['http://127.0.0.1:8080'] # reached directly, not through a load balancer`];
    case 'sqlite':
      return ['kind: sqlite', `file: ${store}.db`, '# table: records'];
    case 'file':
      return ['kind: file', `path: ${store}.ndjson`, 'format: ndjson # or etcd-v2-json: a saved answer of etcd v2'];
    case 'postgres':
      return [
        `kind: ${kind}`,
        'host: 127.0.0.1 # port: 5432',
        'database: app',
        `auth: { user: { env: ${store.toUpperCase()}_USER }, password: { env: ${store.toUpperCase()}_PASSWORD } }`,
        '# tls: { ca: { file: ca.pem } } # without it everything goes in the clear',
        'tables:',
        "  - { table: settings, key: '/config/{service}/{name}' } # the other columns are the value, as JSON",
        '  # or one column as the value:  value: { column: body }, leaveOut: [updated_at]',
      ];
  }
}

const indented =
  (spaces: number) =>
  (line: string): string =>
    ' '.repeat(spaces) + line;
