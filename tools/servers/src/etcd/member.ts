/**
 * One etcd member, for tests that hurt it: stop, kill, freeze, and bring it back on the same ports and data.
 *
 *     running ──stop, SIGKILL──► ended ──restart──► running
 *        └─SIGSTOP─► frozen ─SIGCONT─► running
 *
 * Starting and being healthy are two steps: a member of three is healthy only once a second one runs, so whoever
 * restarts several must start them all before waiting for the first.
 */
import type { Agent } from 'node:http';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lastLines, startChild, type Child } from '../process/child.ts';
import { waitUntil } from '../process/wait-until.ts';
import { request } from '../net/request.ts';
import { ServerError } from '../server-error.ts';
import { dataDirArgument, etcdArguments, etcdEnvironment, type EtcdFlags, type MemberPlan } from './arguments.ts';

export interface RestartOptions {
  /** Another release on the same data: upgrades, and downgrades that must be refused. */
  readonly version?: EtcdFlags['version'];
  readonly enableV2?: boolean;
  /** Replaces the arguments given at the start. */
  readonly extraArgs?: readonly string[];
  /** Default true. False returns once the process runs, for restarting several; then use `waitHealthy()`. */
  readonly waitHealthy?: boolean;
}

export interface EtcdMember {
  readonly name: string;
  readonly endpoint: string;
  /** `undefined` while it is ended. A restart gives a new one. */
  readonly pid: number | undefined;
  readonly dataDir: string;
  /** Output of all its processes so far. */
  readonly logFile: string;
  /** Ends it as an operator would: SIGTERM, and SIGKILL should it not obey within 10 s. Keeps the data. */
  stop(): Promise<void>;
  /** SIGKILL resolves once the process is gone; the other two as soon as they are sent. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** Ends it if it runs, then starts it again. @throws {ServerError} `server.start-failed` */
  restart(options?: RestartOptions): Promise<void>;
  /** Resolves once it answers a linearizable read, so with a leader and a quorum. @throws {ServerError} */
  waitHealthy(timeoutMs?: number): Promise<void>;
}

/** What a member needs to know of its server. */
export interface MemberContext {
  readonly endpoint: string;
  readonly plan: MemberPlan;
  readonly cluster: readonly MemberPlan[];
  readonly flags: EtcdFlags;
  readonly logFile: string;
  readonly agent: Agent;
  readonly detached: boolean;
  readonly startTimeoutMs: number;
  programDirectoryOf(version: EtcdFlags['version']): Promise<string>;
  /** Called whenever the set of processes may have changed. */
  onProcessesChanged(): void;
}

/** A member not yet started: `restart()` starts it. `killNow` is for handlers that cannot wait. */
export function createMember(context: MemberContext): EtcdMember & { killNow(): void } {
  let child: Child | undefined;
  let flags = context.flags;
  const running = (): Child | undefined => (child?.hasEnded() === false ? child : undefined);

  const end = async (graceMs: number): Promise<void> => {
    await running()?.end(graceMs);
    context.onProcessesChanged();
  };

  return {
    name: context.plan.name,
    endpoint: context.endpoint,
    dataDir: context.plan.dataDir,
    logFile: context.logFile,
    get pid() {
      return running()?.pid;
    },
    stop: () => end(10_000),
    kill: async (signal) => {
      if (signal === 'SIGKILL') return await end(0);
      running()?.signal(signal);
    },
    killNow: () => running()?.signal('SIGKILL'),
    async restart({ version = flags.version, enableV2 = flags.enableV2, extraArgs = flags.extraArgs, ...rest } = {}) {
      await end(10_000);
      flags = { ...flags, version, enableV2, extraArgs };
      const { plan, cluster, logFile, detached } = context;
      await mkdir(plan.dataDir, { recursive: true, mode: 0o700 }); // etcd refuses or warns about a wider mode
      const program = join(await context.programDirectoryOf(version), 'etcd');
      const environment = etcdEnvironment(process.env, process.arch);
      child = await startChild({ program, args: etcdArguments(plan, cluster, flags), environment, logFile, detached });
      context.onProcessesChanged();
      if (rest.waitHealthy !== false) await this.waitHealthy();
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

/**
 * Whether the process behind the port is ours. Another etcd that holds the port answers `/health` just as well, in the
 * moment before ours notices and ends. `/debug/vars` gives the command line of whoever answers, in all of 3.3 to 3.5.
 */
async function isItself({ endpoint, agent, plan }: MemberContext): Promise<boolean> {
  const reply = await request(`${endpoint}/debug/vars`, { agent, timeoutMs: 2000 }).catch(() => undefined);
  return reply?.body.includes(JSON.stringify(dataDirArgument(plan))) ?? false;
}

/** `/health` on the client port: a linearizable read in all of 3.3 to 3.5. */
async function healthOf({ endpoint, agent }: MemberContext): Promise<string> {
  try {
    const { status, body } = await request(`${endpoint}/health`, { agent, timeoutMs: 2000 });
    return status === 200 && /"health":\s*"?true/.test(body) ? 'healthy' : `HTTP ${status} ${body.trim()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function startFailure({ plan, logFile }: MemberContext, why: string): ServerError {
  const log = lastLines(logFile, 12);
  if (log.includes('address already in use')) {
    const remedy = `Stop what listens on port ${plan.clientPort} or ${plan.peerPort}, or choose another port.`;
    return new ServerError('server.port-taken', `etcd ${plan.name} found its port taken.`, remedy);
  }
  const remedy = 'The log above usually names the cause; check arguments and the data directory.';
  return new ServerError('server.start-failed', `etcd ${plan.name} did not start: ${why}.\n${log}`, remedy);
}
