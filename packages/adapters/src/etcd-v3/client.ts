/**
 * The calls to etcd v3, about ten, and our own policy for faults.
 *
 *     read    next member on a member's fault (unreachable, slow, no leader), each member once
 *     write   next member only if the request never left; anything else is the engine's to repeat, which it may
 *     token   unknown to the server: sign in once more and repeat; nothing had been done
 *
 * One `RpcClient` stands for one member (member.ts), so that each can be asked by itself.
 */
import type {
  IMember,
  IRangeRequest,
  IRangeResponse,
  IResponseHeader,
  IStatusResponse,
  ITxnRequest,
  ITxnResponse,
} from 'etcd3';
import { isKeyferryError } from '@keyferry/core';
import { parseEndpoint } from '../http/endpoint.ts';
import { connectionError } from '../http/errors.ts';
import { explainReset } from '../http/explain-reset.ts';
import { faultOf, isMembersFault, toKeyferryError, wasClosed, wasNeverSent } from './errors.ts';
import { Member, type Call } from './member.ts';
import type { RangePage } from './wire/range-page.ts';

export interface EtcdV3Tls {
  readonly ca?: Buffer | string | undefined;
  readonly cert?: Buffer | string | undefined;
  readonly key?: Buffer | string | undefined;
  /** Name that the server's certificate must carry, where it is not the endpoint's host. */
  readonly serverName?: string | undefined;
}

export interface EtcdV3Auth {
  readonly user: string;
  readonly password: string;
}

export interface EtcdClientOptions {
  /** The store's name in the configuration, for errors. */
  readonly store: string;
  readonly endpoints: readonly string[];
  readonly tls?: EtcdV3Tls | undefined;
  readonly auth?: EtcdV3Auth | undefined;
  readonly requestTimeoutMs: number;
}

/** How long a member that failed is left alone while there are others. */
const restMs = 1000;

export class EtcdClient {
  private readonly options: EtcdClientOptions;
  private readonly members: Member[];
  /** Members outside the configured endpoints, asked for their status alone. */
  private readonly strangers = new Map<string, Member>();
  private turn = 0;

  constructor(options: EtcdClientOptions) {
    this.options = options;
    this.members = options.endpoints.map((endpoint) => new Member(endpoint, options));
  }

  /** @param position the revision asked for, to name it when it was compacted */
  range(request: IRangeRequest, position?: string): Promise<IRangeResponse> {
    return this.read((rpc, options) => rpc.range(request, options), position);
  }

  /** As `range`, for what reads many records: without an object for each. */
  rangePage(request: IRangeRequest, position?: string): Promise<RangePage> {
    return this.read((rpc, options) => rpc.rangePage(request, options), position);
  }

  /** Cluster and revision now, by a linearizable read, for users with a right to any key or to none. */
  async head(): Promise<IResponseHeader> {
    try {
      return (await this.range({ key: Buffer.from([0]), keys_only: true })).header;
    } catch (error) {
      if (!isKeyferryError(error, 'store.permission-denied')) throw error;
      // Most users may read one prefix alone. An empty transaction within another names no key, and is not taken for a
      // read that a member could answer by itself (IsTxnReadonly, etcd server/etcdserver/txn): it goes through the log.
      return (await this.readTxn({ success: [{ request_txn: {} }] })).header;
    }
  }

  /** For transactions that only read. */
  readTxn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.read((rpc, options) => rpc.txn(request, options));
  }

  /** Sent once. The error is etcd's own: the caller may know better than the table what it means. */
  async writeTxn(request: ITxnRequest): Promise<ITxnResponse> {
    return this.attempt((rpc, options) => rpc.txn(request, options), wasNeverSent);
  }

  /** @returns the lease's id; a lost answer leaks a lease, which ends by itself */
  async leaseGrant(ttlSeconds: number): Promise<string> {
    return (await this.read((rpc, options) => rpc.leaseGrant({ TTL: ttlSeconds }, options))).ID;
  }

  /** Whole seconds left, rounded down by the server; null when there is no such lease any more. */
  async leaseSecondsLeft(id: string): Promise<number | null> {
    const { TTL } = await this.read((rpc, options) => rpc.leaseTimeToLive({ ID: id }, options));
    const seconds = Number(TTL);
    return seconds < 0 ? null : seconds;
  }

  async memberList(): Promise<readonly IMember[]> {
    return (await this.read((rpc, options) => rpc.memberList({ linearizable: true }, options))).members;
  }

  /** One member's own word, with a leader or without one. */
  async status(endpoint: string): Promise<IStatusResponse> {
    const known = this.members.find((member) => member.endpoint === endpoint) ?? this.strangers.get(endpoint);
    const member = known ?? new Member(endpoint, this.options);
    if (known === undefined) this.strangers.set(endpoint, member);
    try {
      return await member.run((rpc, options) => rpc.status(options), 'leaderless');
    } catch (error) {
      throw toKeyferryError(this.options.store, await this.explain(member, error));
    }
  }

  /** The whole store of one member, as its own snapshots are, in pieces. Without a deadline: it may be large. */
  async *snapshot(): AsyncGenerator<Uint8Array> {
    // A stream is refused only when it is read, so a token that is out of date is renewed before.
    await this.memberList();
    const stream = await this.read((rpc, options) =>
      Promise.resolve(rpc.snapshot({ ...options, deadline: Number.POSITIVE_INFINITY })),
    );
    try {
      for await (const piece of stream as AsyncIterable<Buffer>) yield piece;
    } catch (error) {
      throw toKeyferryError(this.options.store, error);
    } finally {
      stream.cancel();
    }
  }

  /**
   * Opens what lives on one member, such as a watch: `open` is tried on each member once, as a read is, and whatever it
   * opened stays on that member.
   */
  openOnMember<T>(open: Call<T>): Promise<T> {
    return this.read(open);
  }

  /** What a failure of something that was opened on a member means. @param position as for `range` */
  errorOf(error: unknown, position?: string): unknown {
    return toKeyferryError(this.options.store, error, position);
  }

  close(): void {
    for (const member of [...this.members, ...this.strangers.values()]) member.close();
  }

  private async read<T>(call: Call<T>, position?: string): Promise<T> {
    try {
      return await this.attempt(call, isMembersFault);
    } catch (error) {
      throw toKeyferryError(this.options.store, error, position);
    }
  }

  /** Each member at most once, as long as `mayGoOn` says that the fault was the member's. */
  private async attempt<T>(call: Call<T>, mayGoOn: typeof isMembersFault): Promise<T> {
    const failed = new Set<Member>();
    let heard: unknown = null;
    for (;;) {
      const member = this.nextMember(failed);
      try {
        return await member.run(call);
      } catch (error) {
        const fault = faultOf(error);
        if (isMembersFault(fault)) member.restsUntilMs = performance.now() + restMs;
        // What a member that lives has to say ("no leader") explains more than that another one is dead.
        if (!wasNeverSent(fault)) heard ??= error;
        failed.add(member);
        if (failed.size === this.members.length || !mayGoOn(fault)) throw heard ?? (await this.explain(member, error));
      }
    }
  }

  /** A connection that was closed on us may have been a matter of TLS, which no retry helps; gRPC only says that it is gone. */
  private async explain({ endpoint }: Member, error: unknown): Promise<unknown> {
    if (!wasClosed(faultOf(error))) return error;
    const { store, tls } = this.options;
    const reason = await explainReset(parseEndpoint(store, endpoint), tls, error);
    return reason === error ? error : connectionError(store, endpoint, reason);
  }

  /** In turn, one that does not rest; if all do, the one that has for longest. */
  private nextMember(failed: ReadonlySet<Member>): Member {
    const { members } = this;
    const nowMs = performance.now();
    let best: Member | null = null;
    for (let i = 0; i < members.length; i += 1) {
      const member = members[(this.turn + i) % members.length] as Member;
      if (failed.has(member)) continue;
      if (best === null || member.restsUntilMs < best.restsUntilMs) best = member;
      if (member.restsUntilMs <= nowMs) {
        best = member;
        break;
      }
    }
    this.turn = (this.turn + 1) % members.length;
    return best as Member;
  }
}
