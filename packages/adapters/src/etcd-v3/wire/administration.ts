/**
 * The calls beside records: sign-in, leases, members, status, snapshots. Requests and answers of the shapes that npm `etcd3` types;
 * field numbers: etcd's api/etcdserverpb/rpc.proto, unchanged from 3.3 to 3.6. Of an answer only what keyferry reads.
 */
import type { IMember, IStatusResponse } from 'etcd3';
import { BackwardWriter } from './backward-writer.ts';
import { MessageReader } from './message-reader.ts';
import { block, integer, noHeader, readHeader } from './responses.ts';

const writer = new BackwardWriter();

export interface Credentials {
  readonly name: string;
  readonly password: string;
}

export function encodeAuthenticate({ name, password }: Credentials): Buffer {
  return writer.message(() => {
    writer.bytes(2, Buffer.from(password));
    writer.bytes(1, Buffer.from(name));
  });
}

export function decodeAuthenticate(bytes: Buffer): { readonly token: string } {
  let token = '';
  eachField(bytes, (tag, reader) => {
    if (tag !== block(2)) return false;
    token = reader.bytes().toString();
    return true;
  });
  return { token };
}

export function encodeLeaseGrant({ TTL }: { readonly TTL: number }): Buffer {
  return writer.message(() => writer.integer(1, TTL));
}

export function encodeLeaseTimeToLive({ ID }: { readonly ID: string }): Buffer {
  return writer.message(() => writer.integer(1, ID));
}

export interface Lease {
  readonly ID: string;
  /** Seconds; -1: there is none. */
  readonly TTL: string;
}

/** Of a grant and of a look at one: both number their fields alike. */
export function decodeLease(bytes: Buffer): Lease {
  const lease = { ID: '0', TTL: '0' };
  eachField(bytes, (tag, reader) => {
    if (tag === integer(2)) lease.ID = reader.int64();
    else if (tag === integer(3)) lease.TTL = reader.int64();
    else return false;
    return true;
  });
  return lease;
}

export function encodeMemberList({ linearizable }: { readonly linearizable: boolean }): Buffer {
  return writer.message(() => writer.integer(1, linearizable));
}

export function decodeMemberList(bytes: Buffer): { readonly members: IMember[] } {
  const members: IMember[] = [];
  eachField(bytes, (tag, reader) => {
    if (tag !== block(2)) return false;
    members.push(reader.message(readMember));
    return true;
  });
  return { members };
}

function readMember(reader: MessageReader): IMember {
  const member: IMember = { ID: '0', name: '', peerURLs: [], clientURLs: [], isLearner: false };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === integer(1)) member.ID = reader.uint64();
    else if (tag === block(2)) member.name = reader.bytes().toString();
    else if (tag === block(3)) member.peerURLs.push(reader.bytes().toString());
    else if (tag === block(4)) member.clientURLs.push(reader.bytes().toString());
    else if (tag === integer(5)) member.isLearner = reader.boolean();
    else reader.skip(tag);
  }
  return member;
}

export const encodeStatus = (): Buffer => Buffer.alloc(0);

export function decodeStatus(bytes: Buffer): IStatusResponse {
  const status = { header: noHeader, version: '', dbSize: '0', leader: '0', raftIndex: '0', raftTerm: '0' };
  eachField(bytes, (tag, reader) => {
    if (tag === block(1)) status.header = reader.message(readHeader);
    else if (tag === block(2)) status.version = reader.bytes().toString();
    else if (tag === integer(3)) status.dbSize = reader.int64();
    else if (tag === integer(4)) status.leader = reader.uint64();
    else if (tag === integer(5)) status.raftIndex = reader.uint64();
    else if (tag === integer(6)) status.raftTerm = reader.uint64();
    else return false;
    return true;
  });
  // Newer servers say more, which nobody here asks for.
  return status as IStatusResponse;
}

export const encodeSnapshot = (): Buffer => Buffer.alloc(0);

/** One piece of a snapshot. */
export function decodeSnapshot(bytes: Buffer): Buffer {
  let blob: Buffer = Buffer.alloc(0);
  eachField(bytes, (tag, reader) => {
    if (tag !== block(3)) return false;
    blob = reader.bytes();
    return true;
  });
  return blob;
}

/** @param take reads the field of a tag, or says that it does not */
function eachField(bytes: Buffer, take: (tag: number, reader: MessageReader) => boolean): void {
  const reader = new MessageReader(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) if (!take(tag, reader)) reader.skip(tag);
}
