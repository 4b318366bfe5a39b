/**
 * One run of a program: started without a shell and with next to no environment, fed, read, watched and ended.
 *
 *     starting ──► fed and read at once ──input ends──► read to the end of its output ──► ended well, or `program.failed`
 *
 * Reading and writing go on side by side, so that a program may answer at once, in bursts or at its very end. While it is
 * waited for, it is silent when for `timeoutMs` it neither takes input nor answers, and is ended then; a source that is
 * slow is no fault of its. It leads a process group of its own, so that what it started ends with it, and nothing that
 * holds its output open can make the run wait.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { KeyferryError, type StopSignal } from '@keyferry/core';
import type { Redactor } from '../config/redactor.ts';
import { StderrTail } from './stderr-tail.ts';

export interface ProgramStart {
  /** As the configuration names it. */
  readonly program: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly redactor: Redactor;
  readonly signal: StopSignal | undefined;
}

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
}

export class ProgramProcess {
  private readonly start: ProgramStart;
  private readonly child: ChildProcess;
  private readonly stderr = new StderrTail();
  private readonly ending: Promise<Ending>;
  private readonly onAbort = (): void => this.kill();
  /** A command that is interrupted may end this process without waiting for anything. */
  private readonly onExit = (): void => this.killGroup();
  private startError: NodeJS.ErrnoException | null = null;
  private hasEnded = false;
  /** How many things are waited for; while there are some, the timer runs. */
  private waits = 0;
  private timer: NodeJS.Timeout | null = null;
  /** Since the timer was set. */
  private hasStirred = false;
  private silent = false;
  /** It closed its input before all was written. */
  private turnedAway = false;
  private inputEnded = false;

  constructor(start: ProgramStart) {
    this.start = start;
    const { path, args, directory, environment, signal } = start;
    this.child = spawn(path, args, { cwd: directory, env: environment, stdio: 'pipe', detached: true });
    this.ending = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.startError = error;
        resolve({ code: null, signal: null });
      });
      this.child.once('exit', (code, by) => {
        resolve({ code, signal: by });
        // What it started and left behind would keep its output open.
        this.killGroup();
        this.hasEnded = true;
      });
    });
    this.child.stderr?.on('data', (piece: Buffer) => this.stderr.add(piece));
    this.child.stderr?.on('error', () => undefined); // what it said is only told, and never needed
    this.child.stdin?.on('error', () => {
      this.turnedAway = true;
    });
    signal?.addEventListener('abort', this.onAbort);
    process.once('exit', this.onExit);
    if (signal?.aborted === true) this.kill();
  }

  /** Resolves once there is room for more. False: it takes no more input; how it ended tells whether that is an error. */
  async write(text: string): Promise<boolean> {
    const { stdin } = this.child;
    if (stdin === null || this.turnedAway || !stdin.writable) return false;
    const hasRoom = stdin.write(text, (error) => {
      if (error === null || error === undefined) this.stirred();
    });
    if (!hasRoom) {
      const room = new Promise<void>((resolve) => {
        const go = (): void => {
          stdin.off('drain', go);
          stdin.off('close', go);
          resolve();
        };
        stdin.on('drain', go);
        stdin.on('close', go);
      });
      await this.waitingFor(room);
    }
    return !this.turnedAway;
  }

  /** Waits for something that is the program's to do. */
  async waitingFor<T>(what: Promise<T>): Promise<T> {
    this.waits += 1;
    if (this.waits === 1) this.watch();
    try {
      return await what;
    } finally {
      this.waits -= 1;
      if (this.waits === 0 && this.timer !== null) clearTimeout(this.timer);
    }
  }

  endInput(): void {
    this.inputEnded = true;
    this.child.stdin?.end();
    void this.waitingFor(this.ending);
  }

  /** What it writes to stdout, as it comes. Ends with its output, or when it is ended. */
  async *output(): AsyncGenerator<Buffer> {
    const { stdout } = this.child;
    if (stdout === null) return;
    try {
      for await (const piece of stdout as AsyncIterable<Buffer>) {
        this.stirred();
        yield piece;
      }
    } catch (error) {
      if (!stdout.destroyed) throw error;
    }
  }

  /**
   * Call once its output has ended.
   * @throws {KeyferryError} `program.unusable`, `program.silent`, `program.failed`
   */
  async assertEndedWell(): Promise<void> {
    const { code, signal } = await this.ending;
    const { program, timeoutMs } = this.start;
    if (this.startError !== null) {
      const detail = `it cannot be started (${this.startError.code ?? this.startError.message})`;
      throw new KeyferryError('program.unusable', { program, detail }, { cause: this.startError });
    }
    if (this.silent) {
      const detail = this.inputEnded
        ? 'it had been given everything and did not end'
        : 'it did not take what it was given';
      throw new KeyferryError('program.silent', { ...this.details(detail), timeoutMs });
    }
    if (signal !== null) throw this.failed(`it was ended by ${signal}`);
    if (code !== 0) throw this.failed(`it ended with exit code ${code}`);
    if (this.turnedAway || !this.inputEnded) throw this.failed('it ended before it had read all that it was given');
  }

  failed(detail: string): KeyferryError {
    return new KeyferryError('program.failed', this.details(detail));
  }

  invalid(where: string, detail: string): KeyferryError {
    return new KeyferryError('program.answer-invalid', { ...this.details(detail), where });
  }

  /** Ends it at once, with all that it started. Harmless to repeat. */
  kill(): void {
    this.killGroup();
    this.child.stdin?.destroy();
    this.child.stdout?.destroy();
  }

  /** Nothing of it is left then. */
  async close(): Promise<void> {
    this.start.signal?.removeEventListener('abort', this.onAbort);
    this.kill();
    this.child.stderr?.destroy();
    await this.ending;
    process.off('exit', this.onExit);
  }

  private stirred(): void {
    this.hasStirred = true;
  }

  private watch(): void {
    this.hasStirred = false;
    this.timer = setTimeout(() => {
      // A process that was itself held up sees its timers first, and only then what came in meanwhile.
      setImmediate(() => {
        if (this.waits === 0 || this.hasEnded) return;
        if (this.hasStirred) {
          this.watch();
          return;
        }
        this.silent = true;
        this.kill();
      });
    }, this.start.timeoutMs);
  }

  private details(detail: string) {
    return { program: this.start.program, detail, stderr: this.stderr.text(this.start.redactor) };
  }

  private killGroup(): void {
    const { pid } = this.child;
    // Once it has ended, its number may be another's.
    if (pid === undefined || this.hasEnded) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended, and so has all that it started.
    }
  }
}
