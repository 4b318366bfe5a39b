/**
 * One commit for all batches that come about the same time: each commit waits for the disk, and while it does nothing else is
 * done here, as node:sqlite is synchronous.
 *
 *     batch, batch, … ──► wait, while each turn of the loop brings more of them ──► one transaction ──► each is answered
 *
 * A batch is answered only once it is committed, as if it were alone. One that fails takes back what it did itself, and
 * nothing of the others; a commit that fails fails them all.
 */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { Connection } from './connection.ts';

/** What waits at most, give or take what comes in one turn: each batch holds its records. */
const [batchesMax, bytesMax] = [16, 4 * 1024 * 1024];

interface Waiting {
  /** Does its part of the transaction; @returns how to answer whoever waits for it, once that is committed. */
  readonly take: (connection: Connection) => () => void;
  readonly fail: (error: unknown) => void;
}

export class GroupCommit {
  private readonly write: (body: (connection: Connection) => void) => void;
  private waiting: Waiting[] = [];
  private bytes = 0;

  /** @param write runs its body in a transaction */
  constructor(write: (body: (connection: Connection) => void) => void) {
    this.write = write;
  }

  /**
   * Rejects with what `body` throws, or with what the transaction fails with.
   * @param bytes of the batch's records
   */
  run<T>(bytes: number, body: (connection: Connection) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail: Waiting['fail'] = reject;
      const take = (connection: Connection): (() => void) => {
        try {
          const result = connection.part(() => body(connection));
          return () => resolve(result);
        } catch (error) {
          // Of a full disk, say: SQLite may take back the whole transaction by itself, and so the others' parts.
          if (!connection.isInTransaction) throw error;
          return () => fail(error);
        }
      };
      this.waiting.push({ take, fail });
      this.bytes += bytes;
      if (this.waiting.length === 1) void this.commitSoon();
    });
  }

  private async commitSoon(): Promise<void> {
    for (let seen = 0; this.waiting.length > seen && this.waiting.length < batchesMax && this.bytes < bytesMax;) {
      seen = this.waiting.length;
      await turnOfTheLoop();
    }
    const all = this.waiting;
    [this.waiting, this.bytes] = [[], 0];
    try {
      const answers: (() => void)[] = [];
      this.write((connection) => {
        for (const { take } of all) answers.push(take(connection));
      });
      for (const answer of answers) answer();
    } catch (error) {
      for (const { fail } of all) fail(error);
    }
  }
}
