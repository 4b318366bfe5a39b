/**
 * The machine that a load balancer runs on: its files, its programs, its sockets, by one shell.
 *
 *     script ──► sh -c SCRIPT                       here
 *            └─► ssh lb1 SCRIPT, docker exec … SCRIPT   anywhere else: the words of `access`, and the script behind them
 *
 * Both go the same way, so what is tested here is what runs there; it needs sh, cat, cp, mv, readlink, rm and sync on that
 * machine and nothing of keyferry. Files go through standard input and output as they are, never through an argument.
 *
 * A file is replaced by a rename after it has reached the disk, keeps mode and owner, and where its name is a link
 * (sites-enabled) the link stays. Errors name the balancer and never the words of `access`, which may hold what is nobody's
 * business.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { KeyferryError } from '@keyferry/core';

export interface Ran {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export class Machine {
  private readonly remote: boolean;

  private readonly balancer: string;
  private readonly access: readonly string[] | null;
  private readonly timeoutMs: number;
  private readonly cwd: string | undefined;

  /** @param cwd of the shell here; by default that of this process */
  constructor(balancer: string, access: readonly string[] | null, timeoutMs: number, cwd?: string) {
    this.balancer = balancer;
    this.access = access;
    this.timeoutMs = timeoutMs;
    this.cwd = cwd;
    this.remote = access !== null;
  }

  /** @throws {KeyferryError} `balancer.unreachable` when no shell answered; a script's own failure is a code */
  async run(script: string, input?: Buffer): Promise<Ran> {
    const child = this.start(script);
    child.stdin.on('error', () => undefined); // it ended without reading; its code says why
    child.stdin.end(input ?? '');
    const timer = setTimeout(() => child.kill('SIGKILL'), this.timeoutMs);
    try {
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      });
      const [code, stdout, stderr] = await Promise.all([ended, buffer(child.stdout), text(child.stderr)]);
      if (code === null) throw new TypeError(`no answer within ${this.timeoutMs} ms`);
      if (this.remote && (code === 255 || code === 127)) throw new TypeError(short(stderr));
      return { code, stdout, stderr: short(stderr) };
    } catch (error) {
      throw this.unreachable(error instanceof Error ? error.message : String(error), error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns null: there is no such file */
  async read(path: string): Promise<Buffer | null> {
    const ran = await this.run(`if [ -e ${quote(path)} ]; then cat ${quote(path)}; else exit 44; fi`);
    if (ran.code === 44) return null;
    if (ran.code !== 0) throw this.unreachable(`${path} cannot be read: ${ran.stderr}`);
    return ran.stdout;
  }

  /** Whole or not at all; the directory is made. */
  async write(path: string, content: Buffer): Promise<void> {
    const digest = sha256(content);
    const script = [
      'set -e',
      `p=$(readlink -f ${quote(path)} || echo ${quote(path)})`,
      '[ -n "$p" ] || p=' + quote(path),
      'd=${p%/*}; [ -d "$d" ] || mkdir -p "$d"',
      't="$p.keyferry-new"',
      'rm -f "$t"',
      'if [ -e "$p" ]; then cp -p "$p" "$t"; else (umask 022; : > "$t"); fi',
      'cat > "$t"',
      // What was cut short on its way never takes a file's place.
      `if command -v sha256sum >/dev/null; then [ "$(sha256sum < "$t")" = "${digest}  -" ]; fi`,
      'sync "$t"',
      'mv -f "$t" "$p"',
      'sync "$d"',
    ].join('\n');
    const ran = await this.run(script, content);
    if (ran.code !== 0) throw this.unreachable(`${path} cannot be written: ${ran.stderr}`);
  }

  async remove(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    const ran = await this.run(`rm -f ${paths.map(quote).join(' ')}`);
    if (ran.code !== 0) throw this.unreachable(`files cannot be removed: ${ran.stderr}`);
  }

  /** Says one command to a control socket and returns its answer. @param address a path, or `host:port` */
  async talk(address: string, command: string): Promise<string> {
    try {
      return this.remote ? await this.talkThere(address, command) : await this.talkHere(address, command);
    } catch (error) {
      if (error instanceof KeyferryError) throw error;
      throw this.unreachable(`its socket ${address}: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }

  /** Numbers of the processes whose parent is `pid`. */
  async childrenOf(pid: number): Promise<readonly number[]> {
    const script = `grep -l "^PPid:[[:space:]]*${pid}$" /proc/[0-9]*/status 2>/dev/null; true`;
    const { stdout } = await this.run(script);
    return [...stdout.toString().matchAll(/\/proc\/(\d+)\/status/g)].map(([, number]) => Number(number));
  }

  /** The lines of a file as they come; none if it is not there. */
  async *lines(path: string): AsyncGenerator<string> {
    const unpack = path.endsWith('.gz') ? 'gzip -dc' : 'cat';
    const child = this.start(`[ -e ${quote(path)} ] || exit 0; exec ${unpack} ${quote(path)}`);
    child.stdin.end();
    const failed = new Promise<Error | null>((resolve) => {
      child.once('error', resolve);
      child.once('close', (code) => resolve(code === 0 ? null : new TypeError(`exit ${code}`)));
    });
    child.stderr.resume();
    try {
      yield* createInterface({ input: child.stdout, crlfDelay: Infinity });
      const error = await failed;
      if (error !== null) throw this.unreachable(`${path} cannot be read: ${error.message}`, error);
    } finally {
      child.kill('SIGKILL'); // whoever stops early leaves no reader behind
    }
  }

  unreachable(detail: string, cause?: unknown): KeyferryError {
    return new KeyferryError('balancer.unreachable', { balancer: this.balancer, detail }, { cause });
  }

  private start(script: string) {
    const [program = 'sh', ...words] = this.access ?? ['sh', '-c'];
    return spawn(program, [...words, script], { stdio: ['pipe', 'pipe', 'pipe'], cwd: this.cwd });
  }

  private async talkThere(address: string, command: string): Promise<string> {
    const where = address.startsWith('/') ? `UNIX-CONNECT:${address}` : `TCP:${address}`;
    const ran = await this.run(`socat -t 10 - ${quote(where)}`, Buffer.from(`${command}\n`));
    if (ran.code !== 0) throw this.unreachable(`its socket ${address}: ${ran.stderr}`);
    return ran.stdout.toString();
  }

  private async talkHere(address: string, command: string): Promise<string> {
    const colon = address.lastIndexOf(':');
    const where = address.startsWith('/')
      ? { path: address }
      : { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    const socket = connect(where);
    socket.setTimeout(this.timeoutMs, () => socket.destroy(new Error('no answer in time')));
    socket.write(`${command}\n`);
    return await text(socket as Readable);
  }
}

export function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** For a POSIX shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a program complained of, in one line that fits into an error; the fatal lines alone, where it marks some. */
function short(stderr: string): string {
  const lines = stderr.split('\n');
  const fatal = lines.filter((line) => /\[(?:ALERT|emerg)\]/.test(line));
  const said = (fatal.length === 0 ? lines : fatal).join(' ');
  return said.trim().replaceAll(/\s+/g, ' ').slice(0, 600);
}
