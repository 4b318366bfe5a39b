/**
 * The members of the cluster, which etcd keeps in the same store under /0: each change of them takes indexes like a
 * request does, so it has to be replayed for the indexes of the keys to be right.
 *
 *     /0/members/<id>/raftAttributes      created with the member; its peer URLs
 *     /0/members/<id>/attributes          set by the member whenever it starts
 *     /0/removed_members/<id>             instead, once it is removed
 *
 * Source: etcd 3.4 `etcdserver/api/membership/cluster.go` (ValidateConfigurationChange), `store.go`, `etcdserver/server.go`
 * (applyConfChange); `etcdserver/cluster.go` of 2.3.
 */
import { Malformed } from './protobuf.ts';
import type { ConfChange, HexId } from './raft-messages.ts';
import type { V2Tree } from './v2-tree.ts';

const permanent = { expiresAtNs: null, refresh: false };

/** What etcd attaches to a change: a member. Ids are left to the change itself, as JSON numbers cannot hold them here. */
interface ChangeContext {
  readonly peerURLs: readonly string[];
  readonly isLearner: boolean;
  readonly isPromote: boolean;
}

export interface ListedMember {
  readonly id: HexId;
  readonly name: string | null;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
}

export class Membership {
  private readonly tree: V2Tree;
  /** Those whose agreement commits an entry. */
  readonly voters: Set<HexId>;

  constructor(tree: V2Tree, voters: readonly HexId[]) {
    this.tree = tree;
    this.voters = new Set(voters);
  }

  /** Carries out a change that is committed, or refuses it as etcd does. @throws {Malformed} */
  apply(change: ConfChange): void {
    const { kind, member } = change;
    const context = kind === 'remove' ? null : readContext(change.context);
    if (!this.allows(change, context)) return;
    if (context === null) this.remove(member);
    else if (kind === 'update' || context.isPromote) this.update(member, context, kind);
    else this.add(member, context, kind);
  }

  /** PUT of a member's attributes: refused for a member that is not there. */
  setAttributes(member: HexId, json: string): void {
    if (this.isMember(member)) this.tree.set(`${membersPath}/${member}/attributes`, false, json, permanent);
  }

  setVersion(version: string): void {
    this.tree.set(versionPath, false, version, permanent);
  }

  list(): readonly ListedMember[] {
    return this.ids().map((id) => {
      const attributes = parseObject(this.value(`${membersPath}/${id}/attributes`));
      const raft = parseObject(this.value(`${membersPath}/${id}/raftAttributes`));
      const { name } = attributes;
      return {
        id,
        name: typeof name === 'string' && name !== '' ? name : null,
        peerUrls: texts(raft['peerURLs']),
        clientUrls: texts(attributes['clientURLs']),
      };
    });
  }

  version(): string | null {
    return this.value(versionPath);
  }

  private allows({ kind, member }: ConfChange, context: ChangeContext | null): boolean {
    if (typeof this.tree.find(`${removedPath}/${member}`) !== 'number') return false;
    const isThere = this.isMember(member);
    if (context === null || kind === 'update') return isThere && !this.urlsTaken(context?.peerURLs ?? [], member);
    if (context.isPromote) return isThere && this.isLearner(member);
    if (isThere || this.urlsTaken(context.peerURLs, null)) return false;
    return !(context.isLearner && this.ids().some((id) => this.isLearner(id)));
  }

  private add(member: HexId, { peerURLs, isLearner }: ChangeContext, kind: ConfChange['kind']): void {
    this.tree.create(`${membersPath}/${member}/raftAttributes`, false, raftJson(peerURLs, isLearner), permanent);
    if (kind === 'add') this.voters.add(member);
  }

  private update(member: HexId, { peerURLs, isPromote }: ChangeContext, kind: ConfChange['kind']): void {
    const urls = isPromote ? this.peerUrls(member) : peerURLs;
    this.tree.update(`${membersPath}/${member}/raftAttributes`, raftJson(urls, false), permanent);
    if (kind === 'add') this.voters.add(member);
  }

  private remove(member: HexId): void {
    this.tree.delete(`${membersPath}/${member}`, true, true);
    this.tree.create(`${removedPath}/${member}`, false, '', permanent);
    this.voters.delete(member);
  }

  private urlsTaken(urls: readonly string[], except: HexId | null): boolean {
    const others = this.ids().filter((id) => id !== except);
    const taken = new Set(others.flatMap((id) => this.peerUrls(id)));
    return urls.some((url) => taken.has(url));
  }

  private peerUrls(member: HexId): readonly string[] {
    return texts(parseObject(this.value(`${membersPath}/${member}/raftAttributes`))['peerURLs']);
  }

  private isLearner(member: HexId): boolean {
    return parseObject(this.value(`${membersPath}/${member}/raftAttributes`))['isLearner'] === true;
  }

  private isMember(member: HexId): boolean {
    return typeof this.tree.find(`${membersPath}/${member}`) !== 'number';
  }

  private ids(): readonly HexId[] {
    const directory = this.tree.find(membersPath);
    return typeof directory === 'number' ? [] : [...(directory.children?.keys() ?? [])].toSorted();
  }

  private value(path: string): string | null {
    const node = this.tree.find(path);
    return typeof node === 'number' || node.children !== null ? null : node.value;
  }
}

const membersPath = '/0/members';
const removedPath = '/0/removed_members';
export const versionPath = '/0/version';

/** etcd finds it anywhere in a path (`storeMemberAttributeRegexp`, without anchors), so a key of a user can be one. */
const attributesPath = /\/0\/members\/[0-9A-Fa-f]{1,16}\/attributes/;

/** The member whose attributes a PUT of this path sets; null: it is a path like any other. */
export function memberOfAttributes(path: string): HexId | null {
  if (!path.includes('/0/members/') || !attributesPath.test(path)) return null;
  const id = path.split('/').at(-2) ?? '';
  return /^[0-9A-Fa-f]{1,16}$/.test(id) ? BigInt(`0x${id}`).toString(16) : null;
}

function readContext(json: Buffer): ChangeContext {
  let fields: unknown;
  try {
    fields = JSON.parse(json.toString('utf8'));
  } catch (error) {
    throw new Malformed(
      `the member that it adds is no JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (typeof fields !== 'object' || fields === null) throw new Malformed('the member that it adds is no object');
  const { peerURLs, isLearner, isPromote } = fields as Readonly<Record<string, unknown>>;
  return { peerURLs: texts(peerURLs), isLearner: isLearner === true, isPromote: isPromote === true };
}

function raftJson(peerURLs: readonly string[], isLearner: boolean): string {
  return JSON.stringify(isLearner ? { peerURLs, isLearner } : { peerURLs });
}

function parseObject(json: string | null): Readonly<Record<string, unknown>> {
  try {
    const fields: unknown = JSON.parse(Buffer.from(json ?? '{}', 'latin1').toString('utf8'));
    return typeof fields === 'object' && fields !== null ? (fields as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {}; // attributes are for people to read; only that they are there counts
  }
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
