/**
 * Goal: our codec says what etcd's own definition says, and reads what it says; no bytes make it crash or read on.
 * Method: generated messages, held against the codec that gRPC's loader makes of the .proto files of npm `etcd3`; cuts
 *   and flipped bytes.
 */
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { loadSync } from '@grpc/proto-loader';
import * as fc from 'fast-check';
import type { IRequestOp, IRangeResponse, ITxnRequest, ITxnResponse } from 'etcd3';
import { CompareTarget } from 'etcd3';
import { describe, expect, it } from 'vitest';
import { MalformedMessage } from './message-reader.ts';
import {
  decodeAuthenticate,
  decodeLease,
  decodeMemberList,
  decodeStatus,
  encodeAuthenticate,
  encodeLeaseGrant,
  encodeLeaseTimeToLive,
  encodeMemberList,
} from './administration.ts';
import { decodeRangePage, revisionAt, type RangePage } from './range-page.ts';
import { encodeRangeRequest, encodeTxnRequest } from './requests.ts';
import { decodeRangeResponse, decodeTxnResponse } from './responses.ts';
import { decodeWatchResponse, encodeWatchRequest } from './watch.ts';

const etcd3 = dirname(createRequire(import.meta.url).resolve('etcd3/package.json'));
const definition = loadSync(join(etcd3, 'proto', 'rpc.proto'), {
  keepCase: true,
  longs: String,
  enums: Number,
  oneofs: true,
});
interface OracleMethod {
  requestDeserialize(bytes: Buffer): object;
  responseSerialize(message: object): Buffer;
}
const oracle = (path: string): OracleMethod => {
  const [service = '', method = ''] = path.split('/');
  return (definition[`etcdserverpb.${service}`] as unknown as Record<string, OracleMethod>)[method] as OracleMethod;
};
const service = { Range: oracle('KV/Range'), Txn: oracle('KV/Txn') };

const bytes = (maxLength = 40) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const int64 = fc.oneof(
  fc.nat(300).map(String),
  fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom('127', '128', '16383', '16384', '562949953421311', '562949953421312', '9223372036854775807'),
);
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
/** Without the fields that are left out. */
type Given<T> = { [Name in keyof T]: Exclude<T[Name], undefined> };
const defined = <T extends object>(message: T) =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)) as Partial<Given<T>>;

const rangeRequest = fc
  .record({
    key: bytes(),
    range_end: optional(bytes()),
    limit: optional(fc.nat()),
    revision: optional(int64),
    keys_only: optional(fc.boolean()),
    count_only: optional(fc.boolean()),
  })
  .map(defined);
const compare = fc.oneof(
  fc.record({ key: bytes(), target: fc.constant(CompareTarget.Create) }),
  fc.record({ key: bytes(), target: fc.constant(CompareTarget.Mod), mod_revision: fc.oneof(int64, fc.constant(-1)) }),
  fc.record({ key: bytes(), target: fc.constant(CompareTarget.Value), value: bytes() }),
);
const { txnRequest } = fc.letrec<{ txnRequest: ITxnRequest; operation: IRequestOp }>((tie) => ({
  operation: fc.oneof(
    { depthSize: 'small' },
    rangeRequest.map((request_range): IRequestOp => ({ request_range })),
    fc
      .record({ key: bytes(), value: bytes(3000), lease: optional(int64) })
      .map((put): IRequestOp => ({ request_put: defined(put) })),
    fc
      .record({ key: bytes(), range_end: optional(bytes()) })
      .map((range): IRequestOp => ({ request_delete_range: defined(range) })),
    tie('txnRequest').map((request_txn): IRequestOp => ({ request_txn })),
  ),
  txnRequest: fc.record({
    compare: fc.array(compare, { maxLength: 3 }),
    success: fc.array(tie('operation'), { maxLength: 4 }),
    failure: fc.array(tie('operation'), { maxLength: 3 }),
  }),
}));

/** Without what says the same by its absence, and numbers as digits. */
function plain(message: unknown): unknown {
  if (Buffer.isBuffer(message)) return message.toString('hex');
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== 'object' || message === null) return String(message);
  const isInner = (name: string, value: unknown): boolean => name === 'header' && JSON.stringify(value) === '{}';
  return Object.fromEntries(
    Object.entries(message)
      .map(([name, value]) => [name, plain(value)] as const)
      .filter(
        ([name, value]) =>
          !isInner(name, value) && !isDefault(value) && !['target_union', 'request', 'response'].includes(name),
      ),
  );
}
function isDefault(value: unknown): boolean {
  return (
    value === '' ||
    value === '0' ||
    value === 'false' ||
    value === 'null' ||
    (Array.isArray(value) && value.length === 0)
  );
}

describe('requests', () => {
  it('law: a range is what the definition reads', () =>
    fc.assert(
      fc.property(rangeRequest, (request) => {
        expect(plain(service.Range.requestDeserialize(encodeRangeRequest(request)))).toEqual(plain(request));
      }),
    ));

  it('law: a transaction is what the definition reads, however deep', () =>
    fc.assert(
      fc.property(txnRequest, (request) => {
        expect(plain(service.Txn.requestDeserialize(encodeTxnRequest(request)))).toEqual(plain(request));
      }),
    ));

  it('are encoded whole when they are larger than the buffer was', () => {
    const value = Buffer.alloc(3_000_000, 7);
    const success = [
      { request_put: { key: Buffer.from('a'), value } },
      { request_put: { key: Buffer.from('b'), value } },
    ];
    const read = service.Txn.requestDeserialize(encodeTxnRequest({ success })) as ITxnRequest;
    expect(read.success?.map(({ request_put }) => request_put?.value?.equals(value))).toEqual([true, true]);
  });

  it('name which member of a comparison is meant even when it is empty', () => {
    const request = { compare: [{ key: Buffer.from('k'), target: CompareTarget.Value, value: Buffer.alloc(0) }] };
    const read = service.Txn.requestDeserialize(encodeTxnRequest(request)) as { compare: { target_union: string }[] };
    expect(read.compare[0]?.target_union).toBe('value');
  });

  it('with a field that is not encoded are refused, not sent without it', () => {
    expect(() => encodeRangeRequest({ key: Buffer.from('a'), min_mod_revision: 1 })).toThrow('min_mod_revision');
  });
});

const header = fc.record({
  cluster_id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  member_id: int64,
  revision: int64,
  raft_term: int64,
});
const keyValue = fc.record({
  key: bytes(),
  create_revision: int64,
  mod_revision: int64,
  version: int64,
  value: bytes(400),
  lease: fc.oneof(int64, fc.constant('-1')),
});
const rangeResponse = fc.record({
  header,
  kvs: fc.array(keyValue, { maxLength: 6 }),
  more: fc.boolean(),
  count: int64,
}) as fc.Arbitrary<IRangeResponse>;
const txnResponse = fc.record({
  header,
  succeeded: fc.boolean(),
  responses: fc.array(
    fc.oneof(
      rangeResponse.map((response_range) => ({ response_range })),
      fc.record({ response_put: fc.record({ header }) }),
      fc.record({ response_delete_range: fc.record({ header, deleted: int64 }) }),
      fc.record({ response_txn: fc.record({ succeeded: fc.boolean(), responses: fc.constant([]) }) }),
    ),
    { maxLength: 5 },
  ),
}) as unknown as fc.Arbitrary<ITxnResponse>;
/** Headers of parts are not read. */
const withoutInnerHeaders = (response: ITxnResponse) => ({
  ...response,
  responses: response.responses.map(({ response_put, response_delete_range, ...others }) => ({
    ...others,
    ...(response_put && { response_put: {} }),
    ...(response_delete_range && { response_delete_range: { deleted: response_delete_range.deleted } }),
  })),
});

function failureOf(read: () => unknown): unknown {
  try {
    read();
    return null;
  } catch (error) {
    return error;
  }
}
/** What of a range both of its forms say. */
const recordsOfRange = ({ header: { revision }, kvs, more, count }: IRangeResponse) => ({
  revision,
  more,
  count: Number(count),
  records: kvs.map(({ key, value, mod_revision, lease }) => [
    key.toString('hex'),
    value.toString('hex'),
    mod_revision,
    lease,
  ]),
});
const recordsOfPage = ({ bytes: written, records, spans, revisions, leases, ...page }: RangePage) => ({
  revision: page.header.revision,
  more: page.more,
  count: page.count,
  records: Array.from({ length: records }, (_, i) => [
    written.toString('hex', spans[4 * i], spans[4 * i + 1]),
    written.toString('hex', spans[4 * i + 2], spans[4 * i + 3]),
    revisionAt(written, revisions[i] as number),
    leases?.[i] ?? '0',
  ]),
});
const isRefusal = (failure: unknown): boolean => failure === null || failure instanceof MalformedMessage;

describe('answers', () => {
  it('law: a range is read as the definition wrote it', () =>
    fc.assert(
      fc.property(rangeResponse, (response) => {
        const read = decodeRangeResponse(service.Range.responseSerialize(response));
        expect(plain(read)).toEqual(plain(response));
      }),
    ));

  it('law: a range as a page holds the same records', () =>
    fc.assert(
      fc.property(rangeResponse, (response) => {
        const written = service.Range.responseSerialize(response);
        expect(recordsOfPage(decodeRangePage(written))).toEqual(recordsOfRange(decodeRangeResponse(written)));
      }),
    ));

  it('law: a range as a page is read or refused when it is cut short or changed', () =>
    fc.assert(
      fc.property(rangeResponse, fc.nat(), fc.nat(255), fc.boolean(), (response, at, byte, cut) => {
        const whole = Buffer.from(service.Range.responseSerialize(response));
        if (whole.length === 0) return;
        const index = at % whole.length;
        const damaged = cut ? whole.subarray(0, index) : whole;
        if (!cut) damaged[index] = byte;
        expect(failureOf(() => recordsOfPage(decodeRangePage(damaged)))).toSatisfy(isRefusal);
      }),
    ));

  it('a page takes more records than it made room for at first', () => {
    const kvs = Array.from({ length: 3000 }, (_, i) => ({
      key: Buffer.from(`k${i}`),
      value: Buffer.from(`v${i}`),
      mod_revision: String(i + 1),
      ...(i % 1000 === 999 && { lease: String(i) }),
    }));
    const written = service.Range.responseSerialize({ kvs });
    expect(recordsOfPage(decodeRangePage(written))).toEqual(recordsOfRange(decodeRangeResponse(written)));
  });

  it('law: a transaction is read as the definition wrote it', () =>
    fc.assert(
      fc.property(txnResponse, (response) => {
        const read = decodeTxnResponse(service.Txn.responseSerialize(response));
        expect(plain(withoutInnerHeaders(read))).toEqual(plain(withoutInnerHeaders(response)));
      }),
    ));

  it('law: cut short or changed they are read or refused, and nothing else', () =>
    fc.assert(
      fc.property(txnResponse, fc.nat(), fc.nat(255), fc.boolean(), (response, at, byte, cut) => {
        const whole = Buffer.from(service.Txn.responseSerialize(response));
        if (whole.length === 0) return;
        const index = at % whole.length;
        const damaged = cut ? whole.subarray(0, index) : whole;
        if (!cut) damaged[index] = byte;
        expect(failureOf(() => decodeTxnResponse(damaged))).toSatisfy(isRefusal);
      }),
    ));

  it('pass over fields that newer servers may send', () => {
    const known = service.Range.responseSerialize({ header: { revision: '7' }, kvs: [], more: true, count: '3' });
    // Field 19 of each wire type: integer, 8 bytes, block, 4 bytes.
    const unknown = Buffer.from([0x98, 1, 5, 0x99, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0x9a, 1, 2, 9, 9, 0x9d, 1, 1, 2, 3, 4]);
    expect(decodeRangeResponse(Buffer.concat([unknown, known]))).toMatchObject({ more: true, count: '3' });
  });
});

describe('calls beside records', () => {
  const text = fc.string({ maxLength: 30 });
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
  const anyHeader = fc.record({ cluster_id: uint64, member_id: uint64, revision: int64, raft_term: uint64 });
  const requests = [
    {
      path: 'Auth/Authenticate',
      of: fc.record({ name: text, password: text }),
      unsent: { name: '', password: '' },
      encode: encodeAuthenticate,
    },
    { path: 'Lease/LeaseGrant', of: fc.record({ TTL: fc.nat() }), unsent: { TTL: 0 }, encode: encodeLeaseGrant },
    {
      path: 'Lease/LeaseTimeToLive',
      of: fc.record({ ID: int64 }),
      unsent: { ID: '0' },
      encode: encodeLeaseTimeToLive,
    },
    {
      path: 'Cluster/MemberList',
      of: fc.record({ linearizable: fc.boolean() }),
      unsent: { linearizable: false },
      encode: encodeMemberList,
    },
  ] as const;
  const lease = fc.record({ header: anyHeader, ID: int64, TTL: fc.oneof(int64, fc.constant('-1')) });
  const member = fc.record({ ID: uint64, name: text, peerURLs: fc.array(text), clientURLs: fc.array(text) });
  const answers = [
    { path: 'Auth/Authenticate', of: fc.record({ header: anyHeader, token: text }), decode: decodeAuthenticate },
    { path: 'Lease/LeaseGrant', of: lease, decode: decodeLease },
    { path: 'Lease/LeaseTimeToLive', of: lease, decode: decodeLease },
    {
      path: 'Cluster/MemberList',
      of: fc.record({ header: anyHeader, members: fc.array(member) }),
      decode: decodeMemberList,
    },
    {
      path: 'Maintenance/Status',
      of: fc.record({
        header: anyHeader,
        version: text,
        dbSize: int64,
        leader: uint64,
        raftIndex: uint64,
        raftTerm: uint64,
      }),
      decode: decodeStatus,
    },
  ] as const;

  it.each(requests)('$path is asked as etcd defines it', ({ path, of, unsent, encode }) => {
    // proto3 sends no field that has its type's default value.
    const defaults: Record<string, unknown> = unsent;
    fc.assert(
      fc.property(of as fc.Arbitrary<Record<string, unknown>>, (request) => {
        const given = Object.entries(request).filter(([name, value]) => value !== defaults[name]);
        const understood = oracle(path).requestDeserialize((encode as (message: object) => Buffer)(request));
        const texts = (fields: readonly (readonly [string, unknown])[]) =>
          Object.fromEntries(fields.map(([name, value]) => [name, String(value)]));
        expect(texts(Object.entries(understood))).toEqual(texts(given));
      }),
    );
  });

  it.each(answers)('$path is understood as etcd answers it', ({ path, of, decode }) => {
    fc.assert(
      fc.property(of as fc.Arbitrary<Record<string, unknown>>, (answer) => {
        const understood = decode(oracle(path).responseSerialize(answer)) as unknown as Record<string, unknown>;
        for (const name of Object.keys(understood))
          expect(answer).toMatchObject({ [name]: dropLearner(understood[name]) });
      }),
    );
  });

  const dropLearner = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map((each: object) => Object.fromEntries(Object.entries(each).filter(([name]) => name !== 'isLearner')))
      : value;
});

describe('watches', () => {
  const watch = oracle('Watch/Watch');
  const create = fc
    .record({
      key: bytes(),
      range_end: bytes(),
      start_revision: int64,
      progress_notify: optional(fc.boolean()),
      prev_kv: optional(fc.boolean()),
    })
    .map((fields) => defined(fields) as typeof fields & { progress_notify?: boolean; prev_kv?: boolean });

  it('law: are asked for as etcd defines it', () =>
    fc.assert(
      fc.property(create, (request) => {
        const understood = watch.requestDeserialize(encodeWatchRequest({ create: request as never }));
        const sent = Object.entries(request).filter(
          ([, value]) => value !== false && value !== '0' && !(Buffer.isBuffer(value) && value.length === 0),
        );
        expect(understood).toEqual({ request_union: 'create_request', create_request: Object.fromEntries(sent) });
      }),
    ));

  it('are asked how far they are as etcd defines it', () => {
    const understood = watch.requestDeserialize(encodeWatchRequest({ progress: true }));
    expect(understood).toEqual({ request_union: 'progress_request', progress_request: {} });
  });

  const event = fc.record({ type: fc.constantFrom(0, 1), kv: keyValue, prev_kv: optional(keyValue) });
  const response = fc.record({
    header,
    watch_id: fc.oneof(int64, fc.constant('-1')),
    created: fc.boolean(),
    canceled: fc.boolean(),
    compact_revision: int64,
    cancel_reason: fc.string(),
    fragment: fc.boolean(),
    events: fc.array(event, { maxLength: 4 }),
  });

  it('law: are understood as etcd answers them', () =>
    fc.assert(
      fc.property(response, (told) => {
        const understood = decodeWatchResponse(watch.responseSerialize(told));
        expect(plain(understood)).toEqual(
          plain({
            header: told.header,
            created: told.created,
            canceled: told.canceled,
            compactRevision: told.compact_revision,
            cancelReason: told.cancel_reason,
            events: told.events.map(({ type, kv, prev_kv }) => ({
              isDelete: type === 1,
              kv,
              ...(prev_kv && { previous: prev_kv }),
            })),
          }),
        );
      }),
    ));
});
