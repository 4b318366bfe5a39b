/**
 * What an entry of the log asks the v2 store to do.
 *
 * Servers of all releases up to 3.5 write requests to v2 bare, with the method in field 2; from 3.0 on an entry may
 * also be the union `InternalRaftRequest`, whose field 2 is such a request as a nested message. The two are told apart
 * as etcd does it (`pbutil.MaybeUnmarshal`, etcdserver/server.go, applyEntryNormal): the methods' five words do not parse
 * as a message.
 *
 * Source: etcd 3.4 `etcdserver/etcdserverpb/etcdserver.proto`, `raft_internal.proto`; 3.5 `api/membershippb`.
 */
import { FieldReader, Malformed } from './protobuf.ts';
import { noBytes } from '../bytes.ts';
import { type ByteSpan } from './byte-slabs.ts';

const methods = ['PUT', 'POST', 'DELETE', 'QGET', 'SYNC'] as const;
export type Method = (typeof methods)[number];

/** etcdserverpb.Request. Path and values are byte strings. */
export class V2Request {
  method: Method = 'QGET';
  path = '';
  dir = false;
  prevValue = '';
  prevIndex = 0;
  /** Whether it was said matters. */
  prevExist: boolean | null = null;
  /** Nanoseconds since 1970; 0: none. */
  expiration = 0n;
  recursive = false;
  /** Of SYNC: everything that has expired until then goes. Nanoseconds since 1970. */
  time = 0n;
  refresh = false;
  /** The value where it lies in the log. */
  valueSpan: ByteSpan = noValue;

  get value(): string {
    const { bytes, start, end } = this.valueSpan;
    return bytes.toString('latin1', start, end);
  }
}

const noValue: ByteSpan = { bytes: noBytes, start: 0, end: 0 };

export type EntryContent =
  | { readonly kind: 'v2'; readonly request: V2Request }
  /** From etcd 3.5 on, besides the bare form: the version of the cluster, attributes of a member. */
  | { readonly kind: 'cluster-version'; readonly version: string }
  | { readonly kind: 'member-attributes'; readonly member: string; readonly json: string }
  /** For the v3 store, or for nobody. */
  | { readonly kind: 'other' };

const other: EntryContent = { kind: 'other' };

/** @throws {Malformed} */
export function readEntryContent(bytes: Buffer, start: number, end: number): EntryContent {
  const message = new FieldReader(bytes, start, end);
  let content: EntryContent = other;
  while (message.next()) {
    switch (message.field) {
      case 2: {
        if (isMethod(bytes, message.start, message.end)) {
          return { kind: 'v2', request: readRequest(new FieldReader(bytes, start, end)) };
        }
        const nested = readRequest(message.message());
        content = { kind: 'v2', request: nested };
        break;
      }
      case 1300:
        content = readClusterVersion(message.message());
        break;
      case 1301:
        content = readMemberAttributes(message.message());
        break;
      default: // the v3 store's
    }
  }
  return content;
}

function isMethod(bytes: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (length === 3 && bytes[start] === 0x50 && bytes[start + 1] === 0x55 && bytes[start + 2] === 0x54) return true;
  return length >= 3 && length <= 6 && (methods as readonly string[]).includes(bytes.toString('latin1', start, end));
}

function readRequest(message: FieldReader): V2Request {
  const request = new V2Request();
  let method = '';
  while (message.next()) {
    switch (message.field) {
      case 2:
        method = message.byteString();
        break;
      case 3:
        request.path = message.byteString();
        break;
      case 4:
        message.byteLength();
        request.valueSpan = { bytes: message.bytes, start: message.start, end: message.end };
        break;
      case 5:
        request.dir = message.boolean();
        break;
      case 6:
        request.prevValue = message.byteString();
        break;
      case 7:
        request.prevIndex = message.rounded();
        break;
      case 8:
        request.prevExist = message.boolean();
        break;
      case 9:
        request.expiration = message.signed();
        break;
      case 12:
        request.recursive = message.boolean();
        break;
      case 15:
        request.time = message.signed();
        break;
      case 17:
        request.refresh = message.boolean();
        break;
      default: // id, wait, since, sorted, quorum, stream: nothing that changes the store
    }
  }
  const known = methods.find((each) => each === method);
  if (known === undefined) throw new Malformed('it asks the v2 store for an unknown method');
  request.method = known;
  return request;
}

function readClusterVersion(message: FieldReader): EntryContent {
  let version = '';
  while (message.next()) if (message.field === 1) version = message.byteString();
  return { kind: 'cluster-version', version };
}

function readMemberAttributes(message: FieldReader): EntryContent {
  let member = '';
  let name = '';
  const clientURLs: string[] = [];
  while (message.next()) {
    if (message.field === 1) member = message.unsigned().toString(16);
    if (message.field !== 2) continue;
    const attributes = message.message();
    while (attributes.next()) {
      if (attributes.field === 1) name = attributes.byteString();
      else if (attributes.field === 2) clientURLs.push(attributes.byteString());
    }
  }
  return { kind: 'member-attributes', member, json: JSON.stringify({ name, clientURLs }) };
}
