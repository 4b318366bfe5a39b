/**
 * One etcd member, for tests that hurt it (process/restartable.ts), by another release or with other arguments too.
 *
 * Starting and being healthy are two steps: a member of three is healthy only once a second one runs, so whoever
 * restarts several must start them all before waiting for the first.
 */
import type { Agent } from 'node:http';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from '../net/request.ts';
import { startChild } from '../process/child.ts';
import { restartable, type Restartable } from '../process/restartable.ts';
import { startFailure } from '../process/start-failure.ts';
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

export interface EtcdMember extends Omit<Restartable, 'killNow' | 'restart'> {
  readonly name: string;
  readonly endpoint: string;
  readonly dataDir: string;
  /** Output of all its processes so far. */
  readonly logFile: string;
  /** Ends it if it runs, then starts it again. @throws {ServerError} `server.start-failed` */
  restart(options?: RestartOptions): Promise<void>;
  /** Resolves once it answers a linearizable read, so with a leader and a quorum. @throws {ServerError} */
  readonly waitHealthy: Restartable['waitHealthy'];
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
  readonly onProcessesChanged: () => void;
}

/** A member not yet started: `restart()` starts it. */
export function createMember(context: MemberContext): EtcdMember & Pick<Restartable, 'killNow'> {
  const { plan, cluster, endpoint, logFile, detached, startTimeoutMs, onProcessesChanged } = context;
  let flags = context.flags;
  const own = restartable({
    startTimeoutMs,
    onProcessesChanged,
    isItself: () => isItself(context),
    health: () => healthOf(context),
    failure: (why) =>
      startFailure({
        server: `etcd ${plan.name}`,
        why,
        logFile,
        takenPort: /address already in use/,
        ports: [plan.clientPort, plan.peerPort],
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
    async restart({ version = flags.version, enableV2 = flags.enableV2, extraArgs = flags.extraArgs, ...rest } = {}) {
      flags = { ...flags, version, enableV2, extraArgs };
      await own.restart(async () => {
        await mkdir(plan.dataDir, { recursive: true, mode: 0o700 }); // etcd refuses or warns about a wider mode
        const program = join(await context.programDirectoryOf(version), 'etcd');
        const environment = etcdEnvironment(process.env, process.arch);
        return await startChild({ program, args: etcdArguments(plan, cluster, flags), environment, logFile, detached });
      });
      if (rest.waitHealthy !== false) await own.waitHealthy();
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
