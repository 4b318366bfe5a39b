/**
 * What a function says: a JSON line for each message, as CloudWatch takes them, with the secrets redacted. Progress comes
 * once a second at most; all else as it happens.
 */
import { KeyferryError, messageLevels, type Host, type Level, type Message } from '@keyferry/core';
import type { Redactor } from '@keyferry/adapters';

export type LogLevel = Level | 'error';

/** In every line of an invocation. */
export interface LogContext {
  readonly migration: string;
  readonly function: string;
  readonly requestId: string;
  /** X-Ray's id of the invocation's trace; absent outside of Lambda. */
  readonly trace?: string;
  /** Not the first invocation of its environment. */
  readonly warm: boolean;
}

const progressEveryMs = 1000;
const levels: readonly LogLevel[] = ['debug', 'info', 'warning', 'error'];
const progressCodes: ReadonlySet<Message['code']> = new Set<Message['code']>([
  'backfill.progress',
  'verify.progress',
  'plan.scanning',
  'apply.checking',
  'image.sorting',
  'tail.progress',
]);

export class FunctionHost implements Host {
  private readonly redactor: Redactor;
  private readonly write: (line: string) => void;
  private readonly levelMin: number;
  private context: LogContext | null = null;
  private lastProgressMs = Number.NEGATIVE_INFINITY;
  private retries = 0;
  private throttled = 0;

  /** @param write takes a line without its end; stdout unless given */
  constructor(redactor: Redactor, write = (line: string): void => void process.stdout.write(`${line}\n`)) {
    this.redactor = redactor;
    this.write = write;
    // Lambda's own setting, by Lambda's own words.
    const asked = (process.env['AWS_LAMBDA_LOG_LEVEL'] ?? 'INFO').toLowerCase();
    this.levelMin = Math.max(
      0,
      levels.findIndex((level) => level.startsWith(asked)),
    );
  }

  /** The next lines belong to this invocation; what was counted starts anew. */
  begin(context: LogContext): void {
    this.context = context;
    [this.retries, this.throttled, this.lastProgressMs] = [0, 0, Number.NEGATIVE_INFINITY];
  }

  /** Requests that were repeated, and of those the ones that a store refused because it was asked too much. */
  get counted(): { readonly retries: number; readonly throttled: number } {
    return { retries: this.retries, throttled: this.throttled };
  }

  emit(message: Message): void {
    if (message.code === 'store.retrying') {
      this.retries += 1;
      if (message.data.code.endsWith('.throttled') || message.data.code.endsWith('.busy')) this.throttled += 1;
    }
    if (progressCodes.has(message.code)) {
      const nowMs = performance.now();
      if (nowMs - this.lastProgressMs < progressEveryMs) return;
      this.lastProgressMs = nowMs;
    }
    this.log(messageLevels[message.code], message.code, message.data);
  }

  log(level: LogLevel, message: string, data: object): void {
    if (levels.indexOf(level) < this.levelMin) return;
    this.line({ at: new Date().toISOString(), level, ...this.context, message, data });
  }

  /** Its code, its words and what to do; the stack only of what keyferry cannot name. */
  failure(error: unknown): void {
    if (error instanceof KeyferryError) {
      const { code, message, remedy, retry, details } = error;
      this.log('error', code, { text: message, remedy, retry, details });
      return;
    }
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    this.log('error', 'internal.invariant', { text: `${name}: ${message}`, stack });
  }

  /** A line as it is. */
  line(value: object): void {
    this.write(this.redactor.redact(JSON.stringify(value)));
  }
}
