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
import { lastLines, startChild, type Child } from '../process/child.ts';
import { waitUntil } from '../process/wait-until.ts';
import { ServerError } from '../server-error.ts';
import {
  configFileOf,
  consulArguments,
  consulConfig,
  consulEnvironment,
  type ConsulFlags,
  type ServerPlan,
} from './arguments.ts';

export interface ConsulMember {
  readonly name: string;
  readonly endpoint: string;
  /** `undefined` while it is ended. A restart gives a new one. */
  readonly pid: number | undefined;
  readonly dataDir: string;
  /** Output of all its processes so far. */
  readonly logFile: string;
  /** Ends it as an operator would, by SIGTERM. Keeps the data, and its place in the cluster. */
  stop(): Promise<void>;
  /** SIGKILL resolves once the process is gone; the other two as soon as they are sent. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** Ends it if it runs, then starts it again and waits until it is healthy. @throws {ServerError} `server.start-failed` */
  restart(options?: { readonly waitHealthy?: boolean }): Promise<void>;
  /** Resolves once it answers a consistent read, so with a leader and a quorum. @throws {ServerError} */
  waitHealthy(timeoutMs?: number): Promise<void>;
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
  onProcessesChanged(): void;
}

/** A server not yet started: `restart()` starts it. `killNow` is for handlers that cannot wait. */
export function createMember(context: MemberContext): ConsulMember & { killNow(): void } {
  const { plan, cluster, flags, endpoint, logFile, detached } = context;
  let child: Child | undefined;
  const running = (): Child | undefined => (child?.hasEnded() === false ? child : undefined);

  const end = async (graceMs: number): Promise<void> => {
    await running()?.end(graceMs);
    context.onProcessesChanged();
  };

  return {
    name: plan.name,
    endpoint,
    dataDir: plan.dataDir,
    logFile,
    get pid() {
      return running()?.pid;
    },
    stop: () => end(10_000),
    kill: async (signal) => {
      if (signal === 'SIGKILL') return await end(0);
      running()?.signal(signal);
    },
    killNow: () => running()?.signal('SIGKILL'),
    async restart({ waitHealthy = true } = {}) {
      await end(10_000);
      await mkdir(plan.dataDir, { recursive: true, mode: 0o700 });
      await writeFile(configFileOf(plan), JSON.stringify(consulConfig(plan, flags)), { mode: 0o600 });
      const program = join(context.programDirectory, 'consul');
      const environment = consulEnvironment(process.env);
      child = await startChild({ program, args: consulArguments(plan, cluster), environment, logFile, detached });
      context.onProcessesChanged();
      if (waitHealthy) await this.waitHealthy();
    },
    async waitHealthy(timeoutMs = context.startTimeoutMs) {
      let answer = 'no answer yet';
      let answersItself = false;
      const healthy = await waitUntil(async () => {
        if (running() === undefined) throw startFailure(context, 'its process has ended');
        answersItself ||= await isItself(context);
        answer = answersItself ? await healthOf(context) : 'no answer of its own yet';
        return answer === 'healthy';
      }, timeoutMs);
      if (!healthy) throw startFailure(context, `it was not healthy within ${timeoutMs} ms (${answer})`);
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

function startFailure({ plan, logFile }: MemberContext, why: string): ServerError {
  const log = lastLines(logFile, 12);
  if (log.includes('address already in use')) {
    const { httpPort, rpcPort, gossipPort } = plan;
    const remedy = `Stop what listens on port ${httpPort}, ${rpcPort} or ${gossipPort}, or choose another port.`;
    return new ServerError('server.port-taken', `consul ${plan.name} found its port taken.`, remedy);
  }
  const remedy = 'The log above usually names the cause; check the configuration and the data directory.';
  return new ServerError('server.start-failed', `consul ${plan.name} did not start: ${why}.\n${log}`, remedy);
}
