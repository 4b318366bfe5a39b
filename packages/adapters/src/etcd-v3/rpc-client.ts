/**
 * The calls to one member of etcd, on gRPC itself with the codec in wire/.
 *
 * npm `etcd3` encodes and decodes by reflection, which cost more CPU time than all else that keyferry does, half a second
 * of every start, and a quarter of a megabyte of every bundle (ADR 6, ADR 18). Of it only the types are used.
 */
import {
  Client,
  type CallOptions,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  Metadata,
} from '@grpc/grpc-js';
import type { IMember, IRangeRequest, IRangeResponse, IStatusResponse, ITxnRequest, ITxnResponse } from 'etcd3';
import {
  decodeAuthenticate,
  decodeLease,
  decodeMemberList,
  decodeSnapshot,
  decodeStatus,
  encodeAuthenticate,
  encodeLeaseGrant,
  encodeLeaseTimeToLive,
  encodeMemberList,
  encodeSnapshot,
  encodeStatus,
  type Credentials,
  type Lease,
} from './wire/administration.ts';
import { encodeRangeRequest, encodeTxnRequest } from './wire/requests.ts';
import { decodeRangePage, type RangePage } from './wire/range-page.ts';
import { decodeRangeResponse, decodeTxnResponse } from './wire/responses.ts';
import { decodeWatchResponse, encodeWatchRequest, type WatchRequest, type WatchResponse } from './wire/watch.ts';

interface Method<Request, Response> {
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Response;
}

const method = <Q, A>(path: string, encode: (request: Q) => Buffer, decode: (bytes: Buffer) => A): Method<Q, A> => ({
  path: `/etcdserverpb.${path}`,
  encode,
  decode,
});

const range = method('KV/Range', encodeRangeRequest, decodeRangeResponse);
const rangePage = method('KV/Range', encodeRangeRequest, decodeRangePage);
const txn = method('KV/Txn', encodeTxnRequest, decodeTxnResponse);
const authenticate = method('Auth/Authenticate', encodeAuthenticate, decodeAuthenticate);
const leaseGrant = method('Lease/LeaseGrant', encodeLeaseGrant, decodeLease);
const leaseTimeToLive = method('Lease/LeaseTimeToLive', encodeLeaseTimeToLive, decodeLease);
const memberList = method('Cluster/MemberList', encodeMemberList, decodeMemberList);
const snapshot = method('Maintenance/Snapshot', encodeSnapshot, decodeSnapshot);
const status = method('Maintenance/Status', encodeStatus, decodeStatus);
const watch = method('Watch/Watch', encodeWatchRequest, decodeWatchResponse);

/** Calls reject with gRPC's own error, whose message is `CODE NAME: details`. */
export class RpcClient {
  private readonly client: Client;

  constructor(address: string, credentials: ChannelCredentials, options: ClientOptions) {
    this.client = new Client(address, credentials, options);
  }

  range(request: IRangeRequest, options: CallOptions): Promise<IRangeResponse> {
    return this.call(range, request, options);
  }

  rangePage(request: IRangeRequest, options: CallOptions): Promise<RangePage> {
    return this.call(rangePage, request, options);
  }

  txn(request: ITxnRequest, options: CallOptions): Promise<ITxnResponse> {
    return this.call(txn, request, options);
  }

  authenticate(request: Credentials, options: CallOptions): Promise<{ readonly token: string }> {
    return this.call(authenticate, request, options);
  }

  leaseGrant(request: { readonly TTL: number }, options: CallOptions): Promise<Lease> {
    return this.call(leaseGrant, request, options);
  }

  leaseTimeToLive(request: { readonly ID: string }, options: CallOptions): Promise<Lease> {
    return this.call(leaseTimeToLive, request, options);
  }

  memberList(
    request: { readonly linearizable: boolean },
    options: CallOptions,
  ): Promise<{ readonly members: IMember[] }> {
    return this.call(memberList, request, options);
  }

  status(options: CallOptions): Promise<IStatusResponse> {
    return this.call(status, undefined, options);
  }

  /** The whole store of the member, in pieces. What the server refuses is known when it is read. */
  snapshot(options: CallOptions): ClientReadableStream<Buffer> {
    const { path, encode, decode } = snapshot;
    return this.client.makeServerStreamRequest(path, encode, decode, undefined, new Metadata(), options);
  }

  /** Requests and answers go their own ways; what the server refuses is an error of the stream. */
  watch(options: CallOptions): ClientDuplexStream<WatchRequest, WatchResponse> {
    const { path, encode, decode } = watch;
    return this.client.makeBidiStreamRequest(path, encode, decode, new Metadata(), options);
  }

  close(): void {
    this.client.close();
  }

  private call<Q, A>({ path, encode, decode }: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(path, encode, decode, request, new Metadata(), options, (error, answer) => {
        if (error !== null) reject(error);
        else resolve(answer as A);
      });
    });
  }
}
