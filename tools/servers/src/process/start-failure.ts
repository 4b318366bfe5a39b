/** Why a server did not start, by its log. A port that another program has is told apart, because a start may be tried anew. */
import { ServerError } from '../server-error.ts';
import { lastLines } from './child.ts';

export interface StartFailure {
  /** As a sentence begins with it: `etcd m1`. */
  readonly server: string;
  readonly why: string;
  readonly logFile: string;
  /** What the log says when a port is taken. */
  readonly takenPort: RegExp;
  /** Ports it asked for, where they are known. */
  readonly ports?: readonly number[];
  /** What is left of the end of the log to show. Default: its last 12 lines. */
  readonly told?: (logFile: string) => string;
}

export function startFailure({ server, why, logFile, takenPort, ports, told }: StartFailure): ServerError {
  if (takenPort.test(lastLines(logFile, 400))) return portTaken(server, ports);
  const log = told?.(logFile) ?? lastLines(logFile, 12);
  const remedy = 'The log above usually names the cause; check arguments and data directory too.';
  return new ServerError('server.start-failed', `${server} did not start: ${why}.\n${log}`, remedy);
}

export function portTaken(server: string, ports: readonly number[] = []): ServerError {
  const which = ports.length === 0 ? 'its port' : `port ${ports.join(' or ')}`;
  const remedy = `Stop what listens on ${which}, or choose another port.`;
  return new ServerError('server.port-taken', `${server} found a port taken.`, remedy);
}
