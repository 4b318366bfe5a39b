/** Carries out entries of the log that count, in its order: what members and their servers did to the v2 store. */
import { memberOfAttributes, versionPath, type Membership } from './membership.ts';
import { PlainPut } from './plain-put.ts';
import { FieldReader, Malformed } from './protobuf.ts';
import { entryTypes, readConfChange, type HexId, type LogEntry } from './raft-messages.ts';
import { readEntryContent, type V2Request } from './request.ts';
import type { TreeOutcome, V2Tree } from './v2-tree.ts';

export interface EntryCounts {
  readonly v2: number;
  readonly members: number;
  /** For the v3 store, or empty. */
  readonly other: number;
}

export class CarryingOut {
  readonly tree: V2Tree;
  readonly membership: Membership;
  /** Of the last entry that was carried out. */
  appliedIndex: number;
  refused = 0;
  inOrderKeys = 0;
  clientRequests = 0;
  private readonly counts = { v2: 0, members: 0, other: 0 };
  private readonly plain = new PlainPut();

  /** @param startIndex of what the tree holds already */
  constructor(tree: V2Tree, membership: Membership, startIndex: number) {
    this.tree = tree;
    this.membership = membership;
    this.appliedIndex = startIndex;
  }

  get entries(): EntryCounts {
    return { ...this.counts };
  }

  /** No other member has to agree: raft commits what such a member has written. */
  isAlone(member: HexId): boolean {
    const { voters } = this.membership;
    return voters.size === 1 && voters.has(member);
  }

  /** The entry behind the last one. @throws {Malformed} */
  take(bytes: Buffer, { index, type, dataStart, dataEnd }: LogEntry): void {
    this.appliedIndex = index;
    if (type === entryTypes.confChange) {
      this.counts.members += 1;
      this.membership.apply(readConfChange(new FieldReader(bytes, dataStart, dataEnd)));
    } else if (type === entryTypes.normal) this.apply(bytes, dataStart, dataEnd);
    else throw new Malformed(`an entry is of type ${type}, which no etcd up to 3.5 writes`);
  }

  private apply(bytes: Buffer, start: number, end: number): void {
    if (this.plain.read(bytes, start, end)) {
      this.counts.v2 += 1;
      this.clientRequests += 1;
      if (this.tree.setPlain(this.plain) !== null) this.refused += 1;
      return;
    }
    const content = readEntryContent(bytes, start, end);
    switch (content.kind) {
      case 'v2':
        this.counts.v2 += 1;
        if (!isByMember(content.request)) this.clientRequests += 1;
        if (this.request(content.request) !== null) this.refused += 1;
        else if (content.request.method === 'POST') this.inOrderKeys += 1;
        return;
      case 'cluster-version':
        this.counts.v2 += 1;
        this.membership.setVersion(content.version);
        return;
      case 'member-attributes':
        this.counts.v2 += 1;
        this.membership.setAttributes(content.member, content.json);
        return;
      case 'other':
        this.counts.other += 1;
    }
  }

  /** etcdserver/apply_v2.go. */
  private request(request: V2Request): TreeOutcome {
    const { tree } = this;
    const { method, path, dir, valueSpan: value, prevValue, prevIndex, recursive } = request;
    const isConditional = prevValue !== '' || prevIndex > 0;
    const expiry = { expiresAtNs: request.expiration === 0n ? null : request.expiration, refresh: request.refresh };
    switch (method) {
      case 'POST':
        return tree.createInOrder(path, dir, value, expiry);
      case 'DELETE':
        return isConditional
          ? tree.compareAndDelete(path, { prevValue, prevIndex })
          : tree.delete(path, dir, recursive);
      case 'QGET':
        return null;
      case 'SYNC':
        tree.deleteExpired(request.time);
        return null;
      case 'PUT': {
        if (request.prevExist === false) return tree.create(path, dir, value, expiry);
        if (isConditional) return tree.compareAndSwap(path, { prevValue, prevIndex }, value, expiry);
        if (request.prevExist === true) return tree.update(path, value, expiry);
        const member = memberOfAttributes(path);
        if (member === null) return tree.set(path, dir, value, expiry);
        this.membership.setAttributes(member, request.value);
        return null;
      }
    }
  }
}

function isByMember({ method, path }: V2Request): boolean {
  return method === 'PUT' && (path === versionPath || memberOfAttributes(path) !== null);
}
