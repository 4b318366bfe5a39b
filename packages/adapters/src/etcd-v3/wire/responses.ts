/**
 * Answers of etcd's KV service from their bytes, in the shape that npm `etcd3` gives them: 64-bit integers as digits,
 * bytes as views of the answer. Field numbers: etcd's api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto.
 *
 * Hand-written because this is the hot path of every read (ADR 6 has the figures).
 */
import type {
  IDeleteRangeResponse,
  IKeyValue,
  IPutResponse,
  IRangeResponse,
  IResponseHeader,
  IResponseOp,
  ITxnResponse,
} from 'etcd3';
import { MessageReader } from './message-reader.ts';

/** A field of wire type 0 (integer) or 2 (bytes, message), as `MessageReader.tag` says it. */
export const integer = (number: number): number => number << 3;
export const block = (number: number): number => (number << 3) | 2;

export function decodeRangeResponse(bytes: Buffer): IRangeResponse {
  return readRange(new MessageReader(bytes));
}

export function decodeTxnResponse(bytes: Buffer): ITxnResponse {
  return readTxn(new MessageReader(bytes));
}

function readRange(reader: MessageReader): IRangeResponse {
  const response: IRangeResponse = { header: noHeader, kvs: [], more: false, count: '0' };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(2)) response.kvs.push(reader.message(readKeyValue));
    else if (tag === block(1)) response.header = reader.message(readHeader);
    else if (tag === integer(3)) response.more = reader.boolean();
    else if (tag === integer(4)) response.count = reader.int64();
    else reader.skip(tag);
  }
  return response;
}

function readTxn(reader: MessageReader): ITxnResponse {
  const response: ITxnResponse = { header: noHeader, succeeded: false, responses: [] };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(3)) response.responses.push(reader.message(readOperation));
    else if (tag === block(1)) response.header = reader.message(readHeader);
    else if (tag === integer(2)) response.succeeded = reader.boolean();
    else reader.skip(tag);
  }
  return response;
}

/** One of the four, and the others undefined, as the type of npm `etcd3` does not say. */
function readOperation(reader: MessageReader): IResponseOp {
  const response: Partial<IResponseOp> = {};
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(4)) response.response_txn = reader.message(readTxn);
    else if (tag === block(2)) response.response_put = reader.message(readPut);
    else if (tag === block(1)) response.response_range = reader.message(readRange);
    else if (tag === block(3)) response.response_delete_range = reader.message(readDelete);
    else reader.skip(tag);
  }
  return response as IResponseOp;
}

/** Only that it is there: nobody asks for the record before. */
function readPut(reader: MessageReader): IPutResponse {
  const response = { header: noHeader };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skip(tag);
  return response as IPutResponse;
}

function readDelete(reader: MessageReader): IDeleteRangeResponse {
  const response: IDeleteRangeResponse = { header: noHeader, deleted: '0', prev_kvs: [] };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === integer(2)) response.deleted = reader.int64();
    else reader.skip(tag);
  }
  return response;
}

const noBytes = Buffer.alloc(0);

export function readKeyValue(reader: MessageReader): IKeyValue {
  let key: Buffer = noBytes;
  let value: Buffer = noBytes;
  let create_revision = '0';
  let mod_revision = '0';
  let version = '0';
  let lease = '0';
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(1)) key = reader.bytes();
    else if (tag === block(5)) value = reader.bytes();
    else if (tag === integer(2)) create_revision = reader.int64();
    else if (tag === integer(3)) mod_revision = reader.int64();
    else if (tag === integer(4)) version = reader.int64();
    else if (tag === integer(6)) lease = reader.int64();
    else reader.skip(tag);
  }
  return { key, create_revision, mod_revision, version, value, lease };
}

/** Inner answers carry none. */
export const noHeader: IResponseHeader = { cluster_id: '0', member_id: '0', revision: '0', raft_term: '0' };

export function readHeader(reader: MessageReader): IResponseHeader {
  const header = { ...noHeader };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === integer(1)) header.cluster_id = reader.uint64();
    else if (tag === integer(2)) header.member_id = reader.uint64();
    else if (tag === integer(3)) header.revision = reader.int64();
    else if (tag === integer(4)) header.raft_term = reader.uint64();
    else reader.skip(tag);
  }
  return header;
}
