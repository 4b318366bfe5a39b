/**
 * One server of a Consul cluster: its process, from start over kill to restart, and the proof that it is at work.
 *
 * It counts as up once it answers a consistent read, which takes a leader and a quorum. A cluster of three elects only
 * when a second one is there, so whoever starts several must start them all before waiting for the first.
 */
import type { Agent } from 'node:http';
import { readFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from '../net/request.ts';
import { startChild } from '../process/child.ts';
import { restartable, type Restartable } from '../process/restartable.ts';
import { startFailure } from '../process/start-failure.ts';
import {
  configFileOf,
  consulArguments,
  consulConfig,
  consulEnvironment,
  type ConsulFlags,
  type ServerPlan,
} from './arguments.ts';

export interface ConsulMember extends Omit<Restartable, 'killNow' | 'restart'> {
  readonly name: string;
  readonly endpoint: string;
  readonly dataDir: string;
  /** Output of all its processes so far. */
  readonly logFile: string;
  /** Ends it if it runs, then starts it again and waits until it is healthy. @throws {ServerError} `server.start-failed` */
  restart(options?: { readonly waitHealthy?: boolean }): Promise<void>;
  /** Resolves once it answers a consistent read, so with a leader and a quorum. @throws {ServerError} */
  readonly waitHealthy: Restartable['waitHealthy'];
}

export interface MemberContext {
  readonly endpoint: string;
  readonly plan: ServerPlan;
  readonly cluster: readonly ServerPlan[];
  readonly flags: ConsulFlags;
  readonly programDirectory: string;
  readonly logFile: string;
  readonly agent: Agent;
  readonly detached: boolean;
  readonly startTimeoutMs: number;
  /** Called whenever the set of processes may have changed. */
  readonly onProcessesChanged: () => void;
}

/** A server not yet started: `restart()` starts it. */
export function createMember(context: MemberContext): ConsulMember & Pick<Restartable, 'killNow'> {
  const { plan, cluster, flags, endpoint, logFile, detached, startTimeoutMs, onProcessesChanged } = context;
  const own = restartable({
    startTimeoutMs,
    onProcessesChanged,
    isItself: () => isItself(context),
    health: () => healthOf(context),
    failure: (why) =>
      startFailure({
        server: `consul ${plan.name}`,
        why,
        logFile,
        takenPort: /address already in use/,
        ports: [plan.httpPort, plan.rpcPort, plan.gossipPort],
      }),
  });
  return {
    name: plan.name,
    endpoint,
    dataDir: plan.dataDir,
    logFile,
    get pid() {
      return own.pid;
    },
    stop: own.stop,
    kill: own.kill,
    killNow: own.killNow,
    waitHealthy: own.waitHealthy,
    async restart({ waitHealthy = true } = {}) {
      await own.restart(async () => {
        await mkdir(plan.dataDir, { recursive: true, mode: 0o700 });
        await writeFile(configFileOf(plan), JSON.stringify(consulConfig(plan, flags)), { mode: 0o600 });
        const program = join(context.programDirectory, 'consul');
        const environment = consulEnvironment(process.env);
        return await startChild({ program, args: consulArguments(plan, cluster), environment, logFile, detached });
      });
      if (waitHealthy) await own.waitHealthy();
    },
  };
}

function headersOf({ flags: { managementToken } }: MemberContext): Readonly<Record<string, string>> {
  return managementToken === undefined ? {} : { 'x-consul-token': managementToken };
}

/** Whether the process behind the port is ours: it says the id that it made in its data directory. */
async function isItself(context: MemberContext): Promise<boolean> {
  const { endpoint, agent, plan } = context;
  const options = { agent, timeoutMs: 2000, headers: headersOf(context) };
  const [reply, nodeId] = await Promise.all([
    request(`${endpoint}/v1/agent/self`, options).catch(() => undefined),
    readFile(join(plan.dataDir, 'node-id'), 'utf8').catch(() => undefined),
  ]);
  return nodeId !== undefined && (reply?.body.includes(`"NodeID":"${nodeId.trim()}"`) ?? false);
}

async function healthOf(context: MemberContext): Promise<string> {
  const options = { agent: context.agent, timeoutMs: 2000, headers: headersOf(context) };
  try {
    const url = `${context.endpoint}/v1/kv/keyferry-servers/health?consistent`;
    const { status, body, headers } = await request(url, options);
    if (status === 404 && headers['x-consul-knownleader'] === 'true') return 'healthy';
    return `HTTP ${status} ${body.trim()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
