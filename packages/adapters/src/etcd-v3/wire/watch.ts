/**
 * Messages of etcd's Watch service, a stream both ways: what is asked, and what is told. Field numbers: etcd's
 * api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto, unchanged from 3.4 to 3.6; 3.3 lacks only the request for progress.
 */
import type { IKeyValue, IResponseHeader } from 'etcd3';
import { BackwardWriter } from './backward-writer.ts';
import { MessageReader } from './message-reader.ts';
import { block, integer, noHeader, readHeader, readKeyValue } from './responses.ts';

const writer = new BackwardWriter();

export interface WatchCreate {
  readonly key: Buffer;
  readonly range_end: Buffer;
  /** Inclusive, in digits; '0': from now on. */
  readonly start_revision: string;
  /** The server tells by itself how far it is, every ten minutes at its defaults. */
  readonly progress_notify?: boolean;
  readonly prev_kv?: boolean;
}

export type WatchRequest = { readonly create: WatchCreate } | { readonly progress: true };

export function encodeWatchRequest(request: WatchRequest): Buffer {
  return writer.message(() => {
    const start = writer.mark;
    if ('progress' in request) return writer.endMessage(3, start);
    const { key, range_end, start_revision, progress_notify, prev_kv } = request.create;
    writer.integer(6, prev_kv);
    writer.integer(4, progress_notify);
    writer.integer(3, start_revision);
    writer.bytes(2, range_end);
    writer.bytes(1, key);
    writer.endMessage(1, start);
  });
}

export interface WatchEvent {
  readonly isDelete: boolean;
  /** Of a delete, the key and the revision alone. */
  readonly kv: IKeyValue;
  /** As it was before; absent: not asked for, not there, or compacted. */
  readonly previous?: IKeyValue;
}

export interface WatchResponse {
  /** Its revision is the store's, which may be ahead of what this watch was told. */
  readonly header: IResponseHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  /** '0': nothing was compacted. */
  readonly compactRevision: string;
  readonly cancelReason: string;
  /** In the order of their revisions; all of a revision are in one response. */
  readonly events: readonly WatchEvent[];
}

export function decodeWatchResponse(bytes: Buffer): WatchResponse {
  const reader = new MessageReader(bytes);
  const events: WatchEvent[] = [];
  const response = {
    header: noHeader,
    created: false,
    canceled: false,
    compactRevision: '0',
    cancelReason: '',
    events,
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(11)) events.push(reader.message(readEvent));
    else if (tag === block(1)) response.header = reader.message(readHeader);
    else if (tag === integer(3)) response.created = reader.boolean();
    else if (tag === integer(4)) response.canceled = reader.boolean();
    else if (tag === integer(5)) response.compactRevision = reader.int64();
    else if (tag === block(6)) response.cancelReason = reader.bytes().toString();
    else reader.skip(tag);
  }
  return response;
}

const noBytes = Buffer.alloc(0);
const noKeyValue: IKeyValue = {
  key: noBytes,
  create_revision: '0',
  mod_revision: '0',
  version: '0',
  value: noBytes,
  lease: '0',
};

function readEvent(reader: MessageReader): WatchEvent {
  let isDelete = false;
  let kv = noKeyValue;
  let previous: IKeyValue | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === block(2)) kv = reader.message(readKeyValue);
    else if (tag === integer(1)) isDelete = reader.boolean();
    else if (tag === block(3)) previous = reader.message(readKeyValue);
    else reader.skip(tag);
  }
  return { isDelete, kv, ...(previous !== undefined && { previous }) };
}
