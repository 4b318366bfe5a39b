/**
 * One connection to an SQLite file: prepared statements, transactions, errors under our codes.
 *
 * node:sqlite is synchronous: a transaction here is one uninterrupted stretch of code, and no other connection of this
 * process can meet it half-way. Other processes can; they are waited for, up to `busyTimeoutMs`, by SQLite itself.
 */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';

export interface ConnectionOptions {
  readonly file: string;
  readonly readOnly: boolean;
  /** How long a statement waits for another process's lock. */
  readonly busyTimeoutMs: number;
  /** Turns what SQLite throws into an error with a code. */
  readonly toError: (error: unknown) => unknown;
}

export type Row = Readonly<Record<string, SQLOutputValue>>;

const walTriesMax = 4;

export class Connection {
  private readonly database: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();
  private readonly toError: (error: unknown) => unknown;

  constructor({ file, readOnly, busyTimeoutMs, toError }: ConnectionOptions) {
    this.toError = toError;
    this.database = this.attempt(() => new DatabaseSync(file, { readOnly, timeout: busyTimeoutMs }));
  }

  get(sql: string, ...parameters: SQLInputValue[]): Row | undefined {
    return this.attempt(() => this.statement(sql).get(...parameters));
  }

  all(sql: string, ...parameters: SQLInputValue[]): readonly Row[] {
    return this.attempt(() => this.statement(sql).all(...parameters));
  }

  /** Rows as they come, until `take` returns false. */
  each(sql: string, parameters: readonly SQLInputValue[], take: (row: Row) => boolean): void {
    this.attempt(() => {
      for (const row of this.statement(sql).iterate(...parameters)) if (!take(row)) return;
    });
  }

  /** @returns how many rows the statement changed, those of triggers left out */
  run(sql: string, ...parameters: SQLInputValue[]): number {
    return this.attempt(() => Number(this.statement(sql).run(...parameters).changes));
  }

  /** Statements without parameters, any number of them. */
  script(sql: string): void {
    this.attempt(() => this.database.exec(sql));
  }

  /** Holds the file's one write lock from its first statement on; all of `body` happens, or nothing of it. */
  writeTransaction<T>(body: () => T): T {
    this.script('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.script('COMMIT');
      return result;
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  /** Within a transaction: all of `body` happens, or nothing of it, and the transaction goes on. */
  part<T>(body: () => T): T {
    this.script('SAVEPOINT part');
    try {
      return body();
    } catch (error) {
      if (this.isInTransaction) this.script('ROLLBACK TO part');
      throw error;
    } finally {
      if (this.isInTransaction) this.script('RELEASE part');
    }
  }

  get isInTransaction(): boolean {
    return this.database.isTransaction;
  }

  /** Write-ahead log: readers and the one writer leave each other alone. Written into the file; stays for ever. */
  ensureWriteAheadLog(): void {
    for (let tries = 1; tries <= walTriesMax; tries += 1) {
      if (this.get('PRAGMA journal_mode')?.['journal_mode'] === 'wal') return;
      // Two processes that switch at once refuse each other without waiting; a write lock does wait for the other. Given back
      // and not committed: a commit of nothing writes the first page of a new file, and waits for the disk four times.
      this.script('BEGIN IMMEDIATE');
      this.rollBack();
      try {
        this.script('PRAGMA journal_mode = WAL');
      } catch (error) {
        if (tries === walTriesMax) throw error;
      }
    }
  }

  /** What a transaction held is given back with it. */
  close(): void {
    if (this.database.isOpen) this.database.close();
  }

  private rollBack(): void {
    if (this.isInTransaction) this.database.exec('ROLLBACK');
  }

  private statement(sql: string): StatementSync {
    const known = this.statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.database.prepare(sql);
    this.statements.set(sql, statement);
    return statement;
  }

  private attempt<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw this.toError(error);
    }
  }
}
