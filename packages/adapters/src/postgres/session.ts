/**
 * Connections, and what is fixed in each of them so that a value has one form wherever it is read.
 *
 * Everything is said here and nothing is taken from PG* variables or a password file: a migration must not depend on who
 * starts it. TLS, where it is asked for, is checked against the name that the configuration gives, or the host.
 */
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import { isIP } from 'node:net';
import { callbackify } from 'node:util';
import { Client, Pool, type ClientConfig, type PoolClient, type PoolConfig } from 'pg';
import { invariant } from '@keyferry/core';
import { storeErrorOf } from './errors.ts';

export interface PostgresConnectionOptions {
  /** The store's name in the configuration, for errors. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly auth: { readonly user: string; readonly password: string };
  /** Absent: in the clear. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly serverName?: string };
  /** How long one statement may take, those that read whole tables apart; 30 s by default. */
  readonly statementTimeoutMs?: number | undefined;
  /** How long a statement that reads whole tables may take; an hour by default. */
  readonly readTimeoutMs?: number | undefined;
}

export type Session = Client | PoolClient;

const defaultStatementTimeoutMs = 30_000;
const defaultReadTimeoutMs = 3_600_000;
/** Nobody who wants a lock waits behind keyferry for longer, and keyferry behind nobody. */
const lockTimeoutMs = 10_000;
const connectTimeoutMs = 15_000;
/** Batches that the server works on at the same time; what is more waits for a connection. */
const connectionsMax = 8;

export class Sessions {
  readonly endpoint: string;
  private readonly options: PostgresConnectionOptions;
  private readonly statementTimeoutMs: number;
  private pool: Pool | null = null;
  private closed = false;

  constructor(options: PostgresConnectionOptions) {
    this.options = options;
    this.statementTimeoutMs = options.statementTimeoutMs ?? defaultStatementTimeoutMs;
    const { host, port, database } = options;
    this.endpoint = `postgres://${host.includes(':') ? `[${host}]` : host}:${port}/${encodeURIComponent(database)}`;
  }

  /** @param doing for the message of an error. @throws {KeyferryError} under the codes of errors.ts. */
  async run<T>(doing: string, body: (session: Session) => Promise<T>): Promise<T> {
    return await this.guarded(doing, async () => {
      const session = await this.connected().connect();
      let failed: unknown = null;
      try {
        return await body(session);
      } catch (error) {
        failed = error;
        throw error;
      } finally {
        // What broke in the middle of a transaction is not given to the next one.
        session.release(failed === null ? undefined : true);
      }
    });
  }

  /** All of `body` happens, or nothing of it. READ COMMITTED: a statement sees what was committed before it began. */
  async transaction<T>(doing: string, body: (session: Session) => Promise<T>, begin = 'BEGIN'): Promise<T> {
    return await this.run(doing, async (session) => {
      await session.query(begin);
      const result = await body(session);
      await session.query('COMMIT');
      return result;
    });
  }

  /** A connection of its own, for one long read. Whoever opens it ends it. */
  async openReader(doing: string): Promise<Client> {
    return await this.guarded(doing, async () => {
      const timeoutMs = this.options.readTimeoutMs ?? defaultReadTimeoutMs;
      const client = new Client(this.config(timeoutMs));
      client.on('error', () => undefined); // the query that is under way gets it too
      try {
        await client.connect();
        await client.query(settings(timeoutMs));
      } catch (error) {
        await client.end().catch(() => undefined); // the first failure is the one to tell
        throw error;
      }
      return client;
    });
  }

  /** A connection that speaks the replication protocol; whoever opens it ends it. Errors are the caller's to guard. */
  async openReplication(): Promise<Client> {
    const client = new Client({ ...this.config(this.statementTimeoutMs), replication: 'database' } as ClientConfig);
    client.on('error', () => undefined); // the query that is under way gets it too
    try {
      await client.connect();
      // What is under way there has no end, so that no limit may end it.
      await client.query(settings(0));
    } catch (error) {
      await client.end().catch(() => undefined); // the first failure is the one to tell
      throw error;
    }
    return client;
  }

  async guarded<T>(doing: string, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      throw storeErrorOf(this.options.name, doing, error);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.pool?.end();
    this.pool = null;
  }

  private connected(): Pool {
    invariant(!this.closed, () => `store ${this.options.name} was used after it was closed`);
    if (this.pool !== null) return this.pool;
    const pool = new Pool({
      ...this.config(this.statementTimeoutMs),
      // The client's own limit, for a network that swallows the server's answer.
      query_timeout: this.statementTimeoutMs + connectTimeoutMs,
      max: connectionsMax,
      idleTimeoutMillis: 60_000,
      verify: callbackify(async (client: PoolClient) => {
        await client.query(settings(this.statementTimeoutMs));
      }),
    });
    // While one is lent out nobody else listens, and a connection that breaks would end the process. Its query fails too.
    pool.on('connect', (client) => client.on('error', () => undefined));
    pool.on('error', () => undefined); // an idle connection broke: the next call opens another one
    this.pool = pool;
    return pool;
  }

  private config(timeoutMs: number): PoolConfig {
    const { host, port, database, auth } = this.options;
    return {
      host,
      port,
      database,
      user: auth.user,
      password: auth.password,
      ssl: this.tls(),
      application_name: 'keyferry',
      client_encoding: 'UTF8',
      connectionTimeoutMillis: Math.min(connectTimeoutMs, timeoutMs),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    };
  }

  private tls(): ConnectionOptions | false {
    const { tls, host } = this.options;
    if (tls === undefined) return false;
    const { serverName = host, ...files } = tls;
    return {
      ...files,
      rejectUnauthorized: true,
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    };
  }
}

/**
 * row_security off: a policy that would hide rows is an error, and no rows are missing in silence. No idle limit: a
 * transaction of ours waits only for our own writes.
 */
function settings(statementTimeoutMs: number): string {
  return [
    `SET statement_timeout = ${Math.ceil(statementTimeoutMs)}`,
    `SET lock_timeout = ${lockTimeoutMs}`,
    'SET idle_in_transaction_session_timeout = 0',
    'SET row_security = off',
    ...formSettings.map((setting) => `SET ${setting}`),
    'SET standard_conforming_strings = on',
  ].join('; ');
}

/** On which the form of a value rests, wherever it is made a text. */
export const formSettings: readonly string[] = [
  "DateStyle = 'ISO, YMD'",
  "IntervalStyle = 'iso_8601'",
  "TimeZone = 'UTC'",
  'extra_float_digits = 1',
  "bytea_output = 'hex'",
  "xmlbinary = 'base64'",
];
