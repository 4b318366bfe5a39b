/**
 * Goal: a store that cannot be reached, does not speak what is needed or does not let keyferry in is an error with its
 * own code, in bounded time; and no secret is ever found in anything that keyferry writes.
 * Method: servers with TLS and users, reached wrongly in each way and then rightly, with secrets from the environment and
 * from files; after each run all output and every file of the folder is searched for the secrets, in all their disguises.
 */
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import {
  enableV2Auth,
  enableV3Auth,
  freePorts,
  loadV2Keys,
  serverOrSkip,
  startEtcd,
  type EtcdServer,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, it, type ExpectStatic } from 'vitest';
import { MigrationFolder } from './migration-folder.ts';
import { zipContents } from './zip-contents.ts';

const [old, current] = await Promise.all([serverOrSkip('etcd-3.4'), serverOrSkip('etcd-3.5')]);
const note = [old, current].find((server) => !server.ok)?.note ?? '';

/** Awkward on purpose: quotes and letters beyond ASCII change their form in JSON, URLs and headers. */
const passwords = { v2: 'canary-"v2"/päss wörd', v3: 'canary+v3%pass=w&rd', wrong: 'canary-wrong-"password"' };
/** Holds what keyferry reads secrets from; the only place where they may be found. */
const secretsFolder = 'secrets';
const triesMax = 9;

type Store = Readonly<Record<string, unknown>>;

describe.skipIf(!old.ok || !current.ok).concurrent(`stores that let in only some${note}`, () => {
  let source: EtcdServer;
  let target: EtcdServer;
  let withoutV2: EtcdServer;
  const folders: MigrationFolder[] = [];
  let clientKey = '';

  const sourceStore = (): Store => ({
    kind: 'etcd-v2',
    endpoints: source.endpoints,
    tls: { ca: 'secrets/ca.pem' },
    auth: { user: 'app', password: { file: 'secrets/v2.password' } },
  });
  const targetStore = (): Store => ({
    kind: 'etcd-v3',
    endpoints: target.endpoints,
    tls: { ca: 'secrets/target-ca.pem', cert: 'secrets/client.pem', key: { file: 'secrets/client.key' } },
    auth: { user: 'root', password: { env: 'TEST_V3_PASSWORD' } },
  });

  /** @param targetPrefix of its own for a test that writes: all of them run at the same time */
  const open = async (from: Store, to: Store, targetPrefix = '/config/'): Promise<MigrationFolder> => {
    const folder = await MigrationFolder.create({ source: from, target: to, targetPrefix });
    folders.push(folder);
    await mkdir(folder.file(secretsFolder));
    await folder.write('secrets/v2.password', `${passwords.v2}\n`);
    await folder.write('secrets/wrong.password', passwords.wrong);
    const copies = [
      [source.tls?.caFile, 'ca.pem'],
      [source.tls?.untrusted.caFile, 'other-ca.pem'],
      [target.tls?.caFile, 'target-ca.pem'],
      [target.tls?.clientCertFile, 'client.pem'],
      [target.tls?.clientKeyFile, 'client.key'],
      [target.tls?.untrusted.clientCertFile, 'other-client.pem'],
      [target.tls?.untrusted.clientKeyFile, 'other-client.key'],
    ] as const;
    for (const [from_, name] of copies) await copyFile(from_ ?? '', folder.file(`secrets/${name}`));
    return folder;
  };
  const env = { TEST_V3_PASSWORD: passwords.v3, TEST_WRONG_PASSWORD: passwords.wrong };
  const loudly = ['--verbose', '--events', 'run.ndjson'];

  beforeAll(async () => {
    [source, target, withoutV2] = await Promise.all([
      startEtcd({ version: '3.4', enableV2: true, tls: true }),
      startEtcd({ version: '3.5', unsafeNoFsync: true, tls: { clientCertAuth: true } }),
      startEtcd({ version: '3.5', unsafeNoFsync: true }),
    ]);
    const entries = Array.from({ length: 500 }, (_, i) => ({ key: `/config/${i}`, value: `value ${i}` }));
    await loadV2Keys(source.endpoints[0] as string, entries, { clientTls: source.clientTls });
    await enableV2Auth(source, {
      prefix: '/config/',
      access: 'read',
      app: { user: 'app', password: passwords.v2 },
      rootPassword: 'root',
    });
    await enableV3Auth(target, { prefix: '/config/', rootPassword: passwords.v3 });
    clientKey = await readFile(target.tls?.clientKeyFile ?? '', 'utf8');
  });
  afterAll(async () => {
    await Promise.all(folders.map((folder) => folder.remove()));
    await Promise.all([source?.stop(), target?.stop(), withoutV2?.stop()]);
  });

  /** Runs, and looks for secrets in whatever came of it. */
  const run = async (expect: ExpectStatic, folder: MigrationFolder, args: readonly string[], more = {}) => {
    const answer = await folder.run([...args, ...loudly], { ...env, ...more });
    const places = new Map<string, Buffer>([
      ['stdout', Buffer.from(answer.stdout)],
      ['stderr', Buffer.from(answer.stderr)],
    ]);
    for (const [name, bytes] of await filesOf(folder)) places.set(name, bytes);
    expect(places.size).toBeGreaterThan(3);
    for (const [place, bytes] of places) {
      const found = formsOf([...Object.values(passwords), clientKey]).filter((form) => bytes.includes(form));
      expect({ place, found }).toEqual({ place, found: [] });
    }
    return answer;
  };

  it('a whole migration with the right secrets leaves none of them behind', async ({ expect }) => {
    const folder = await open(sourceStore(), targetStore(), '/config/all/');
    const steps = [
      ['plan', 'move', '--out', 'move.kfplan'],
      ['show', 'move.kfplan'],
      ['apply', 'move.kfplan'],
      ['verify', 'move'],
      ['status'],
      ['rollback', 'move', '--yes'],
      ['apply', 'move', '--yes'],
    ];
    for (const step of steps) {
      expect({ step, ...(await run(expect, folder, step)) }).toMatchObject({ step, exitCode: 0 });
    }
    const files = [...(await filesOf(folder)).keys()];
    expect(files).toContain('move.kfplan: plan.json');
    expect(files).toContain('move.kfplan: config.json');
    expect(files).toContain('.keyferry/state.db');
  });

  it('members at work are asked as the configuration says of their store', async ({ expect }) => {
    const auth = { user: 'root', password: { file: 'secrets/root.password' } };
    const folder = await open({ ...sourceStore(), auth }, targetStore());
    await folder.write('secrets/root.password', 'root');
    const [url = ''] = source.endpoints;
    const compare = ['inspect', url, '--member', url];
    // Both times it answered with its id, by which it is known to be one.
    expect(await run(expect, folder, [...compare, '--store', 'old'])).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'datadir.member-twice' } },
    });
    expect(await run(expect, folder, compare)).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'store.tls-failed' } },
    });
    expect(await run(expect, folder, [...compare, '--store', 'new'])).toMatchObject({
      exitCode: 64,
      document: { error: { code: 'usage.invalid', remedy: expect.stringContaining('--store old') as unknown } },
    });
  });

  it.for<[string, () => readonly [Store, Store], string, RegExp]>([
    [
      'a CA that signed nothing here, for v2',
      () => [{ ...sourceStore(), tls: { ca: 'secrets/other-ca.pem' } }, targetStore()],
      'store.tls-failed',
      /store old/,
    ],
    ['no CA, for v3', () => [sourceStore(), { ...targetStore(), tls: undefined }], 'store.tls-failed', /store new/],
    [
      'no client certificate, for v3',
      () => [sourceStore(), { ...targetStore(), tls: { ca: 'secrets/target-ca.pem' } }],
      'store.tls-failed',
      /store new/,
    ],
    [
      'a client certificate of another CA, for v3',
      () => {
        const pair = { cert: 'secrets/other-client.pem', key: { file: 'secrets/other-client.key' } };
        return [sourceStore(), { ...targetStore(), tls: { ca: 'secrets/target-ca.pem', ...pair } }];
      },
      'store.tls-failed',
      /store new/,
    ],
    [
      'http to a server with TLS, for v2',
      () => [{ ...sourceStore(), endpoints: [plain(source)], tls: undefined }, targetStore()],
      'store.tls-failed',
      /write the endpoint as https/,
    ],
    [
      'a wrong password from a file, for v2',
      () => [{ ...sourceStore(), auth: { user: 'app', password: { file: 'secrets/wrong.password' } } }, targetStore()],
      'store.auth-failed',
      /user app/,
    ],
    [
      'a wrong password from the environment, for v3',
      () => [sourceStore(), { ...targetStore(), auth: { user: 'root', password: { env: 'TEST_WRONG_PASSWORD' } } }],
      'store.auth-failed',
      /store new/,
    ],
    [
      'no user, for v2',
      () => [{ ...sourceStore(), auth: undefined }, targetStore()],
      'store.auth-failed',
      /none is configured/,
    ],
    [
      'the v2 API being off',
      () => [{ kind: 'etcd-v2', endpoints: withoutV2.endpoints }, targetStore()],
      'store.unsupported',
      /--enable-v2/,
    ],
  ])('%s is an error that says so at once', async ([_name, stores, code, says], { expect }) => {
    const folder = await open(...stores());
    const answer = await run(expect, folder, ['plan', 'move', '--out', 'move.kfplan']);
    expect(answer).toMatchObject({ exitCode: 1, document: { error: { code, retry: 'never' } } });
    expect(answer.stdout).toMatch(says);
    expect(answer.stderr).not.toContain('store.retrying');
  });

  it('a user who may not write the target is told so by apply, and nothing was written', async ({ expect }) => {
    const auth = { user: 'app', password: { env: 'TEST_APP_PASSWORD' } };
    const folder = await open(sourceStore(), { ...targetStore(), auth }, '/config/app/');
    const app = { TEST_APP_PASSWORD: 'app-password' };
    expect(await run(expect, folder, ['plan', 'move', '--out', 'move.kfplan'], app)).toMatchObject({ exitCode: 0 });
    expect(await run(expect, folder, ['apply', 'move.kfplan'], app)).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'store.permission-denied', details: { store: 'new' } } },
    });
  });

  it.for<[string, () => readonly [Store, Store], string]>([
    [
      'a password in the configuration itself',
      () => [{ ...sourceStore(), auth: { user: 'app', password: passwords.v2 } }, targetStore()],
      'config.plaintext-secret',
    ],
    [
      'a password in an endpoint',
      () => {
        const endpoint = `https://app:${encodeURIComponent(passwords.v2)}@etcd:2379`;
        return [{ ...sourceStore(), endpoints: [endpoint] }, targetStore()];
      },
      'config.plaintext-secret',
    ],
    [
      'a variable that is not set',
      () => [sourceStore(), { ...targetStore(), auth: { user: 'root', password: { env: 'TEST_NOT_SET' } } }],
      'config.secret-missing',
    ],
    [
      'a file that is not there',
      () => [{ ...sourceStore(), auth: { user: 'app', password: { file: 'secrets/none' } } }, targetStore()],
      'config.secret-missing',
    ],
  ])('%s ends with 78', async ([_name, stores, code], { expect }) => {
    const folder = await open(...stores());
    const config = await readFile(folder.file('keyferry.yaml'));
    const answer = await folder.run(['plan', 'move', '--out', 'move.kfplan', ...loudly], env);
    expect(answer).toMatchObject({ exitCode: 78, document: { error: { code } } });
    // The configuration holds it, and nothing else may.
    const places = [...(await filesOf(folder)).values()].filter((bytes) => !bytes.equals(config));
    for (const bytes of [...places, Buffer.from(answer.stdout), Buffer.from(answer.stderr)]) {
      expect(formsOf(Object.values(passwords)).filter((form) => bytes.includes(form))).toEqual([]);
    }
  });

  it.for(['source', 'target'] as const)('nobody listens where the %s should be', async (side, { expect }) => {
    const [port] = await freePorts(1);
    const endpoints = [`http://127.0.0.1:${port}`];
    const folder = await open(
      side === 'source' ? { kind: 'etcd-v2', endpoints } : sourceStore(),
      side === 'target' ? { kind: 'etcd-v3', endpoints } : targetStore(),
    );
    const planning = folder.start(['plan', 'move', '--out', 'move.kfplan'], env);
    const { exitCode, document, stdout } = await planning.output;
    expect({ exitCode, document }).toMatchObject({
      exitCode: 1,
      document: { error: { code: 'store.unreachable', retry: 'backoff' } },
    });
    expect(stdout).toContain(`127.0.0.1:${port}`);
    const retries = (await planning.log()).filter(({ type }) => type === 'store.retrying');
    expect(retries.length).toBe(triesMax - 1);
    await expect(readFile(folder.file('move.kfplan'))).rejects.toThrow('ENOENT');
  });
});

const plain = ({ endpoints }: EtcdServer): string => (endpoints[0] as string).replace('https:', 'http:');

/** Every file that is not a place for secrets; of a plan file, its entries too. */
async function filesOf(folder: MigrationFolder): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const name of await readdir(folder.path, { recursive: true })) {
    if (name.startsWith(secretsFolder)) continue;
    const bytes = await readFile(folder.file(name)).catch(() => null); // a folder
    if (bytes === null) continue;
    files.set(name, bytes);
    if (!name.endsWith('.kfplan')) continue;
    for (const [entry, content] of zipContents(bytes)) files.set(`${name}: ${entry}`, content);
  }
  return files;
}

function formsOf(secrets: readonly string[]): readonly string[] {
  return secrets.flatMap((secret) => {
    const lines = secret.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
    return lines.flatMap((line) => [
      line,
      JSON.stringify(line).slice(1, -1),
      encodeURIComponent(line),
      Buffer.from(line).toString('base64').replace(/=+$/, ''),
      Buffer.from(`app:${line}`).toString('base64').replace(/=+$/, ''),
      Buffer.from(line).toString('hex'),
    ]);
  });
}
