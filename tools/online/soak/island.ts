/**
 * A network namespace of its own for processes that are to be cut off: a pair of veth leads from it to this machine, and
 * nowhere else. Cut off, packets of both directions vanish without a word, as behind a switch that died; connections stay.
 *
 *     island 10.77.n.2 ◄── veth ──► 10.77.n.1 this machine
 *
 * Needs root and `ip`; where there is none, `islandOrNone` says why.
 */
import { execFileSync } from 'node:child_process';

/** A neighbour that nobody is. */
const nobody = '02:00:00:00:00:99';

export type IslandOrNone =
  { readonly island: Island; readonly note: '' } | { readonly island: null; readonly note: string };

export function islandOrNone(): IslandOrNone {
  try {
    return { island: new Island(), note: '' };
  } catch (error) {
    const said = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
    return { island: null, note: `no network namespace can be made here: ${said}` };
  }
}

export class Island {
  private readonly name = `kf${process.pid}`;
  private readonly near = `kf${process.pid}a`;
  private readonly far = `kf${process.pid}b`;
  /** Where processes inside reach this machine. */
  readonly address: string;
  private readonly inside: string;

  constructor() {
    const net = `10.77.${process.pid % 250}`;
    this.address = `${net}.1`;
    this.inside = `${net}.2`;
    ip('netns', 'add', this.name);
    try {
      ip('link', 'add', this.near, 'type', 'veth', 'peer', 'name', this.far, 'netns', this.name);
      ip('addr', 'add', `${this.address}/24`, 'dev', this.near);
      ip('link', 'set', this.near, 'up');
      ip('-n', this.name, 'addr', 'add', `${this.inside}/24`, 'dev', this.far);
      for (const device of ['lo', this.far]) ip('-n', this.name, 'link', 'set', device, 'up');
      // What a cut holds back is repeated for about three seconds and given up then: `requestLife` has to be longer.
      this.set('net.ipv4.tcp_retries2', 3);
      this.set('net.ipv4.tcp_orphan_retries', 3);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** The command line that runs `command` inside. */
  around(command: string, args: readonly string[]): readonly [string, readonly string[]] {
    return ['ip', ['netns', 'exec', this.name, command, ...args]];
  }

  cutOff(): void {
    ip('-n', this.name, 'neigh', 'replace', this.address, 'lladdr', nobody, 'dev', this.far, 'nud', 'permanent');
    ip('neigh', 'replace', this.inside, 'lladdr', nobody, 'dev', this.near, 'nud', 'permanent');
  }

  join(): void {
    ip('-n', this.name, 'neigh', 'del', this.address, 'dev', this.far);
    ip('neigh', 'del', this.inside, 'dev', this.near);
  }

  /** With everything that still runs in it left to its own end. */
  remove(): void {
    try {
      ip('netns', 'del', this.name);
    } catch {
      // It was never made.
    }
  }

  private set(name: string, value: number): void {
    ip('netns', 'exec', this.name, 'sysctl', '-q', '-w', `${name}=${value}`);
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
