/**
 * Turns authentication on, in v2 and in v3: root, and one application user with a role on one prefix.
 *
 * The two are separate in one and the same server: other users, other rules, other switches. Both helpers leave the
 * same picture behind, so that one suite can run against either.
 */
import { clientAgent, request, type Credentials } from '../net/request.ts';
import { ServerError } from '../server-error.ts';
import { etcdctl } from './etcdctl.ts';
import type { EtcdServer } from './start-etcd.ts';

export interface AuthOptions {
  /** Password of `root`. Default `root-password`. */
  readonly rootPassword?: string;
  /** Default `app` / `app-password`. */
  readonly app?: Credentials;
  /** Name of the application's role. Default `app-role`. */
  readonly role?: string;
  /** What the role covers, for reading and writing: a v2 directory without wildcard (`/app`), or a v3 key prefix. */
  readonly prefix: string;
  readonly access?: 'read' | 'readwrite';
}

export interface AuthEnabled {
  readonly root: Credentials;
  readonly app: Credentials;
}

/**
 * v2, over its HTTP API. `guest`, the role of requests without credentials, starts with everything and keeps it unless
 * `keepGuest` is false (the default), so that a forgotten password shows as an error instead of as success.
 */
export async function enableV2Auth(
  server: Pick<EtcdServer, 'endpoints' | 'clientTls'>,
  options: AuthOptions & { readonly keepGuest?: boolean },
): Promise<AuthEnabled> {
  const { prefix, access = 'readwrite', keepGuest = false } = options;
  const { root, app, role } = withDefaults(options);
  const agent = clientAgent(server.clientTls, 1);
  const put = async (path: string, body: object | undefined, credentials?: Credentials): Promise<void> => {
    const url = `${server.endpoints[0] ?? ''}/v2/auth/${path}`;
    const json =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const reply = await request(url, { method: 'PUT', agent, ...json, ...(credentials && { credentials }) });
    if (reply.status < 300) return;
    const summary = `PUT /v2/auth/${path} was answered ${reply.status}: ${reply.body.trim()}`;
    throw new ServerError('server.command-failed', summary, 'Start the server with enableV2, and call this once only.');
  };
  // A pattern is a prefix of the path; with "/app/*" alone, "/app" itself could not be listed.
  const patterns = prefix.endsWith('/') ? [`${prefix}*`] : [prefix, `${prefix}/*`];
  const kv = { read: patterns, write: access === 'readwrite' ? patterns : [] };
  try {
    await put('users/root', { user: root.user, password: root.password });
    await put(`roles/${role}`, { role, permissions: { kv } });
    await put(`users/${app.user}`, { user: app.user, password: app.password, roles: [role] });
    await put('enable', undefined);
    const everything = { kv: { read: ['/*'], write: ['/*'] } };
    if (!keepGuest) await put('roles/guest', { role: 'guest', revoke: everything }, root);
  } finally {
    agent.destroy();
  }
  return { root, app };
}

/** v3, through etcdctl: its RPCs have no HTTP form that is the same in all releases. */
export async function enableV3Auth(
  server: Pick<EtcdServer, 'endpoints' | 'clientTls' | 'programDirectory'>,
  options: AuthOptions,
): Promise<AuthEnabled> {
  const { prefix, access = 'readwrite' } = options;
  const { root, app, role } = withDefaults(options);
  const endpoints = server.endpoints.slice(0, 1);
  const run = (...args: readonly string[]): Promise<string> => etcdctl(server, args, { endpoints });
  await run('user', 'add', `${root.user}:${root.password}`);
  await run('user', 'grant-role', root.user, 'root');
  await run('role', 'add', role);
  await run('role', 'grant-permission', role, access, prefix, '--prefix=true');
  await run('user', 'add', `${app.user}:${app.password}`);
  await run('user', 'grant-role', app.user, role);
  await run('auth', 'enable');
  return { root, app };
}

function withDefaults(options: AuthOptions): AuthEnabled & { readonly role: string } {
  return {
    root: { user: 'root', password: options.rootPassword ?? 'root-password' },
    app: options.app ?? { user: 'app', password: 'app-password' },
    role: options.role ?? 'app-role',
  };
}
