/**
 * Runs the etcdctl that came with a server, pointed at it, for what a test wants done by a program that is not ours.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Credentials } from '../net/request.ts';
import { ServerError } from '../server-error.ts';
import { etcdEnvironment } from './arguments.ts';
import type { EtcdServer } from './start-etcd.ts';

export interface EtcdctlOptions {
  readonly stdin?: string | Uint8Array;
  /** Default '3'. The v2 commands (`ls`, `mkdir`, …) need '2'. */
  readonly api?: '2' | '3';
  readonly credentials?: Credentials;
  /** Default: all members. */
  readonly endpoints?: readonly string[];
  /** Variables beside the caller's own, which are passed without ETCD_* and ETCDCTL_*. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface EtcdctlResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

type Target = Pick<EtcdServer, 'programDirectory' | 'endpoints' | 'clientTls'>;

/** @throws {ServerError} `server.command-failed` for any exit code but 0; use {@link runEtcdctl} to look at it. */
export async function etcdctl(server: Target, args: readonly string[], options: EtcdctlOptions = {}): Promise<string> {
  const { stdout, stderr, exitCode } = await runEtcdctl(server, args, options);
  if (exitCode === 0) return stdout;
  const summary = `etcdctl ${args.slice(0, 2).join(' ')} ended with code ${exitCode}: ${stderr.trim() || stdout.trim()}`;
  throw new ServerError('server.command-failed', summary, 'Run the same command against a server started by hand.');
}

/** Like {@link etcdctl}, and leaves the exit code to the caller. */
export function runEtcdctl(
  server: Target,
  args: readonly string[],
  options: EtcdctlOptions = {},
): Promise<EtcdctlResult> {
  const { api = '3', stdin } = options;
  const environment = {
    ...etcdEnvironment(process.env, process.arch),
    ETCDCTL_API: api,
    ...options.environment,
  };
  const command = join(server.programDirectory, 'etcdctl');
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...globalFlags(server, options, api), ...args], { env: environment });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => stdout.push(part));
    child.stderr.on('data', (part: Buffer) => stderr.push(part));
    child.once('error', reject);
    child.once('close', (code) => {
      const text = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString('utf8');
      resolve({ stdout: text(stdout), stderr: text(stderr), exitCode: code ?? -1 });
    });
    child.stdin.on('error', () => undefined); // it may end without reading; its exit code tells the story
    child.stdin.end(stdin);
  });
}

/** The two generations of commands spell the same flags differently. */
function globalFlags(server: Target, options: EtcdctlOptions, api: '2' | '3'): readonly string[] {
  const { credentials, endpoints = server.endpoints } = options;
  const { caFile, clientCertFile, clientKeyFile } = server.clientTls ?? {};
  const flag = (name: string, value: string | undefined): readonly string[] =>
    value === undefined ? [] : [`--${name}`, value];
  const login = credentials && `${credentials.user}:${credentials.password}`;
  return [
    ...flag('endpoints', endpoints.join(',')),
    ...flag(api === '2' ? 'ca-file' : 'cacert', caFile),
    ...flag(api === '2' ? 'cert-file' : 'cert', clientCertFile),
    ...flag(api === '2' ? 'key-file' : 'key', clientKeyFile),
    ...flag(api === '2' ? 'username' : 'user', login),
  ];
}
