/**
 * One command at work: its streams, its progress, its events and log, and what can stop it. Commands get this and
 * nothing of the process, so that nothing they say can bypass redaction, --quiet or --json.
 *
 *     engine ── messages ──► host ──┬──► progress (stderr)     warnings ──► stderr and the document's `warnings`
 *                                   ├──► events (--events)
 *                                   └──► log (--log-file)
 */
import { KeyferryError, messageLevels, type Host, type Message, type MessageCode } from '@keyferry/core';
import type { Approver } from './approval.ts';
import { askOnTerminal } from './approval.ts';
import { EventStream, type EventFacts, type EventLevel, type EventSink } from './events/event-stream.ts';
import { fileSink, streamSink } from './events/sinks.ts';
import { defaultConfig, type OutputFlags } from './flags/output.ts';
import { Interrupt, orStopped, type StopReason } from './interrupt.ts';
import { holderIsGone, thisMachine } from './lock-holder.ts';
import { chooseProgress, ProgressReporter, type Redraw } from './progress/reporter.ts';
import { Output } from './terminal/output.ts';
import { choosePalette, type Palette } from './terminal/palette.ts';
import { usageError } from './usage-error.ts';
import { messageText } from './views/messages.ts';
import type { ViewContext } from './views/view.ts';

/** What somebody else did to this run: whoever watches it must not wonder. */
const toldAtOnce: ReadonlySet<MessageCode> = new Set([
  'run.throttled',
  'run.unthrottled',
  'run.stopping',
  'turn.waiting',
  'tail.caught-up',
  'tail.backlog',
  'cutover.held',
  'cutover.ended',
  'phase.begun',
  'phase.passed',
  'back.step',
  'soak.sampled',
]);
/** Warnings kept for the document; a store that flaps for hours must not fill the memory. */
const warningsMax = 100;

/** A command's flags as far as they are told again: in its errors, and in the commands that follow it. */
export interface CallFlags extends OutputFlags {
  readonly accept?: readonly string[] | undefined;
  readonly reopen?: boolean;
  readonly confirm?: boolean;
}

export interface CallFacts {
  readonly command: string;
  readonly argument: string | null;
  readonly flags: CallFlags;
}

export class CommandRun {
  /** The run of this process, for an end that comes from outside of it; null before it starts. */
  static latest: CommandRun | null = null;

  private facts: CallFacts;
  readonly output: Output;
  readonly progress: ProgressReporter;
  /** For the engine. */
  readonly host: Host;
  readonly warnings: string[] = [];
  /** Of stdout and of stderr. */
  readonly palette: Palette;
  readonly errorPalette: Palette;
  private readonly streams: EventStream[];
  private readonly interrupt: Interrupt;
  private tellingFailed = false;
  private ended = false;

  private constructor(call: CallFacts, output: Output, redraw: Redraw | null, streams: readonly EventStream[]) {
    const { flags } = call;
    this.facts = call;
    this.output = output;
    this.streams = [...streams];
    const { env } = process;
    const resultIsTty = flags.events === '-' ? process.stderr.isTTY : process.stdout.isTTY;
    this.palette = choosePalette({ flag: flags.color, env, isTty: resultIsTty });
    this.errorPalette = choosePalette({ flag: flags.color, env, isTty: process.stderr.isTTY });
    this.progress = new ProgressReporter(progressMode(flags), output, redraw, Date.now);
    this.host = { emit: (message) => this.hear(message), wantsKeys: flags['events-detail'] === 'keys' };
    this.interrupt = new Interrupt(process, {
      timeoutMs: flags.timeout ?? null,
      onStop: (reason) => this.sayStopping(reason),
      exitNow: (code) => process.exit(code),
    });
  }

  /** @throws {KeyferryError} `usage.invalid` when a file of the flags cannot be written, or flags exclude each other */
  static async start(call: CallFacts): Promise<CommandRun> {
    const { flags } = call;
    if (flags.json && flags.events === '-') {
      throw usageError('--json and --events - both want stdout', 'write the events to a file:   --events FILE');
    }
    if (flags['events-detail'] !== undefined && flags.events === undefined && flags['log-file'] === undefined) {
      throw usageError('--events-detail says what goes into --events', 'name a file for them:   --events FILE');
    }
    const output = new Output(flags.events === '-' ? process.stderr : process.stdout, process.stderr);
    const redraw = progressMode(flags) === 'live' ? await loadRedraw() : null;
    const clean = (value: unknown): unknown => output.cleanDeep(value);
    // A stream may break with its first line, before there is a run that could warn.
    const warnings: string[] = [];
    let warn = (text: string): void => void warnings.push(text);
    const open = (flag: 'events' | 'log-file', sink: EventSink, least: EventLevel): EventStream => {
      const onBroken = (why: string): void =>
        warn(`--${flag} ${flags[flag] ?? ''} cannot be written any more (${why}); the run goes on without it`);
      return new EventStream({ clean, nowMs: Date.now, sink, least, onBroken });
    };
    const streams: EventStream[] = [];
    const { events, 'log-file': logFile } = flags;
    if (events !== undefined) {
      const sink = events === '-' ? streamSink(process.stdout) : fileSink(events, 'events', 'w');
      streams.push(open('events', sink, 'info'));
    }
    if (logFile !== undefined) streams.push(open('log-file', fileSink(logFile, 'log-file', 'a'), 'debug'));
    const run = new CommandRun(call, output, redraw, streams);
    CommandRun.latest = run;
    warn = (text) => run.warn(text);
    for (const text of warnings) warn(text);
    return run;
  }

  get call(): CallFacts {
    return this.facts;
  }

  /** Somebody said by a flag that the writers have stopped. */
  get confirmed(): boolean {
    return this.call.flags.confirm === true;
  }

  /** Aborted with a `StopReason`. */
  get signal(): AbortSignal {
    return this.interrupt.signal;
  }

  /** What stopped the run; null while nothing did. */
  get stopReason(): StopReason | null {
    return this.signal.aborted ? (this.signal.reason as StopReason) : null;
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  get viewContext(): ViewContext {
    const isGone = holderIsGone(thisMachine());
    return {
      palette: this.palette,
      nowMs: Date.now(),
      configFlag: configFlagOf(this.call.flags),
      holderIsGone: (holder) => isGone({ holder }),
    };
  }

  /** The migration that events and the log name from now on. */
  about(migration: string): void {
    for (const stream of this.streams) stream.migration = migration;
  }

  /** The migration that a command on all of them works on now; null: none any more. */
  turnTo(migration: string | null): void {
    this.facts = { ...this.facts, argument: migration };
    if (migration !== null) this.about(migration);
  }

  /** For people who watch; silent under --quiet. */
  note(text: string): void {
    if (!this.call.flags.quiet) this.output.note(text);
  }

  /** What a question is about: nobody may be asked to approve what --quiet kept from them. */
  showBeforeAsking(text: string, isAsked: boolean): void {
    if (isAsked) this.output.note(text);
    else this.note(text);
  }

  event(event: EventFacts): void {
    for (const stream of this.streams) stream.emit(event);
  }

  warn(text: string): void {
    if (this.warnings.length < warningsMax) this.warnings.push(text);
    this.output.note(`${this.errorPalette.caution('Warning:')} ${text}`);
  }

  /** Waits for work that has nothing to finish; a stop ends it at once. */
  reading<T>(work: Promise<T>): Promise<T> {
    const stopped = (): Error => {
      const { argument, command } = this.call;
      const signal = String(this.signal.reason);
      return new KeyferryError('run.interrupted', { migration: argument ?? command, signal });
    };
    return orStopped(work, this.signal, stopped);
  }

  approver(): Approver {
    return {
      stdinIsTty: process.stdin.isTTY,
      stderrIsTty: process.stderr.isTTY,
      ci: process.env['CI'],
      noInput: this.call.flags['no-input'],
      ask: (question) => askOnTerminal(question, this.signal),
    };
  }

  /** The last thing of a run: progress is taken away, streams get their `end`. Harmless to repeat. */
  end(exitCode: number, errorCode: string | null): void {
    this.ended = true;
    this.progress.end();
    this.interrupt.end(exitCode);
    for (const stream of this.streams.splice(0)) stream.end(exitCode, errorCode);
  }

  /** What is told never stops what is done: a failure in here would end the engine between two writes. */
  private hear(message: Message): void {
    try {
      this.tell(message);
    } catch (error) {
      if (this.tellingFailed) return;
      this.tellingFailed = true;
      this.warn(`progress could not be told (${error instanceof Error ? error.message : String(error)})`);
    }
  }

  private tell(message: Message): void {
    for (const stream of this.streams) stream.message(message);
    this.progress.message(message);
    const level = messageLevels[message.code];
    if (level === 'warning') this.warn(messageText(message));
    else if (toldAtOnce.has(message.code)) this.note(messageText(message));
    else if (level === 'debug' && this.call.flags.verbose) this.output.note(messageText(message));
  }

  private sayStopping(reason: StopReason): void {
    const why = reason === 'timeout' ? 'the time of --timeout is over' : reason;
    const again = reason === 'timeout' ? '' : '; again to stop at once';
    this.note(`${why}: finishing the write in flight, then stopping${again}`);
  }
}

/** The configuration file where the next command has to name it: what the environment says it will say again. */
function configFlagOf({ config }: OutputFlags): string | null {
  return config === defaultConfig || config === process.env['KEYFERRY_CONFIG'] ? null : config;
}

async function loadRedraw(): Promise<Redraw> {
  const { createLogUpdate } = await import('log-update');
  // The cursor stays visible: a killed process could not bring it back.
  return createLogUpdate(process.stderr, { showCursor: true });
}

function progressMode({ progress, quiet }: OutputFlags) {
  const stderrIsTty = process.stderr.isTTY;
  return chooseProgress({ flag: progress, quiet, stderrIsTty, ci: process.env['CI'] });
}
