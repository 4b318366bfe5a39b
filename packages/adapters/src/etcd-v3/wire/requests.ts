/**
 * Requests of etcd's KV service as bytes. Field numbers: etcd's api/etcdserverpb/rpc.proto, unchanged from 3.3 to 3.6.
 *
 * Hand-written because this is the hot path of every write: encoding by reflection took CPU time away from the server
 * that it was meant for (ADR 6 has the figures). Fields that keyferry never sets are an error and not left out.
 */
import type { ICompare, IRangeRequest, IRequestOp, ITxnRequest } from 'etcd3';
import { invariant } from '@keyferry/core';
import { BackwardWriter } from './backward-writer.ts';
import { CompareTarget } from './compare-target.ts';

// One for all: messages are written in one go, without a wait in between.
const writer = new BackwardWriter();

export function encodeRangeRequest(request: IRangeRequest): Buffer {
  return writer.message(() => writeRange(request));
}

export function encodeTxnRequest(request: ITxnRequest): Buffer {
  return writer.message(() => writeTxn(request));
}

function writeRange(request: IRangeRequest): void {
  const { key, range_end, limit, revision, serializable, keys_only, count_only, ...others } = request;
  assertNone(others, 'RangeRequest');
  writer.integer(9, count_only);
  writer.integer(8, keys_only);
  writer.integer(7, serializable);
  writer.integer(4, revision);
  writer.integer(3, limit);
  writer.bytes(2, range_end);
  writer.bytes(1, key);
}

function writeTxn({ compare = [], success = [], failure = [] }: ITxnRequest): void {
  for (let i = failure.length - 1; i >= 0; i -= 1) writeOperation(3, failure[i] as IRequestOp);
  for (let i = success.length - 1; i >= 0; i -= 1) writeOperation(2, success[i] as IRequestOp);
  for (let i = compare.length - 1; i >= 0; i -= 1) writeCompare(1, compare[i] as ICompare);
}

function writeOperation(number: number, operation: IRequestOp): void {
  const { request_range: range, request_put: put, request_delete_range: remove, request_txn: txn } = operation;
  const start = writer.mark;
  if (range !== undefined) {
    writeRange(range);
    writer.endMessage(1, start);
  } else if (put !== undefined) {
    const { key, value, lease, ...others } = put;
    assertNone(others, 'PutRequest');
    writer.integer(3, lease);
    writer.bytes(2, value);
    writer.bytes(1, key);
    writer.endMessage(2, start);
  } else if (remove !== undefined) {
    const { key, range_end, ...others } = remove;
    assertNone(others, 'DeleteRangeRequest');
    writer.bytes(2, range_end);
    writer.bytes(1, key);
    writer.endMessage(3, start);
  } else if (txn !== undefined) {
    writeTxn(txn);
    writer.endMessage(4, start);
  }
  writer.endMessage(number, start);
}

/** The member of the oneof that belongs to the target is written even where it is zero or empty. */
function writeCompare(number: number, compare: ICompare): void {
  const { key, target = CompareTarget.Version, result = 0, range_end, ...union } = compare;
  invariant(typeof target === 'number' && typeof result === 'number', 'an enum of etcd by its name');
  const start = writer.mark;
  writer.bytes(64, range_end);
  const { version, create_revision, mod_revision, value, lease, ...others } = union;
  assertNone(others, 'Compare');
  if (lease !== undefined) writer.alwaysInteger(8, lease);
  if (value !== undefined) writer.alwaysBytes(7, value);
  if (mod_revision !== undefined) writer.alwaysInteger(6, mod_revision);
  if (create_revision !== undefined) writer.alwaysInteger(5, create_revision);
  if (version !== undefined) writer.alwaysInteger(4, version);
  writer.bytes(3, key);
  writer.integer(2, target);
  writer.integer(1, result);
  writer.endMessage(number, start);
}

function assertNone(others: object, message: string): void {
  for (const field in others) invariant(false, () => `the field ${field} of a ${message} is not encoded`);
}
