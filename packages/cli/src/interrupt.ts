/**
 * Interrupts: the first SIGINT or SIGTERM, or the end of `--timeout`, asks the run to stop at its next checkpoint; a
 * second signal ends the process at once. Both are safe: writes are guarded, and the next run goes on from the
 * checkpoint. After the second one the lock stays until its lease ends.
 *
 * A signal that comes when the result stands changes nothing of it: without a listener it would take the exit code away.
 */
import { exitCodes } from './exit-codes.ts';

export type StopReason = 'SIGINT' | 'SIGTERM' | 'timeout';

export interface InterruptOptions {
  /** Milliseconds after which the command is stopped; null: never. */
  readonly timeoutMs: number | null;
  readonly onStop: (reason: StopReason) => void;
  /** Ends the process; a parameter so that a test survives it. */
  readonly exitNow: (code: number) => void;
}

interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

export class Interrupt {
  private readonly controller = new AbortController();
  private readonly options: InterruptOptions;
  private readonly timer: NodeJS.Timeout | null;
  /** What the process is to exit with once the command has come to its end; null before. */
  private result: number | null = null;
  private heardSince = false;

  constructor(source: SignalSource, options: InterruptOptions) {
    this.options = options;
    const { timeoutMs } = options;
    this.timer = timeoutMs === null ? null : setTimeout(() => this.stop('timeout'), timeoutMs);
    source.on('SIGINT', () => this.receive('SIGINT'));
    source.on('SIGTERM', () => this.receive('SIGTERM'));
  }

  /** Aborted with a `StopReason`. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The result stands. Signals are heard until the process is gone: one is ignored, a second one does not wait for the rest. */
  end(exitCode: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.result ??= exitCode;
  }

  private receive(signal: 'SIGINT' | 'SIGTERM'): void {
    if (this.result !== null) {
      if (this.heardSince) this.options.exitNow(this.result);
      this.heardSince = true;
    } else if (!this.signal.aborted) this.stop(signal);
    else this.options.exitNow(signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated);
  }

  private stop(reason: StopReason): void {
    if (this.signal.aborted) return;
    this.controller.abort(reason);
    this.options.onStop(reason);
  }
}

/**
 * Waits for `work` or for the stop, whichever is first: for commands that only read, where nothing has to be finished.
 * @param stopped makes the error that the caller then sees
 */
export async function orStopped<T>(work: Promise<T>, signal: AbortSignal, stopped: () => Error): Promise<T> {
  let stop = (): void => undefined;
  const stopping = new Promise<never>((_, reject) => {
    stop = () => reject(stopped());
  });
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, stopping]);
  } finally {
    signal.removeEventListener('abort', stop);
    // Whichever lost the race must not be reported as unhandled.
    stopping.catch(() => undefined);
    work.catch(() => undefined);
  }
}
