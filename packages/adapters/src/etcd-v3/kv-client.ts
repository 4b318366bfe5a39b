/**
 * The two calls that carry all records, `KV.Range` and `KV.Txn`, on gRPC itself with the codec in wire/.
 *
 * npm `etcd3` encodes and decodes by reflection, which cost more CPU time than all else that keyferry does (ADR 6). Both
 * share one connection to a member: gRPC keeps one for equal addresses, credentials and options.
 */
import { Client, type CallOptions, type ChannelCredentials, type ClientOptions, Metadata } from '@grpc/grpc-js';
import type { IRangeRequest, IRangeResponse, ITxnRequest, ITxnResponse } from 'etcd3';
import { encodeRangeRequest, encodeTxnRequest } from './wire/requests.ts';
import { decodeRangeResponse, decodeTxnResponse } from './wire/responses.ts';

interface Method<Request, Response> {
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Response;
}

const range: Method<IRangeRequest, IRangeResponse> = {
  path: '/etcdserverpb.KV/Range',
  encode: encodeRangeRequest,
  decode: decodeRangeResponse,
};
const txn: Method<ITxnRequest, ITxnResponse> = {
  path: '/etcdserverpb.KV/Txn',
  encode: encodeTxnRequest,
  decode: decodeTxnResponse,
};

/** Calls reject with gRPC's own error, whose message is `CODE NAME: details` as that of npm `etcd3` is. */
export class KvClient {
  private readonly client: Client;

  constructor(address: string, credentials: ChannelCredentials, options: ClientOptions) {
    this.client = new Client(address, credentials, options);
  }

  range(request: IRangeRequest, options: CallOptions): Promise<IRangeResponse> {
    return this.call(range, request, options);
  }

  txn(request: ITxnRequest, options: CallOptions): Promise<ITxnResponse> {
    return this.call(txn, request, options);
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
