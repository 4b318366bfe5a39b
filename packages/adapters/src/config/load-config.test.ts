/**
 * Goal: every mistake in a configuration is found, all at once, each at the place where it stands.
 * Method: a table of wrong files, each beside the exact `line:column path: message (suggestion)` it must give.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKeyferryError, KeyferryError, listPrices } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from './load-config.ts';
import { Redactor } from './redactor.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function load(text: string, redactor = new Redactor()) {
  const file = join(folder, 'keyferry.yaml');
  await writeFile(file, text);
  return loadConfig(file, { redactor });
}

async function issuesOf(text: string): Promise<readonly string[]> {
  const error: unknown = await load(text).catch((thrown: unknown) => thrown);
  if (!isKeyferryError(error, 'config.invalid')) throw error;
  return error.details.issues.map(({ path, message, line, column, suggestion }) => {
    const hint = suggestion === null ? '' : ` (${suggestion})`;
    return `${line}:${column} ${path}: ${message}${hint}`;
  });
}

/** A valid file; each case changes one line of it. */
const valid = `version: 1
stores:
  old: { kind: etcd-v2, endpoints: ['http://etcd-1:2379'] }
  new: { kind: etcd-v3, endpoints: ['http://etcd-1:2379'] }
  dump: { kind: file, path: dump.json, format: etcd-v2-json }
migrations:
  move:
    source: { store: old, prefix: /config/ }
    target: { store: new, prefix: /config/ }
    strategy: offline
`;
const where = { stores: 'stores:\n', store: /( {2}old: ).*\n/, migration: '    strategy: offline\n' };
const withTop = (line: string) => `${valid}${line}\n`;
const withStore = (store: string) => valid.replace(where.store, `$1${store}\n`);
const withMigration = (line: string) => `${valid}    ${line}\n`;
const unit = 'a bare number is refused where a unit is needed';
const duration = 'a duration such as 500ms, 30s, 10m or 24h is expected';
const reference = 'a reference, { env: NAME }, { file: PATH }, { ssm: NAME } or { secretsManager: ID }, is expected';
const kinds =
  'one of etcd-v2, etcd-v2-datadir, etcd-v3, etcd-v3-snapshot, consul, dynamodb, sqlite, file, apicurio-2, apicurio-3, postgres is expected';

/** A dual-read between the same stores, with more lines behind it. */
function withDualRead(...more: readonly string[]): string {
  const lines = ['switch: { store: new }', 'instances: { min: 2 }', ...more].map((line) => `    ${line}\n`);
  return `${valid.replace('offline', 'dual-read')}${lines.join('')}`;
}

describe('a wrong configuration', () => {
  it.each<[name: string, text: string, ...issues: string[]]>([
    ['is empty', '', '1:1 : a map is expected'],
    ['is a list', '- 1\n', '1:1 : a map is expected'],
    ['is an empty map', '{}', '1:1 version: is missing', '1:1 stores: is missing', '1:1 migrations: is missing'],
    ['is of another version', valid.replace('1', '2'), '1:10 version: 1, the version of this format, is expected'],
    ['has a version in quotes', valid.replace('1', '"1"'), '1:10 version: 1, the version of this format, is expected'],
    ['has an unknown key', withTop('migration: 5'), '11:1 migration: is not a known key'],
    [
      'has a mistyped key',
      valid.replace('stores', 'store'),
      '1:1 stores: is missing',
      '2:1 store: is not a known key (stores)',
      ...['8:22 migrations.move.source', '9:22 migrations.move.target'].map(
        (at, i) => `${at}.store: there is no store "${i === 0 ? 'old' : 'new'}" under stores`,
      ),
    ],
    [
      "has two letters of a key in each other's place",
      valid.replace('strategy', 'startegy'),
      '7:3 migrations.move.strategy: is missing',
      '10:5 migrations.move.startegy: is not a known key (strategy)',
    ],
    ['has state nowhere', withTop('state: {}'), '11:8 state: one of sqlite, dynamodb is expected'],
    [
      'has state in two places',
      withTop('state: { sqlite: a.db, dynamodb: { table: keyferry, region: eu-west-1 } }'),
      '11:8 state: one of sqlite, dynamodb is expected',
    ],
    [
      'has state in a table that has no region, and a name that is none',
      withTop('state: { dynamodb: { table: k } }'),
      '11:10 state.dynamodb.region: is missing',
      '11:29 state.dynamodb.table: the name of a table, of 3 to 255 letters, digits, dots, dashes and underscores, is expected',
    ],
    [
      'has credentials beside a table',
      withTop('state: { dynamodb: { table: keyferry, region: eu-west-1, secretAccessKey: abc } }'),
      '11:58 state.dynamodb.secretAccessKey: is not a known key',
    ],
    ['has the same key twice', withTop('version: 1'), '11:1 : this key stands twice'],
    [
      'has a duplicate deep inside and another mistake',
      withMigration('{a: 1, a: 2}').replace('    {', '    sensitive: {'),
      '11:16 migrations.move.sensitive: a list of globs is expected',
      '11:23 : this key stands twice',
    ],
    [
      'is no YAML',
      'version: [1\nstores: {}\n',
      '2:1 : not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['has two documents', `${valid}---\nversion: 1\n`, '11:1 : one document is expected, and here a second one starts'],
    [
      'has an alias of nothing',
      withTop('state: *nothing'),
      '11:8 : an alias of an anchor that does not stand before it',
    ],
    [
      'has a tag',
      valid.replace('1', '!one 1'),
      '1:10 : not valid YAML: unresolved tag: !one',
      '1:15 version: 1, the version of this format, is expected',
    ],

    ['has an unknown kind', withStore('{ kind: etcdv2, endpoints: [] }'), `3:16 stores.old.kind: ${kinds} (etcd-v2)`],
    [
      'has a kind without its release',
      withStore('{ kind: apicurio }'),
      '3:16 stores.old.kind: one of etcd-v2, etcd-v2-datadir, etcd-v3, etcd-v3-snapshot, consul, dynamodb, sqlite, file, apicurio-2, apicurio-3, postgres is expected (apicurio-2)',
    ],
    [
      'has a mistyped field of a data directory',
      withStore('{ kind: etcd-v2-datadir, datadir: x, upTo: last }'),
      '3:3 stores.old.dataDir: is missing',
      '3:33 stores.old.datadir: is not a known key (dataDir)',
      '3:51 stores.old.upTo: one of end, last-good is expected',
    ],
    ['has no kind', withStore('{ file: x }'), '3:3 stores.old.kind: is missing'],
    ['has a store that is a text', withStore('etcd-v2'), '3:8 stores.old: a map is expected'],
    [
      'has a name with a slash',
      valid.replaceAll('move', 'a/b'),
      '7:3 migrations.a/b: a name is up to 100 letters, digits, dots, dashes and underscores',
    ],
    [
      'has no endpoints',
      withStore('{ kind: etcd-v2, endpoints: [] }'),
      '3:36 stores.old.endpoints: at least one URL is expected',
    ],
    [
      'has an endpoint without scheme',
      withStore("{ kind: etcd-v2, endpoints: ['etcd-1:2379'] }"),
      '3:37 stores.old.endpoints[0]: a URL such as https://etcd-1:2379 is expected',
    ],
    [
      'has an endpoint with a path',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1', 'http://a:2/v2'] }"),
      '3:51 stores.old.endpoints[1]: an endpoint is scheme, host and port, without a path',
    ],
    [
      'has TLS for an endpoint without',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], tls: { ca: ca.pem } }"),
      '3:37 stores.old.endpoints[0]: the store has tls, so an https URL is expected',
    ],
    [
      'has endpoints of both kinds',
      withStore("{ kind: etcd-v2, endpoints: ['https://a:1', 'http://b:1'] }"),
      '3:52 stores.old.endpoints[1]: another endpoint is https, so an https URL is expected',
    ],
    [
      'has a certificate without its key',
      withStore("{ kind: etcd-v2, endpoints: ['https://a:1'], tls: { cert: c.pem } }"),
      '3:58 stores.old.tls: cert and key go together',
    ],
    [
      'has a certificate in full',
      withStore("{ kind: etcd-v2, endpoints: ['https://a:1'], tls: { ca: '-----BEGIN CERTIFICATE-----' } }"),
      '3:64 stores.old.tls.ca: the path of a PEM file is expected, not its content',
    ],
    [
      'has a key of another kind',
      withStore('{ kind: sqlite, file: a.db, reservedPrefix: x }'),
      '3:36 stores.old.reservedPrefix: is not a known key',
    ],
    [
      'has a mistyped reference',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], auth: { user: u, password: { evn: X } } }"),
      `3:79 stores.old.auth.password: ${reference} (env)`,
    ],
    [
      'has a reference of a later version',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], auth: { user: u, password: { vault: /x } } }"),
      `3:79 stores.old.auth.password: ${reference}`,
    ],
    [
      'has no password',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], auth: { user: u } }"),
      '3:52 stores.old.auth.password: is missing',
    ],
    [
      'has a timeout without unit',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], requestTimeout: 30 }"),
      `3:68 stores.old.requestTimeout: ${unit}: ${duration}`,
    ],
    [
      'has a timeout of nothing',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], requestTimeout: 0s }"),
      '3:68 stores.old.requestTimeout: a duration of more than 0 is expected',
    ],
    [
      'has a table with a quote',
      withStore("{ kind: sqlite, file: a.db, table: 'a b' }"),
      '3:43 stores.old.table: the name of a table, of letters, digits and underscores, is expected',
    ],
    [
      'has a format that is none',
      withStore('{ kind: file, path: a, format: json }'),
      '3:39 stores.old.format: one of ndjson, etcd-v2-json is expected (ndjson)',
    ],

    [
      'names no store',
      valid.replace('store: old', 'store: odl'),
      '8:22 migrations.move.source.store: there is no store "odl" under stores (old)',
    ],
    [
      'keeps its own keys where etcd v2 lists them',
      withStore("{ kind: etcd-v2, endpoints: ['http://a:1'], reservedPrefix: /ops/ }"),
      '3:68 stores.old.reservedPrefix: a path whose last name begins with an underscore, so that no listing shows it, is expected',
    ],
    [
      'has a prefix that etcd v2 cannot have as a target',
      valid.replace('store: new, prefix: /', 'store: old, prefix: '),
      '9:35 migrations.move.target.prefix: keys of etcd-v2 start with a slash, so a prefix does too',
    ],
    ['has no prefix', valid.replace('new, prefix: /config/', 'new'), '9:5 migrations.move.target.prefix: is missing'],
    [
      'has a prefix that etcd v2 cannot have',
      valid.replace('old, prefix: /', 'old, prefix: '),
      '8:35 migrations.move.source.prefix: keys of etcd-v2 start with a slash, so a prefix does too',
    ],
    [
      'has strategy parallel, and stores of records',
      valid.replace('offline', 'parallel'),
      '7:3 migrations.move.balancers: is missing',
      '8:22 migrations.move.source.store: under strategy parallel a store of kind apicurio-2 is expected here',
      '8:27 migrations.move.source.prefix: is not a known key',
      '9:22 migrations.move.target.store: under strategy parallel a store of kind apicurio-3 is expected here',
      '9:27 migrations.move.target.prefix: is not a known key',
    ],
    [
      'has a dual-read that says neither where its switch is nor how many instances come',
      valid.replace('offline', 'dual-read'),
      '10:15 migrations.move.strategy: dual-read needs a switch that the application follows:   switch: { store: NAME }',
      '10:15 migrations.move.strategy: dual-read needs the least number of instances that take part:   instances: { min: N }',
    ],
    [
      'has a switch without a use for it',
      withMigration('switch: { store: new }'),
      '11:5 migrations.move.switch: has an effect with strategy: dual-read alone',
    ],
    [
      'has a dual-read that changes records on their way, or loses them',
      withDualRead('rules: [ { exclude: ["/config/a"] } ]', 'prune: true').replace(
        'new, prefix: /config/',
        'new, prefix: /c/',
      ),
      '9:35 migrations.move.target.prefix: applications use the same keys in both stores, so "/config/" is expected with dual-read',
      '13:14 migrations.move.rules[0]: applications see records as they are in both stores: no rule but ttl can stand in a dual-read',
      '14:12 migrations.move.prune: would delete what applications write; false is expected',
    ],
    [
      'has its switch in a store that is not there',
      withDualRead().replace('switch: { store: new }', 'switch: { store: nwe }'),
      '11:22 migrations.move.switch.store: there is no store "nwe" under stores (new)',
    ],
    [
      'has its switch in two places, or in none',
      withDualRead().replace('store: new }', 'store: new, dynamodb: { table: keyferry, region: eu-west-1 } }'),
      '11:13 migrations.move.switch: one of store, dynamodb is expected',
    ],
    [
      'follows the guide of etcd, and rests on what only the client does',
      withDualRead().replace('switch: { store: new }', 'switch: { store: new, form: guide }'),
      ...[
        'which key the application follows is expected:   key: KEY',
        'nobody registers with it:   instances: { min: 1 }',
        'applications write the target already, and their word counts:   onConflict: keep-target',
      ].map((issue) => `11:33 migrations.move.switch.form: ${issue}`),
    ],
    [
      'waits for no instance at all',
      withDualRead().replace('min: 2', 'min: 0'),
      '12:23 migrations.move.instances.min: a number of instances, a whole number from 1 to 10000, is expected',
    ],
    [
      'has a mistyped strategy',
      valid.replace('offline', 'ofline'),
      '10:15 migrations.move.strategy: one of offline, dual-read, replicate, parallel is expected (offline)',
    ],
    [
      'waits for instances where a person leads applications',
      valid.replace('offline', 'replicate\n    replicate: { freeze: person, instances: { min: 2 } }'),
      '11:34 migrations.move.replicate.instances: where a program or a person leads applications, there is no switch at which an instance registers',
    ],
    [
      'has strategy replicate and does not say how writers are held',
      valid.replace('offline', 'replicate'),
      '10:15 migrations.move.strategy: strategy replicate needs to know how writers are held:   replicate: { freeze: … }',
    ],
    [
      'holds writers under another strategy',
      withMigration('replicate: { freeze: person }'),
      '11:5 migrations.move.replicate: it belongs to   strategy: replicate',
    ],
    [
      'has a share of more than all',
      withMigration('guards: { deleteShareMax: 10 }'),
      '11:31 migrations.move.guards.deleteShareMax: a share of the keys, 0 to 1, is expected',
    ],
    [
      'has a setting of a later version',
      withMigration('emptyDirs: marker'),
      '11:5 migrations.move.emptyDirs: is not available in this version',
    ],
    [
      'has a module that is not there',
      withMigration('rules: [{ module: ./a.ts }]'),
      '11:23 migrations.move.rules[0].module: there is no such file',
    ],
    [
      'has a module that is none',
      withMigration('rules: [{ module: ./keyferry.yaml }]'),
      '11:23 migrations.move.rules[0].module: the path of a module (.ts, .mts, .js, .mjs) is expected',
    ],
    [
      'has a pattern that is no regular expression',
      withMigration("rules: [{ rename: { pattern: '(', to: x } }]"),
      '11:34 migrations.move.rules[0].rename.pattern: a regular expression is expected: Unterminated group',
    ],
    [
      'has a pattern that could take for ever',
      withMigration("rules: [{ rename: { pattern: '(a+)+', to: x } }]"),
      '11:34 migrations.move.rules[0].rename.pattern: a regular expression is expected: it repeats a group that itself repeats or branches, which can take for ever on some keys',
    ],
    [
      'has a replacement for a group that is not there',
      withMigration("rules: [{ rename: { pattern: 'a', to: $1 } }]"),
      '11:43 migrations.move.rules[0].rename.to: this cannot be filled in: there is no group 1 in the pattern',
    ],
    [
      'has a template with an unknown field',
      withMigration("rules: [{ rename: { template: '/{a}', to: '/{b}' } }]"),
      '11:47 migrations.move.rules[0].rename.to: this cannot be filled in: there is no field {b} in the template',
    ],
    [
      'has a rename that says nothing',
      withMigration('rules: [{ rename: { to: x } }]'),
      '11:23 migrations.move.rules[0].rename: one of prefix, pattern, template is expected',
    ],
    [
      'has a rename that says not to what',
      withMigration('rules: [{ rename: { prefix: /a/ } }]'),
      '11:15 migrations.move.rules[0].rename.to: is missing',
    ],
    [
      'has a bucket without unit',
      withMigration('rules: [{ ttl: { toLease: { bucket: 5 } } }]'),
      `11:41 migrations.move.rules[0].ttl.toLease.bucket: ${unit}: ${duration}`,
    ],
    [
      'has two rules for TTLs',
      withMigration('rules: [{ ttl: { toLease: { bucket: 5m } } }, { ttl: { toLease: { bucket: 1m } } }]'),
      '11:53 migrations.move.rules[1].ttl: a second rule for ttl; one is expected',
    ],
    [
      'has leases in SQLite',
      withMigration('rules: [{ ttl: { toLease: { bucket: 5m } } }]').replace(
        /new: .*/,
        'new: { kind: sqlite, file: a.db }',
      ),
      '11:22 migrations.move.rules[0].ttl.toLease: there are leases in etcd-v3 and etcd-v3-snapshot only, and the target is sqlite',
    ],
    [
      'has a rule that says two things',
      withMigration("rules: [ { include: ['a/**'], exclude: ['b/**'] } ]"),
      '11:14 migrations.move.rules[0]: one of ttl, include, exclude, value, rename, module, program is expected in each rule',
    ],
    [
      'has a value rule that says nothing',
      withMigration("rules: [ { value: { keys: ['a/**'] } } ]"),
      '11:23 migrations.move.rules[0].value: one of base64, gzip, json is expected',
    ],
    [
      'has a JSON edit without a pointer',
      withMigration('rules: [ { value: { json: [ { remove: a } ] } } ]'),
      '11:43 migrations.move.rules[0].value.json[0].remove: a JSON pointer begins with a slash, or is empty',
    ],
    [
      'has no workers',
      withMigration('limits: { workers: 0 }'),
      '11:24 migrations.move.limits.workers: a number of workers, a whole number from 1 to 64, is expected',
    ],
    [
      'has a size without unit',
      withMigration('limits: { chunkSize: "1024" }'),
      `11:26 migrations.move.limits.chunkSize: ${unit}: a size such as 64KiB or 16MiB is expected`,
    ],
    [
      'has a rate without its time',
      withMigration('limits: { rate: 2000 }'),
      `11:21 migrations.move.limits.rate: ${unit}: a rate of keys a second such as 200/s or 2000/s is expected`,
    ],
    [
      'has a rate by another time',
      withMigration('limits: { rate: 10/m }'),
      '11:21 migrations.move.limits.rate: a rate of keys a second such as 200/s or 2000/s is expected',
    ],
    [
      'has a rate of nothing',
      withMigration('limits: { rate: 0/s }'),
      '11:21 migrations.move.limits.rate: a rate of keys a second such as 200/s or 2000/s is expected',
    ],
    [
      'has a latency without unit, and a budget below nothing',
      withMigration('limits: { targetP99: 50, deadLettersMax: -1 }'),
      `11:26 migrations.move.limits.targetP99: ${unit}: a duration such as 500ms, 30s, 10m or 24h is expected`,
      '11:46 migrations.move.limits.deadLettersMax: a number of records, a whole number from 0 to 1000000000, is expected',
    ],
    [
      'has a review that is none',
      withMigration('review: warning'),
      '11:13 migrations.move.review: one of always, warnings, blocking is expected (warnings)',
    ],
    [
      'has a glob that does not close',
      withMigration("sensitive: ['}{']"),
      '11:17 migrations.move.sensitive[0]: a glob is expected, and this one does not close or has a range that descends',
    ],
    ['has nothing where a map is', withMigration('plan:'), '11:5 migrations.move.plan: a map is expected'],
  ])('that %s', async (_name, text, ...issues) => {
    expect(await issuesOf(text)).toEqual(issues);
  });

  it('gives all mistakes of a file at once, in their order', async () => {
    const text = valid.replace('offline', 'ofline').replace('store: old', 'store: oldd').replace('dump.json', '[]');
    expect((await issuesOf(text)).map((issue) => issue.split(' ')[0])).toEqual(['5:29', '8:22', '10:15']);
  });

  it('counts lines and columns in JSON with tabs too', async () => {
    expect(await issuesOf('{\n\t"version": 1,\n\t"stores": {},\n\t"migrations": {},\n\t"stat": 1\n}\n')).toEqual([
      '5:2 stat: is not a known key (state)',
    ]);
  });

  it('points into what an alias stands for', async () => {
    const text = withStore("{ kind: etcd-v2, endpoints: &e ['a'] }").replace(/(new: .*endpoints: ).*/, '$1*e }');
    expect(await issuesOf(text)).toEqual([
      '3:40 stores.old.endpoints[0]: a URL such as https://etcd-1:2379 is expected',
      '3:40 stores.new.endpoints[0]: a URL such as https://etcd-1:2379 is expected',
    ]);
  });
});

describe('a secret in plain text', () => {
  const auth = (password: string) =>
    withStore(`{ kind: etcd-v2, endpoints: ['http://a:1'], auth: { user: root, password: ${password} } }`);

  it.each([
    ['a password', auth('hunter22'), 'stores.old.auth.password', 'hunter22'],
    ['a password of digits', auth('20262026'), 'stores.old.auth.password', '20262026'],
    [
      'a URL',
      withStore("{ kind: etcd-v2, endpoints: ['http://u:p%40ssword@a:1'] }"),
      'stores.old.endpoints[0]',
      'p@ssword',
    ],
    [
      'a private key',
      withStore("{ kind: etcd-v2, endpoints: ['https://a:1'], tls: { cert: c, key: '-----BEGIN PRIVATE KEY-----' } }"),
      'stores.old.tls.key',
      '-----BEGIN PRIVATE KEY-----',
    ],
  ])('in %s is refused by its own code, and never shown', async (_name, text, path, secret) => {
    const redactor = new Redactor();
    const error: unknown = await load(text, redactor).catch((thrown: unknown) => thrown);
    expect(isKeyferryError(error, 'config.plaintext-secret') && error.details).toMatchObject({ path, line: 3 });
    expect(JSON.stringify(error) + String(error)).not.toContain(secret);
    expect(redactor.redact(text)).not.toContain(secret);
  });

  it('among other mistakes is one of the issues', async () => {
    expect(await issuesOf(`${auth('hunter22')}    emptyDirs: marker\n`)).toEqual([
      '3:82 stores.old.auth.password: holds a secret in plain text: refer to it as { env: NAME } or { file: PATH }',
      '11:5 migrations.move.emptyDirs: is not available in this version',
    ]);
  });

  it.each([auth('{ env: ETCD_PASSWORD, passwrod: hunter22 }'), auth('x').replace('password: x', 'passwrod: hunter22')])(
    'under a mistyped key is kept out of an excerpt',
    async (text) => {
      const redactor = new Redactor();
      await expect(load(text, redactor)).rejects.toThrow(KeyferryError);
      expect(redactor.redact(text)).not.toContain('hunter22');
    },
  );
});

describe('a right configuration', () => {
  it('has every default filled in and its paths as written', async () => {
    expect(await load(valid)).toEqual({
      file: join(folder, 'keyferry.yaml'),
      directory: folder,
      balancers: {},
      parallel: {},
      state: { sqlite: '.keyferry/state.db' },
      stores: {
        old: {
          kind: 'etcd-v2',
          endpoints: ['http://etcd-1:2379'],
          tls: null,
          auth: null,
          requestTimeoutMs: null,
          reservedPrefix: null,
        },
        new: {
          kind: 'etcd-v3',
          endpoints: ['http://etcd-1:2379'],
          tls: null,
          auth: null,
          requestTimeoutMs: null,
          reservedPrefix: null,
        },
        dump: { kind: 'file', path: 'dump.json', format: 'etcd-v2-json' },
      },
      migrations: {
        move: {
          source: { store: 'old', prefix: '/config/' },
          target: { store: 'new', prefix: '/config/', requireEmpty: null },
          strategy: 'offline',
          after: [],
          rules: [],
          onConflict: 'fail',
          prune: false,
          guards: { deleteShareMax: 0.1, deletesMax: 1000 },
          keepBefore: true,
          backup: null,
          limits: { workers: 2, chunkKeys: 10_000, chunkBytes: 16 * 1024 ** 2 },
          runLimits: { ratePerSecond: null, targetP99Ms: null, sourceP99Ms: null, deadLettersMax: 100, functions: 8 },
          plan: { maxAgeMs: 86_400_000 },
          sensitive: [],
          review: 'warnings',
        },
      },
      prices: listPrices,
    });
  });

  it('has prices of its own, all or none', async () => {
    const prices = { region: 'eu-west-1', asOf: '2027-01', writeUnits: 0.7, readUnits: 0.14, gigabyteSeconds: 13.4 };
    const whole = JSON.stringify({ ...prices, invocations: 0.2, transitions: 25 });
    expect((await load(`${valid}\nprices: ${whole}\n`)).prices).toEqual({
      region: 'eu-west-1',
      asOf: '2027-01',
      perMillion: { writeUnits: 0.7, readUnits: 0.14, gigabyteSeconds: 13.4, invocations: 0.2, transitions: 25 },
    });
    const part = load(`${valid}\nprices: ${JSON.stringify(prices)}\n`);
    await expect(part).rejects.toMatchObject({ code: 'config.invalid' });
  });

  it('has every setting that was made', async () => {
    const config = await load(`
version: 1
state: { sqlite: state.db }
stores:
  a:
    kind: etcd-v3
    endpoints: [https://a:1, https://b:1]
    tls: &tls { ca: ca.pem, cert: { file: c.pem }, key: { env: KEY }, serverName: etcd }
    auth: { user: { env: USER }, password: { file: password } }
    requestTimeout: 1.5s
    reservedPrefix: _kf/
  b: { kind: etcd-v3, endpoints: [https://a:1], tls: *tls, auth: { user: root, password: { env: P } } }
  c: { kind: sqlite, file: a.db, table: t }
migrations:
  m:
    source: { store: a, prefix: '' }
    target: { store: b, prefix: /x/, requireEmpty: keyspace }
    strategy: offline
    rules: [ { ttl: { toLease: { bucket: 5m } } } ]
    onConflict: keep-target
    prune: true
    guards: { deleteShareMax: 0.5, deletesMax: 7 }
    keepBefore: false
    limits: { workers: 4, chunkKeys: 5, chunkSize: 64KiB, rate: 0.5/s, targetP99: 50ms, sourceP99: 1s, deadLettersMax: 0, functions: 20 }
    plan: { maxAge: 2h }
    sensitive: [ "/db/**" ]
    review: always
`);
    const tls = { ca: { file: 'ca.pem' }, cert: { file: 'c.pem' }, key: { env: 'KEY' }, serverName: 'etcd' };
    expect(config.stores).toEqual({
      a: {
        kind: 'etcd-v3',
        endpoints: ['https://a:1', 'https://b:1'],
        tls,
        auth: { user: { env: 'USER' }, password: { file: 'password' } },
        requestTimeoutMs: 1500,
        reservedPrefix: '_kf/',
      },
      b: {
        kind: 'etcd-v3',
        endpoints: ['https://a:1'],
        tls,
        auth: { user: 'root', password: { env: 'P' } },
        requestTimeoutMs: null,
        reservedPrefix: null,
      },
      c: { kind: 'sqlite', file: 'a.db', table: 't' },
    });
    expect(config.state).toEqual({ sqlite: 'state.db' });
    expect(config.migrations['m']).toEqual({
      source: { store: 'a', prefix: '' },
      target: { store: 'b', prefix: '/x/', requireEmpty: 'keyspace' },
      after: [],
      strategy: 'offline',
      rules: [{ ttl: { toLease: { bucketMs: 300_000 } } }],
      onConflict: 'keep-target',
      prune: true,
      guards: { deleteShareMax: 0.5, deletesMax: 7 },
      keepBefore: false,
      backup: null,
      limits: { workers: 4, chunkKeys: 5, chunkBytes: 65_536 },
      runLimits: { ratePerSecond: 0.5, targetP99Ms: 50, sourceP99Ms: 1000, deadLettersMax: 0, functions: 20 },
      plan: { maxAgeMs: 7_200_000 },
      sensitive: ['/db/**'],
      review: 'always',
    });
  });
});

it('has state in a table, with defaults that are said to be none', async () => {
  const stateOf = async (more: string) =>
    (await load(withTop(`state: { dynamodb: { table: keyferry, region: eu-west-1${more} } }`))).state;
  const unset = { endpoint: null, requestTimeoutMs: null, eventsKeptMs: null };
  expect(await stateOf('')).toEqual({ dynamodb: { table: 'keyferry', region: 'eu-west-1', ...unset } });
  expect(await stateOf(', endpoint: "http://127.0.0.1:8000", requestTimeout: 5s, eventsKept: 400d')).toEqual({
    dynamodb: {
      table: 'keyferry',
      region: 'eu-west-1',
      endpoint: 'http://127.0.0.1:8000',
      requestTimeoutMs: 5000,
      eventsKeptMs: 34_560_000_000,
    },
  });
});

it('says when there is no file, and when it cannot be read', async () => {
  await expect(loadConfig(join(folder, 'gone.yaml'))).rejects.toMatchObject({ code: 'config.not-found' });
  await expect(loadConfig(folder)).rejects.toMatchObject({ code: 'file.unreadable' });
});
