/**
 * The event stream of one run (`--events`) and its log file (`--log-file`): one JSON object a line.
 *
 *     version  …  messages of the engine  …  warning  …  end
 *
 * Lines are written at once and in order, so that whoever tails the file sees them and a killed run leaves whole lines.
 * `progress` of any kind comes at most once a second; readers show `message` of types that they do not know.
 *
 * A stream that cannot be written (its disk is full, its reader is gone) is left behind, and the run goes on: events
 * tell of a migration and must never stop it.
 */
import { instantText, messageLevels, type Code, type Level, type Message } from '@keyferry/core';
import { keyferryVersion } from '@keyferry/adapters/version';
import { messageText } from '../views/messages.ts';

export const eventsFormat = 'keyferry.events';
const progressEveryMs = 1000;
const levelWeights: Readonly<Record<EventLevel, number>> = { debug: 0, info: 1, warning: 2, error: 3 };

export type EventLevel = Level | 'error';

/** One line of a stream. Readers show `message` of types that they do not know, and ignore members that they do not. */
export interface EventLine {
  /** RFC 3339, UTC. */
  readonly at: string;
  /** Counts from 1, without a gap. */
  readonly seq: number;
  readonly type: string;
  readonly level: EventLevel;
  /** For people. */
  readonly message: string;
  readonly migration: string | null;
  readonly run: string | null;
  readonly data: object;
}

/** `data` of the lines that the program adds to the engine's messages. */
export interface OwnEventData {
  /** The first line. */
  readonly version: { readonly format: string; readonly formatVersion: string; readonly keyferryVersion: string };
  readonly error: { readonly code: Code; readonly details: object };
  readonly 'lock.broken': { readonly lock: string; readonly reason: string };
  /** The last line. `error` is the code of the failure, or null. */
  readonly end: { readonly exitCode: number; readonly error: string | null };
}

export interface EventFacts {
  readonly type: string;
  readonly level: EventLevel;
  readonly message: string;
  readonly data: object;
  /** For streams in full detail only: an event stream may be read by anyone. */
  readonly stack?: string;
}

export interface EventSink {
  /** One line, its newline included. May throw: the stream then writes nothing more. */
  write(line: string): void;
  close(): void;
}

export interface EventStreamOptions {
  readonly sink: EventSink;
  /** Redacts an event before it is written. */
  readonly clean: (value: unknown) => unknown;
  readonly nowMs: () => number;
  /** Events below it are left out. */
  readonly least: EventLevel;
  /** Called once, when a line could not be written. */
  readonly onBroken: (why: string) => void;
}

export class EventStream {
  private readonly options: EventStreamOptions;
  private readonly progressAtMs = new Map<string, number>();
  private seq = 0;
  private ended = false;
  migration: string | null = null;
  run: string | null = null;

  constructor(options: EventStreamOptions) {
    this.options = options;
    const version = keyferryVersion();
    const data: OwnEventData['version'] = { format: eventsFormat, formatVersion: '1.0', keyferryVersion: version };
    this.emit({ type: 'version', level: 'info', message: `keyferry ${version}`, data });
  }

  message(message: Message): void {
    if (message.code === 'apply.started') this.run = message.data.run;
    if (isProgress(message) && !this.progressIsDue(message)) return;
    const { code: type, data } = message;
    this.emit({ type, level: messageLevels[type], message: messageText(message), data });
  }

  emit(event: EventFacts): void {
    if (this.ended || levelWeights[event.level] < levelWeights[this.options.least]) return;
    this.seq += 1;
    const { type, level, message, stack } = event;
    const data = this.options.least === 'debug' && stack !== undefined ? { ...event.data, stack } : event.data;
    const { migration, run } = this;
    const at = instantText(this.options.nowMs());
    try {
      const line: EventLine = { at, seq: this.seq, type, level, message, migration, run, data };
      this.options.sink.write(`${JSON.stringify(this.options.clean(line))}\n`);
    } catch (error) {
      // Closed first: telling of it comes back here as a warning.
      this.close();
      this.options.onBroken(error instanceof Error ? error.message : String(error));
    }
  }

  /** The last line. Later events are dropped: after `end` a reader may stop. */
  end(exitCode: number, errorCode: string | null): void {
    const message = errorCode === null ? `ended with exit code ${exitCode}` : `ended with ${errorCode}`;
    const data: OwnEventData['end'] = { exitCode, error: errorCode };
    this.emit({ type: 'end', level: 'info', message, data });
    if (!this.ended) this.close();
  }

  private close(): void {
    this.ended = true;
    try {
      this.options.sink.close();
    } catch {
      // Nothing more is written there either way, and what was written is there or has been reported.
    }
  }

  private progressIsDue({ code }: Message): boolean {
    const nowMs = this.options.nowMs();
    const lastMs = this.progressAtMs.get(code);
    if (lastMs !== undefined && nowMs - lastMs < progressEveryMs) return false;
    this.progressAtMs.set(code, nowMs);
    return true;
  }
}

const progressCodes = [
  'image.sorting',
  'plan.scanning',
  'apply.checking',
  'backfill.progress',
  'letters.progress',
  'verify.progress',
  'rollback.progress',
];
const isProgress = ({ code }: Message): boolean => progressCodes.includes(code);
