/**
 * What PostgreSQL and its connection fail with, as keyferry's codes. SQLSTATEs as in postgresql.org/docs/15/errcodes-appendix.html.
 *
 * The server's words are shown only where they cannot hold what a user stored: a value that does not fit is quoted in
 * them ("invalid input syntax for type integer: …"), so of such an error only its code and the names in it are told.
 */
import { KeyferryError, type Code } from '@keyferry/core';
import { DatabaseError } from 'pg';
import { connectionError } from '../http/errors.ts';

type StoreCode = Extract<Code, `store.${string}`> &
  (
    | 'store.unreachable'
    | 'store.timeout'
    | 'store.auth-failed'
    | 'store.permission-denied'
    | 'store.unsupported'
    | 'store.out-of-space'
    | 'store.request-refused'
    | 'store.answer-unexpected'
  );

const codeByState: Readonly<Record<string, StoreCode>> = {
  '25006': 'store.permission-denied', // a standby, or default_transaction_read_only
  '28000': 'store.auth-failed',
  '28P01': 'store.auth-failed',
  '3D000': 'store.unsupported', // no such database
  '40001': 'store.timeout', // serialization failure, deadlock: the same again comes through
  '40P01': 'store.timeout',
  '42501': 'store.permission-denied',
  '42P01': 'store.unsupported', // no such table: it went while keyferry was reading
  '53100': 'store.out-of-space',
  '53200': 'store.timeout',
  '53300': 'store.unreachable', // too many connections
  '55006': 'store.timeout', // a replication slot that another connection reads from, until the server gives that up
  '55P03': 'store.timeout', // lock_timeout
  '57014': 'store.timeout', // statement_timeout, or somebody cancelled it
  '57P01': 'store.unreachable', // shutdown, crash, starting up, database dropped
  '57P02': 'store.unreachable',
  '57P03': 'store.unreachable',
};

const codeByClass: Readonly<Record<string, StoreCode>> = { '08': 'store.unreachable', '58': 'store.unreachable' };

/** A right that we find lacking before the server does, so that nothing is begun; comes out as `store.permission-denied`. */
export class LackingRight extends Error {}

/** Classes of errors that a record is to blame for: data exceptions, constraints, and rules of its table. */
export function isRecordsFault(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && isOfRecord(error);
}

function isOfRecord(error: DatabaseError): boolean {
  const state = error.code ?? '';
  return (
    state.startsWith('22') || state.startsWith('23') || state === '428C9' || state === '54000' || state === 'P0001'
  );
}

/** Why the server refuses a record, without a word of what is in it. */
export function refusalOf({ code = '', constraint, column, table, dataType }: DatabaseError): string {
  const names = [
    constraint === undefined ? null : `constraint ${constraint}`,
    column === undefined ? null : `column ${column}`,
    dataType === undefined ? null : `type ${dataType}`,
    table === undefined ? null : `table ${table}`,
  ].filter((name) => name !== null);
  return `the server refuses it with SQLSTATE ${[code, ...names].join(', ')}`;
}

/** An error of ours comes back as it is. @param doing such as `reading jm.jobs` */
export function storeErrorOf(store: string, doing: string, error: unknown): unknown {
  if (error instanceof KeyferryError) return error;
  if (error instanceof LackingRight) {
    return new KeyferryError(
      'store.permission-denied',
      { store, detail: `${doing}: ${error.message}` },
      { cause: error },
    );
  }
  if (!(error instanceof DatabaseError)) return isOfConnection(error) ? lostConnection(store, doing, error) : error;
  const state = error.code ?? '';
  const code = codeByState[state] ?? codeByClass[state.slice(0, 2)] ?? 'store.request-refused';
  const said = isOfRecord(error) ? refusalOf(error) : `${error.message} (SQLSTATE ${state})`;
  return new KeyferryError(code, { store, detail: `${doing}: ${said}` }, { cause: error });
}

/** What pg says in words and without a code; the rest has Node's codes. */
const pgWords =
  /^(?:Connection terminated|Client has encountered a connection error|timeout expired|Query read timeout|timeout exceeded when trying to connect|The server does not support SSL|There was an error establishing an SSL)/;

function isOfConnection(error: unknown): boolean {
  return error instanceof Error && ('code' in error || error instanceof AggregateError || pgWords.test(error.message));
}

function lostConnection(store: string, doing: string, error: unknown): KeyferryError {
  const message = error instanceof Error ? error.message : String(error);
  const detail = `${doing}: ${message}`;
  if (/SSL/.test(message) && pgWords.test(message)) {
    return new KeyferryError('store.tls-failed', { store, detail }, { cause: error });
  }
  if (/timeout/i.test(message)) return new KeyferryError('store.timeout', { store, detail }, { cause: error });
  return connectionError(store, doing, error);
}
