/**
 * COPY … TO STDOUT through a connection of pg, as the bytes that come: pg would make an object and an event of each row.
 *
 *     socket ──bytes──► here ──CopyData──► taker
 *                        └──every other message──► pg's own parser
 *
 * While the statement runs, the socket's bytes are framed here. It begins between two messages, when the connection is
 * idle, and ends behind ReadyForQuery, so pg's parser sees whole messages and misses none but the rows.
 *
 * A message from the server holds one row (postgresql.org/docs/15/protocol-message-formats.html, CopyData).
 */
import type { Socket } from 'node:net';
import type { Client, DatabaseError, Submittable } from 'pg';

/** Takes whole regions of CopyData messages with their heads; a message may go on in the next region. */
export type TakeCopyData = (bytes: Buffer) => void;

const copyData = 0x64;
const readyForQuery = 0x5a;
const headLength = 5;

interface PgConnection {
  readonly stream: Socket;
  query(text: string): void;
}

/** @returns when the server is done and the connection is free again. A failure of `take` ends the connection. */
export async function copyOut(client: Client, sql: string, take: TakeCopyData): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.query(new CopyOut(sql, take, (error) => (error === null ? resolve() : reject(error))) as Submittable);
  });
}

class CopyOut {
  private readonly sql: string;
  private readonly take: TakeCopyData;
  private readonly done: (error: Error | null) => void;
  private failure: Error | null = null;
  private framing: Framing | null = null;

  constructor(sql: string, take: TakeCopyData, done: (error: Error | null) => void) {
    this.sql = sql;
    this.take = take;
    this.done = done;
  }

  submit(connection: unknown): void {
    const { stream } = connection as PgConnection;
    this.framing = new Framing(stream, this.take, (error) => {
      this.failure ??= error;
      stream.destroy(error);
    });
    (connection as PgConnection).query(this.sql);
  }

  handleError(error: DatabaseError | Error): void {
    this.failure ??= error;
    // Behind an error of the server comes ReadyForQuery, which ends the framing; behind one of the connection, nothing.
    if (!('severity' in error)) this.framing?.end();
    this.done(this.failure);
  }

  handleReadyForQuery(): void {
    this.framing?.end();
    this.done(this.failure);
  }

  handleRowDescription(): void {
    // none comes for a COPY
  }

  handleCommandComplete(): void {
    // how many rows it was is no news
  }

  handleEmptyQuery(): void {
    // it is none
  }
}

type Listener = (bytes: Buffer) => void;

/** Stands in for pg's listener on the socket. */
class Framing {
  private readonly stream: Socket;
  private readonly own: readonly Listener[];
  private readonly take: TakeCopyData;
  private readonly fail: (error: Error) => void;
  /** Of the message that goes on in the next bytes: what is still to come of it, and whose it is. */
  private missing = 0;
  private missingIsData = false;
  /** A head that was cut in two. */
  private head: Buffer = Buffer.alloc(0);

  constructor(stream: Socket, take: TakeCopyData, fail: (error: Error) => void) {
    this.stream = stream;
    this.take = take;
    this.fail = fail;
    this.own = stream.listeners('data') as Listener[];
    for (const listener of this.own) stream.off('data', listener);
    stream.on('data', this.onData);
  }

  end(): void {
    this.stream.off('data', this.onData);
    for (const listener of this.own)
      if (!this.stream.listeners('data').includes(listener)) this.stream.on('data', listener);
  }

  private readonly onData = (chunk: Buffer): void => {
    try {
      this.frame(this.head.length === 0 ? chunk : Buffer.concat([this.head, chunk]));
    } catch (error) {
      this.fail(error instanceof Error ? error : new TypeError(String(error)));
    }
  };

  private frame(bytes: Buffer): void {
    this.head = Buffer.alloc(0);
    let at = Math.min(this.missing, bytes.length);
    // Where the bytes of the same owner began that have not been handed on.
    let from = 0;
    let isData = this.missingIsData;
    this.missing -= at;
    while (at + headLength <= bytes.length) {
      const kind = bytes[at];
      const length = 1 + bytes.readUInt32BE(at + 1);
      if ((kind === copyData) !== isData) {
        this.hand(bytes.subarray(from, at), isData);
        from = at;
        isData = kind === copyData;
      }
      if (kind === readyForQuery) {
        // Behind this message the connection is pg's again, and it may send the next statement at once.
        this.end();
        this.hand(bytes.subarray(from), false);
        return;
      }
      const end = at + length;
      at = Math.min(end, bytes.length);
      this.missing = end - at;
    }
    this.missingIsData = isData;
    this.hand(bytes.subarray(from, at), isData);
    if (at < bytes.length) this.head = bytes.subarray(at);
  }

  private hand(bytes: Buffer, isData: boolean): void {
    if (bytes.length === 0) return;
    if (isData) this.take(bytes);
    else for (const listener of this.own) listener.call(this.stream, bytes);
  }
}
