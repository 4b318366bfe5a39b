/** Goal: each failure of etcd and gRPC gets the code that people can act on. Method: their texts as they were seen. */
import { KeyferryError } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { faultOf, isMembersFault, isStaleToken, isTooLarge, toKeyferryError, wasNeverSent } from './errors.ts';

const refusedConnection =
  '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ';

describe('toKeyferryError', () => {
  it.each([
    ['3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password', 'store.auth-failed'],
    ['3 INVALID_ARGUMENT: etcdserver: user name is empty', 'store.auth-failed'],
    ['16 UNAUTHENTICATED: etcdserver: auth token not known', 'store.auth-failed'],
    ['3 INVALID_ARGUMENT: etcdserver: revision of auth store is old', 'store.unreachable'],
    ['7 PERMISSION_DENIED: etcdserver: permission denied', 'store.permission-denied'],
    ['8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded', 'store.out-of-space'],
    ['8 RESOURCE_EXHAUSTED: etcdserver: too many requests', 'store.timeout'],
    ['8 RESOURCE_EXHAUSTED: grpc: received message larger than max (3 vs. 2)', 'store.request-refused'],
    ['14 UNAVAILABLE: etcdserver: no leader', 'store.no-leader'],
    ['14 UNAVAILABLE: etcdserver: leader changed', 'store.no-leader'],
    ['14 UNAVAILABLE: etcdserver: request timed out, possibly due to previous leader failure', 'store.no-leader'],
    ['14 UNAVAILABLE: etcdserver: request timed out', 'store.timeout'],
    ['4 DEADLINE_EXCEEDED: Deadline exceeded after 0.1s', 'store.timeout'],
    [refusedConnection, 'store.unreachable'],
    ['14 UNAVAILABLE: Name resolution failed for target dns:nowhere.invalid:1', 'store.unreachable'],
    ['14 UNAVAILABLE: Connection dropped', 'store.unreachable'],
    ['12 UNIMPLEMENTED: unknown service etcdserverpb.KV', 'store.unsupported'],
    ['13 INTERNAL: Response message parsing error', 'store.answer-unexpected'],
    ['11 OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision', 'store.answer-unexpected'],
    ['3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request', 'store.request-refused'],
    [
      "14 UNAVAILABLE: No connection established. Last error: Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames",
      'store.tls-failed',
    ],
    [
      '14 UNAVAILABLE: No connection established. Last error: Error: unable to verify the first certificate',
      'store.tls-failed',
    ],
    [
      '14 UNAVAILABLE: No connection established. Last error: 40AD:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required',
      'store.tls-failed',
    ],
    [
      '14 UNAVAILABLE: No connection established. Last error: Error: Client network socket disconnected before secure TLS connection was established',
      'store.unreachable', // by itself: a server that is stopping closes like that too, and client.ts finds out
    ],
  ])('%s', (text, code) => {
    const cause = new Error(text);
    const error = toKeyferryError('new', cause);
    expect(error).toBeInstanceOf(KeyferryError);
    expect(error).toMatchObject({ code, details: { store: 'new' }, cause });
  });

  it('names the position that was compacted', () => {
    const compacted = new Error('11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted');
    const error = toKeyferryError('new', compacted, '7');
    expect(error).toMatchObject({ code: 'store.position-compacted', details: { store: 'new', position: '7' } });
  });

  it('leaves what is no status alone', () => {
    const lost = new KeyferryError('fence.lost', { chunk: 'c00000' });
    const mistake = new TypeError('undefined is not a function');
    expect(toKeyferryError('new', lost)).toBe(lost);
    expect(toKeyferryError('new', mistake)).toBe(mistake);
  });
});

describe('a fault', () => {
  const fault = (text: string) => faultOf(new Error(text));

  it('is the member’s when another one may answer', () => {
    expect(isMembersFault(fault('14 UNAVAILABLE: etcdserver: no leader'))).toBe(true);
    expect(isMembersFault(fault('4 DEADLINE_EXCEEDED: Deadline exceeded'))).toBe(true);
    expect(isMembersFault(fault('7 PERMISSION_DENIED: etcdserver: permission denied'))).toBe(false);
    expect(isMembersFault(fault('8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded'))).toBe(false);
  });

  it('lets a write go elsewhere only when it never left', () => {
    expect(wasNeverSent(fault(refusedConnection))).toBe(true);
    expect(wasNeverSent(fault('14 UNAVAILABLE: Connection dropped'))).toBe(false);
    expect(wasNeverSent(fault('14 UNAVAILABLE: etcdserver: request timed out'))).toBe(false);
  });

  it('asks for a new token when the server does not know it, or has users only now', () => {
    expect(isStaleToken(fault('16 UNAUTHENTICATED: etcdserver: auth token not known'), false)).toBe(true);
    expect(isStaleToken(fault('3 INVALID_ARGUMENT: etcdserver: revision of auth store is old'), false)).toBe(true);
    expect(isStaleToken(fault('3 INVALID_ARGUMENT: etcdserver: user name is empty'), true)).toBe(true);
    expect(isStaleToken(fault('3 INVALID_ARGUMENT: etcdserver: user name is empty'), false)).toBe(false);
  });

  it('of size is told by etcd and by gRPC', () => {
    expect(isTooLarge(new Error('3 INVALID_ARGUMENT: etcdserver: request is too large'))).toBe(true);
    expect(isTooLarge(new Error('8 RESOURCE_EXHAUSTED: grpc: received message larger than max'))).toBe(true);
    expect(isTooLarge(new Error('8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded'))).toBe(false);
  });
});
