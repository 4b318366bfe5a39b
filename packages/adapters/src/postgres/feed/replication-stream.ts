/**
 * The streaming replication protocol on a connection of pg: START_REPLICATION, and the two messages that come in its CopyData
 * (postgresql.org/docs/15/protocol-replication.html).
 *
 *     server ──XLogData (w)──► a message of the output plugin
 *            ──keepalive (k)─► how far the log was read, also where nothing in it was for us
 *     client ──status (r)────► how far the log is not needed any more; and, if asked, an answer comes at once
 *
 * A status goes out every few seconds as well: the server ends whoever is silent for longer than wal_sender_timeout. What
 * comes faster than it is taken waits in the socket.
 */
import { invariant } from '@keyferry/core';
import type { Client, DatabaseError, Submittable } from 'pg';
import { lsnToText } from './lsn.ts';

export type StreamEvent =
  | { readonly kind: 'message'; readonly bytes: Buffer }
  /** All of the log up to `read` was read, and what was in it for us was sent before this. */
  | { readonly kind: 'read'; readonly read: bigint };

interface PgConnection {
  readonly stream: { pause(): void; resume(): void };
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  once(event: 'replicationStart', listener: () => void): void;
}

const xLogData = 0x77;
const keepalive = 0x6b;
const statusMs = 5000;
/** Of what waits here; the rest waits in the socket. */
const waitingBytesMax = 16 * 1024 * 1024;

export class ReplicationStream {
  private readonly client: Client;
  private readonly timer: NodeJS.Timeout;
  private connection: PgConnection | null = null;
  private waiting: StreamEvent[] = [];
  private waitingBytes = 0;
  private failure: Error | null = null;
  private wake: (() => void) | null = null;
  /** 0 says nothing. Never one below what the slot has: PostgreSQL 15 would go back to it. */
  private confirmed = 0n;
  private readonly start: Promise<void>;
  private begun: (failure: Error | null) => void = () => undefined;

  /**
   * @param client a connection with `replication: 'database'`; the stream ends it
   * @param name of slot and publication
   * @param from what ended before is not told
   */
  constructor(client: Client, name: string, from: bigint) {
    this.client = client;
    this.start = new Promise((resolve, reject) => {
      this.begun = (failure) => (failure === null ? resolve() : reject(failure));
    });
    this.start.catch(() => undefined); // whoever waits for it hears it
    invariant(/^[a-z0-9_]+$/.test(name), `a slot ${name}`);
    const sql = `START_REPLICATION SLOT ${name} LOGICAL ${lsnToText(from)} (proto_version '1', publication_names '${name}')`;
    client.on('error', (error) => this.fail(error));
    client.on('end', () => this.fail(new Error('Connection terminated')));
    const submittable = {
      submit: (connection: unknown) => {
        this.connection = connection as PgConnection;
        this.connection.once('replicationStart', () => this.begun(null));
        this.connection.query(sql);
      },
      handleCopyData: ({ chunk }: { readonly chunk: Buffer }) => this.take(chunk),
      handleError: (error: DatabaseError | Error) => this.fail(error),
      handleReadyForQuery: () => this.fail(new Error('Connection terminated: the server ended the stream')),
      handleCommandComplete: () => undefined,
    };
    client.query(submittable as unknown as Submittable);
    this.timer = setInterval(() => this.sendStatus(false), statusMs);
    this.timer.unref();
  }

  /** The server has begun to send. @throws why it does not */
  started(): Promise<void> {
    return this.start;
  }

  /** What has come, in order; nothing if it was nothing by `untilMs` (monotonic). @throws the failure that ended the stream */
  async events(waitMs: number): Promise<readonly StreamEvent[]> {
    if (this.waiting.length === 0 && this.failure === null && waitMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = null;
    }
    if (this.waiting.length === 0 && this.failure !== null) throw this.failure;
    const events = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    this.connection?.stream.resume();
    return events;
  }

  /** Ends a wait for events. */
  interrupt(): void {
    this.wake?.();
  }

  /** The log up to here is not needed any more. @param lsn one from which the stream was read, or behind it */
  confirm(lsn: bigint): void {
    if (lsn > this.confirmed) this.confirmed = lsn;
    this.sendStatus(false);
  }

  /** A `read` event comes as soon as the server has got to it. */
  askHowFar(): void {
    this.sendStatus(true);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.client.end().catch(() => undefined); // it is gone either way
  }

  private take(chunk: Buffer): void {
    if (chunk[0] === keepalive) {
      this.add({ kind: 'read', read: chunk.readBigUInt64BE(1) }, 0);
      if (chunk[17] === 1) this.sendStatus(false);
    } else if (chunk[0] === xLogData) {
      // Behind where it is, where the log ends, and when it was sent. The parser of pg uses its buffer again.
      const bytes = Buffer.from(chunk.subarray(25));
      this.add({ kind: 'message', bytes }, bytes.length);
    }
  }

  private add(event: StreamEvent, bytes: number): void {
    this.waiting.push(event);
    this.waitingBytes += bytes;
    if (this.waitingBytes > waitingBytesMax) this.connection?.stream.pause();
    this.wake?.();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.begun(this.failure);
    clearInterval(this.timer);
    this.wake?.();
  }

  private sendStatus(wantsAnswer: boolean): void {
    if (this.failure !== null) return;
    const status = Buffer.alloc(34);
    status.write('r', 0, 'latin1');
    // Written, flushed and applied; the time stays 0, which nobody reads.
    for (const at of [1, 9, 17]) status.writeBigUInt64BE(this.confirmed, at);
    status.writeUInt8(wantsAnswer ? 1 : 0, 33);
    this.connection?.sendCopyFromChunk(status);
  }
}
