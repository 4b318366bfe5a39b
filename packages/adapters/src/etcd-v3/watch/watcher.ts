/**
 * Watches a range of keys from a revision on, over cut connections and changes of leader: each event once, in order.
 *
 *     read ──► (connect on some member) ──► prove the first answer ──► whole revisions, and how far they go
 *                    ▲                                                       │ cut off: what has arrived is still good
 *                    └───────────────────────────────────────────────────────┘
 *
 * What begins exactly where the store was compacted is told without the deletes of that revision, and without a word, by
 * 3.4 before 3.4.36 and 3.5 before 3.5.18 (etcd #18089, #19179). So the first answer after each connect counts only once
 * a read at the revision before it was answered by the same member: then nothing that it should hold can be gone.
 */
import { isKeyferryError, type KeyRange, type StopSignal } from '@keyferry/core';
import type { EtcdClient } from '../client.ts';
import { readAt, WatchStream, type Revision } from './watch-stream.ts';

export interface WatchOptions {
  readonly range: KeyRange;
  /** In digits. Everything up to this revision is known already. */
  readonly after: string;
  /** Also each record as it was before; absent: not. */
  readonly previous?: boolean | undefined;
}

export type WatchStep =
  | {
      readonly kind: 'events';
      readonly revisions: readonly Revision[];
      /** In digits: everything up to here was in this step or in those before. */
      readonly through: string;
    }
  /** What came after the last step is gone: compacted, or the store is not where it was. Nothing more comes. */
  | { readonly kind: 'lost'; readonly why: string };

export interface WatchReadOptions {
  /** A wish: a revision is never cut. */
  readonly eventsMax: number;
  /** How long to wait for a first event; 0: what the store holds now. */
  readonly waitMs: number;
  readonly signal?: StopSignal | undefined;
}

interface Connection {
  readonly stream: WatchStream;
  /** Null: the first answer was proven. */
  unproven: (() => Promise<void>) | null;
}

/** Progress is worth a round trip even to one who does not want to wait. */
const patienceMs = 2000;
/** While nothing happens, the position is asked for so often. */
const progressPaceMs = 1000;
const unansweredPaceMs = 100;

export class EtcdWatcher {
  private readonly client: EtcdClient;
  private readonly options: WatchOptions;
  private at: bigint;
  private connection: Connection | null = null;
  private lost: string | null = null;
  private closed = false;

  /** Connects with the first read. */
  constructor(client: EtcdClient, options: WatchOptions) {
    this.client = client;
    this.options = options;
    this.at = BigInt(options.after);
  }

  /**
   * The next events, or none if none came in time. One call at a time. Reads reach every revision that the store had
   * when they began, whatever keys it was made of.
   * @throws {KeyferryError} of the store. The next call goes on behind the last step.
   */
  async read({ eventsMax, waitMs, signal }: WatchReadOptions): Promise<WatchStep> {
    const interrupt = (): void => this.connection?.stream.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      const startedMs = performance.now();
      let isReconnect = false;
      for (;;) {
        if (this.lost !== null) return { kind: 'lost', why: this.lost };
        const connection = (this.connection ??= await this.connect());
        if (connection === null) continue;
        await this.wait(connection.stream, startedMs + waitMs, signal);
        const step = await this.take(connection, eventsMax);
        if (step !== null) return step;
        // Cut off with nothing to show for it. Once more at once; after that, whoever reads decides when.
        const { ended } = connection.stream;
        if (isReconnect && ended !== null && 'error' in ended) throw this.client.errorOf(ended.error);
        isReconnect = true;
      }
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  close(): void {
    this.closed = true;
    this.disconnect();
  }

  private async connect(): Promise<Connection | null> {
    const { range, previous = false } = this.options;
    const after = String(this.at);
    const opened = await this.client.openOnMember(async (rpc, options) => {
      const { stream, head } = await WatchStream.open(rpc, options, { range, after, previous });
      const timeoutMs = Number(options.deadline) - Date.now();
      const prove = (): Promise<void> =>
        readAt(rpc, { ...options, deadline: Date.now() + timeoutMs }, range, after).catch((error: unknown) => {
          throw this.client.errorOf(error, after);
        });
      return { stream, head, prove };
    });
    if (this.closed) opened.stream.close();
    if (BigInt(opened.head) < this.at) {
      opened.stream.close();
      this.lost = `the store is at revision ${opened.head} and was at ${after} before: it was put back, or is another one`;
      return null;
    }
    return { stream: opened.stream, unproven: after === '0' ? null : opened.prove };
  }

  /** Until an event is there, the stream has ended, or it is time; by then the stream has said how far it is. */
  private async wait(stream: WatchStream, untilMs: number, signal: StopSignal | undefined): Promise<void> {
    if (!stream.isEmpty) return;
    const startedMs = performance.now();
    const goal = stream.tellsProgress ? null : BigInt((await this.client.head()).revision);
    const told = stream.progressTold;
    for (;;) {
      if (!stream.isEmpty || stream.ended !== null || signal?.aborted === true) return;
      const nowMs = performance.now();
      const hasToldNow = goal === null ? stream.progressTold > told : stream.through >= goal;
      const endMs = hasToldNow ? untilMs : Math.max(untilMs, startedMs + patienceMs);
      if (nowMs >= endMs) return;
      stream.askProgress();
      await stream.changed(Math.min(endMs - nowMs, hasToldNow ? progressPaceMs : unansweredPaceMs));
    }
  }

  /** Null: there is nothing, because the stream has ended. */
  private async take(connection: Connection, eventsMax: number): Promise<WatchStep | null> {
    const { stream } = connection;
    const hasMoved = !stream.isEmpty || stream.through > this.at;
    if (hasMoved && connection.unproven !== null) {
      try {
        await connection.unproven();
        connection.unproven = null;
      } catch (error) {
        this.disconnect();
        if (!isKeyferryError(error, 'store.position-compacted')) throw error;
        return this.loseTo(null);
      }
    }
    const revisions = stream.next(eventsMax);
    const last = revisions.at(-1);
    if (last === undefined && stream.ended !== null && !hasMoved) {
      this.disconnect();
      return 'compacted' in stream.ended ? this.loseTo(stream.ended.compacted) : null;
    }
    this.at = last === undefined || stream.isEmpty ? stream.through : BigInt(last.revision);
    if (stream.isEmpty && stream.ended !== null && 'error' in stream.ended) this.disconnect();
    return { kind: 'events', revisions, through: String(this.at) };
  }

  private loseTo(compacted: string | null): WatchStep {
    const upTo = compacted === null ? '' : ` up to ${compacted}`;
    this.lost = `what followed revision ${this.at} was compacted${upTo}`;
    return { kind: 'lost', why: this.lost };
  }

  private disconnect(): void {
    this.connection?.stream.close();
    this.connection = null;
  }
}
