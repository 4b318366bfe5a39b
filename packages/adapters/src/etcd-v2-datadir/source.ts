/**
 * etcd v2 as a source, from the files of a member, without any etcd.
 *
 *     directory ──is a server at work on it?──► replay ──did it change meanwhile?──► tree ──► any number of scans
 *
 * What a server would have after starting on these files (replay.ts), for the same keys, values, versions and positions that
 * it would answer over HTTP: a plan from either is the same one. Nothing is written, created or locked.
 *
 * The tree is kept for as long as the files stay what they were: it is read once, whoever asks.
 */
import {
  counted,
  type KeyferryError,
  type KeyRange,
  type MemberPosition,
  type Position,
  type SourceStore,
  type StoreBackup,
  type StoreDescription,
  type StoreView,
} from '@keyferry/core';
import { directoryBackup } from './backup.ts';
import { etcdV2DatadirCapabilities } from './capabilities.ts';
import { assertOtherMembers, compareMembers, type MemberPlace } from './compare-members.ts';
import { inUse } from './errors.ts';
import { findDataDirectory, type DataDirectory } from './layout.ts';
import { OrderedTree } from './ordered-tree.ts';
import { replay, type Replayed, type ReplayFacts, type ReplayOptions } from './replay.ts';
import { inUseBy, serverOn, type ServerState } from './running-server.ts';
import { countOwn, type OwnNodes } from './tree-summary.ts';
import { TreeView, type HiddenNames } from './tree-view.ts';

export interface EtcdV2DatadirOptions extends ReplayOptions {
  /** The store's name in the configuration. */
  readonly name: string;
  /** What etcd's `--data-dir` named, its `member` directory, what `etcdctl backup` wrote, or a copy of one of these. */
  readonly dataDir: string;
  /** What `--wal-dir` named; null: the log lies in the data directory. */
  readonly walDir: string | null;
  /** What becomes of names that begin with an underscore below the prefix. */
  readonly hidden: HiddenNames;
  /** Other members of the cluster, to be compared with this one before it is relied on. */
  readonly otherMembers?: readonly MemberPlace[];
  /** A copy goes into this directory before anything is written to the target. */
  readonly backupInto?: string | undefined;
  /** The clock by which an expiry counts as past; asked once a view. */
  readonly nowMs: () => number;
}

/**
 * @example
 * const source = openEtcdV2DatadirStore({
 *   name: 'old', dataDir: '/var/lib/etcd', walDir: null, upTo: 'end', hidden: 'leave-out', nowMs: () => Date.now(),
 * });
 * const view = await source.openView(prefixRange(keyFromText('/config/')));
 */
export function openEtcdV2DatadirStore(options: EtcdV2DatadirOptions): SourceStore {
  return new EtcdV2DatadirSource(options);
}

interface Known {
  readonly fingerprint: string;
  readonly server: ServerState;
  readonly facts: ReplayFacts;
  readonly position: Position;
  readonly members: number;
  readonly own: OwnNodes;
  /** Nobody changes it any more: views show it as it is. */
  readonly tree: OrderedTree;
}

/** A server that starts within it and writes is told by the files; one that does not write is found by the next look. */
const lookLastsMs = 1000;

class EtcdV2DatadirSource implements SourceStore {
  readonly capabilities = etcdV2DatadirCapabilities;
  readonly backup?: StoreBackup;
  private readonly options: EtcdV2DatadirOptions;
  private known: Known | null = null;
  /** When nobody was found at work on the files, by the monotonic clock. */
  private lookedAtMs: number | null = null;

  constructor(options: EtcdV2DatadirOptions) {
    this.options = options;
    const { name, backupInto } = options;
    if (backupInto !== undefined) this.backup = directoryBackup(name, backupInto, options);
  }

  async describe(): Promise<StoreDescription> {
    const known = await this.read();
    const { facts, members } = known;
    const isAlone = members > 1 && (this.options.otherMembers ?? []).length === 0;
    return {
      kind: 'etcd-v2-datadir',
      version: isAlone ? `${versionText(known)}; ${uncomparedText(members)}` : versionText(known),
      endpoints: [this.options.dataDir],
      members: members === 0 ? null : members,
      identity: facts.clusterId,
      viewLocks: null,
      ...(facts.log.end.kind === 'damaged' ? { cutShort: cutShortText(facts.log.end.error) } : {}),
    };
  }

  /** The index of the v2 store, as a server answers it in X-Etcd-Index. */
  async head(): Promise<Position> {
    return (await this.read()).position;
  }

  /** @throws {KeyferryError} `datadir.in-use`, `datadir.damaged`, `datadir.incomplete`, `datadir.not-found` */
  async openView(range: KeyRange): Promise<StoreView> {
    const { tree, position } = await this.read();
    return new TreeView(tree, { position, range, nowMs: this.options.nowMs(), hidden: this.options.hidden });
  }

  /** Of one member there is nothing to compare. */
  async readMembers(): Promise<readonly MemberPosition[] | null> {
    const { dataDir, walDir, otherMembers = [] } = this.options;
    if (otherMembers.length === 0) return null;
    const members = await compareMembers([{ dataDir, walDir }, ...otherMembers]);
    assertOtherMembers(members); // a plan says how many were compared
    return members;
  }

  close(): Promise<void> {
    this.known = null;
    return Promise.resolve();
  }

  /** What the files hold now; read again only if they are others than before. */
  private async read(): Promise<Known> {
    const directory = await this.find();
    const { fingerprint } = directory;
    if (this.known?.fingerprint === fingerprint) {
      await this.assertFree(directory);
      return this.known;
    }
    this.lookedAtMs = null;
    // Linux lets some milliseconds go by before it tells of locks: the log is read meanwhile.
    const looking = this.assertFree(directory);
    const replaying = replay(directory, this.options).catch(async (error: unknown) => {
      await looking; // what is damaged while a server is at work is not damage
      throw error;
    });
    const [server, replayed] = await Promise.all([looking, replaying]);
    await this.assertUnchanged(directory);
    this.known = knownOf(fingerprint, server, replayed);
    return this.known;
  }

  /** @throws {KeyferryError} `datadir.in-use` */
  private async assertFree(directory: DataDirectory): Promise<ServerState> {
    const nowMs = performance.now();
    if (this.known !== null && this.lookedAtMs !== null && nowMs - this.lookedAtMs < lookLastsMs)
      return this.known.server;
    const server = await serverOn(directory);
    if (server.kind === 'running') throw inUseBy(directory, server);
    this.lookedAtMs = nowMs;
    return server;
  }

  private find(): Promise<DataDirectory> {
    return findDataDirectory(this.options.dataDir, this.options.walDir);
  }

  private async assertUnchanged({ path, fingerprint }: DataDirectory): Promise<void> {
    const after = await this.find();
    if (after.fingerprint !== fingerprint) throw inUse(path, 'files were written to while they were read');
  }
}

function knownOf(fingerprint: string, server: ServerState, { tree, membership, facts }: Replayed): Known {
  return {
    fingerprint,
    server,
    facts,
    position: String(tree.currentIndex) as Position,
    members: membership.list().length,
    own: countOwn(tree),
    tree: new OrderedTree(tree),
  };
}

/** `3.4.0 at entry 812; 14 nodes of etcd's own left out`: whatever was not taken from the files is said. */
function versionText({ server, facts, members, own: { internal, auth } }: Known): string {
  const { clusterVersion, appliedIndex, log, uncommitted, brokenSnapshots, inOrderKeys } = facts;
  const remarks: string[] = [];
  if (server.kind === 'unknown') remarks.push('no telling here whether a server is at work on it');
  if (internal + auth > 0) remarks.push(`${counted(internal + auth, 'node')} of its own left out`);
  if (uncommitted > 0) remarks.push(`${counted(uncommitted, 'entry', 'entries')} not committed and left out`);
  if (brokenSnapshots.length > 0) remarks.push(`${counted(brokenSnapshots.length, 'damaged snapshot')} passed over`);
  if (log.end.kind === 'torn') remarks.push(`a torn tail of ${counted(log.end.bytes, 'byte')} left out`);
  // A backup lacks the entries about members, which took indexes; what was named by an index comes out with a lower one.
  if (members === 0 && inOrderKeys > 0) {
    remarks.push(`${counted(inOrderKeys, 'in-order key')} named anew, as by a server restored from this backup`);
  }
  // 3.5 refuses them when it starts on a log of 3.4: keys below may be gone there and not here, or the other way round.
  if (facts.directoryUpdates > 0) {
    const judged = facts.directoriesCanBeUpdated ? 'carried out, as up to 3.4' : 'refused, as by 3.5';
    remarks.push(`${counted(facts.directoryUpdates, 'renewal')} of directory TTLs ${judged}`);
  }
  if (facts.collapsedNames > 0)
    remarks.push(`${counted(facts.collapsedNames, 'key')} lost to names alike in the snapshot`);
  const version = clusterVersion ?? 'of no stated version';
  return [`${version} at entry ${appliedIndex}`, ...remarks].join('; ');
}

/** It may be the one that lags, and nothing in its own files can tell. */
function uncomparedText(members: number): string {
  return `not compared with ${members === 2 ? 'the other member' : `the other ${members - 1} members`}`;
}

function cutShortText({ details: { file, offset, detail } }: KeyferryError<'datadir.damaged'>): string {
  return `it ends at byte ${offset} of ${file}, which is damaged (${detail})`;
}
