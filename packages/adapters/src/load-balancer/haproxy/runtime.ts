/** What HAProxy's sockets say: the running process, its entries of a map, and the requests that are under way. */
import type { Machine } from '../machine.ts';

export interface Stream {
  readonly backend: string;
  /** Whole seconds. */
  readonly ageS: number;
}

export class Runtime {
  private readonly machine: Machine;
  private readonly socket: string;

  constructor(machine: Machine, socket: string) {
    this.machine = machine;
    this.socket = socket;
  }

  /** @returns the process that serves now */
  async pid(): Promise<number> {
    const answer = await this.machine.talk(this.socket, 'show info');
    const pid = /^Pid: (\d+)$/m.exec(answer)?.[1];
    if (pid === undefined) throw this.machine.unreachable(`its socket ${this.socket} does not say its process`);
    return Number(pid);
  }

  /** @returns null: it has no such map, or no such key in it */
  async mapValue(map: string, key: string): Promise<string | null> {
    const answer = await this.machine.talk(this.socket, `show map ${map}`);
    const line = answer.split('\n').find((each) => each.split(' ')[1] === key);
    return line?.split(' ')[2] ?? null;
  }

  /** @returns what it complains of; null: done */
  async setMap(map: string, key: string, value: string): Promise<string | null> {
    const answer = (await this.machine.talk(this.socket, `set map ${map} ${key} ${value}`)).trim();
    return answer === '' ? null : answer.slice(0, 300);
  }

  async streams(): Promise<readonly Stream[]> {
    return parseStreams(await this.machine.talk(this.socket, 'show sess'));
  }

  /** Servers of a backend, and whether the balancer itself takes them for up. */
  async servers(backend: string): Promise<readonly { readonly name: string; readonly up: boolean }[]> {
    const answer = await this.machine.talk(this.socket, 'show stat');
    const [head = '', ...rows] = answer.split('\n').filter((line) => line !== '');
    const columns = head.replace(/^# /, '').split(',');
    const at = (row: readonly string[], column: string): string => row[columns.indexOf(column)] ?? '';
    return rows
      .map((row) => row.split(','))
      .filter((row) => at(row, 'pxname') === backend && !['FRONTEND', 'BACKEND'].includes(at(row, 'svname')))
      .map((row) => ({ name: at(row, 'svname'), up: !at(row, 'status').startsWith('DOWN') }));
  }
}

/** Lines as `0x55…: proto=tcpv4 src=… fe=web be=apicurio srv=a ts=00 epoch=… age=1m2s calls=…`. */
export function parseStreams(answer: string): readonly Stream[] {
  return answer.split('\n').flatMap((line) => {
    const backend = /\bbe=(\S+)/.exec(line)?.[1];
    const age = /\bage=(\S+)/.exec(line)?.[1];
    return backend === undefined || age === undefined ? [] : [{ backend, ageS: secondsOf(age) }];
  });
}

function secondsOf(age: string): number {
  const units: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 };
  return [...age.matchAll(/(\d+)([dhms])/g)].reduce(
    (sum, [, n, unit = 's']) => sum + Number(n) * (units[unit] ?? 0),
    0,
  );
}
