/**
 * An answer whose body is read as a stream. The end of the body is the end that the server declared; a connection
 * that is cut before it rejects, because half of a listing looks exactly like a smaller listing.
 */
import type { IncomingMessage } from 'node:http';
import { KeyferryError } from '@keyferry/core';
import { codeOf, connectionError } from './errors.ts';

export interface AnswerContext {
  readonly store: string;
  readonly doing: string;
  readonly idleMs: number;
}

export class HttpAnswer {
  readonly status: number;
  /** What was asked, for errors: `GET http://127.0.0.1:2379/version`. */
  readonly doing: string;
  private readonly incoming: IncomingMessage;
  private readonly context: AnswerContext;

  constructor(incoming: IncomingMessage, context: AnswerContext) {
    this.incoming = incoming;
    this.context = context;
    this.status = incoming.statusCode ?? 0;
    this.doing = context.doing;
  }

  /** @param name in lower case */
  header(name: string): string | null {
    const value = this.incoming.headers[name];
    return typeof value === 'string' ? value : null;
  }

  /** The body in the pieces in which it comes. Leaving early closes the connection. */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    const { store, doing, idleMs } = this.context;
    const iterator: AsyncIterator<Uint8Array> = this.incoming[Symbol.asyncIterator]();
    try {
      for (;;) {
        const timer = setTimeout(() => {
          const detail = `${doing}: nothing more of the answer came within ${idleMs} ms`;
          this.incoming.destroy(new KeyferryError('store.timeout', { store, detail }));
        }, idleMs);
        const next = await iterator.next().finally(() => clearTimeout(timer));
        if (next.done === true) break;
        yield next.value;
      }
      if (!this.incoming.complete) throw this.cut();
    } catch (error) {
      throw codeOf(error) === 'ECONNRESET' ? this.cut(error) : connectionError(store, doing, error);
    } finally {
      await iterator.return?.();
    }
  }

  /** The whole body, for answers that are known to be small; null when it is larger than `bytesMax`. */
  async read(bytesMax: number): Promise<Buffer | null> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of this.pieces()) {
      bytes += piece.byteLength;
      if (bytes > bytesMax) return null;
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** Gives the body up. */
  discard(): void {
    this.incoming.destroy();
  }

  private cut(cause?: unknown): KeyferryError {
    const { store, doing } = this.context;
    const detail = `${doing}: the connection was cut in the middle of the answer`;
    return new KeyferryError('store.unreachable', { store, detail }, { cause });
  }
}
