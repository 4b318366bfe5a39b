/**
 * From the files of a member to the tree that a server would have after starting on them, and no further.
 *
 *     newest whole snapshot that the log goes on from ──► tree ──► entries after it, up to the committed one ──► tree
 *
 * - Committed is what the member knows to be: the commit index of its last hard state. What lies behind may be taken
 *   back by the other members, and no client was told that it was done (that is: it may have been, by a leader that
 *   this member had not heard from yet; which is why the most recent member is the one to read).
 * - A member that is alone in its cluster commits by writing: whatever is in its log counts, and its server carries it out
 *   when it starts again.
 * - A snapshot that is not whole is passed over for an older one, as etcd does, if the log reaches back that far.
 */
import { isKeyferryError } from '@keyferry/core';
import { readConsistentIndex } from '../etcd-v3-snapshot/database-summary.ts';
import { incomplete, reading } from './errors.ts';
import type { DataDirectory, Segment } from './layout.ts';
import { Membership, memberOfAttributes, versionPath } from './membership.ts';
import { PlainPut } from './plain-put.ts';
import { FieldReader, Malformed } from './protobuf.ts';
import { EntryReader, entryTypes, readConfChange, recordTypes, type HexId } from './raft-messages.ts';
import { readEntryContent, type V2Request } from './request.ts';
import { scanLog, type LogFacts } from './scan-log.ts';
import { readSegment } from './segment.ts';
import { checkSnapshot, readSnapshotTree, type BrokenSnapshot, type SnapshotFile } from './snapshot-file.ts';
import type { SnapshotTree } from './snapshot-tree.ts';
import { findNode, V2Tree, type TreeOutcome, type TreeRules } from './v2-tree.ts';

export interface ReplayOptions {
  /** `last-good`: a damaged record ends the log, instead of failing. */
  readonly upTo: 'end' | 'last-good';
  /** No entry behind it is carried out: for comparing with a member that is not as far. By default all that count. */
  readonly appliedMax?: number;
}

/** What was read, besides the tree. */
export interface ReplayFacts {
  readonly memberId: HexId | null;
  readonly clusterId: HexId | null;
  /** As the log or the snapshot states it, `3.4.0`; null before etcd 2.1, or when no server came so far. */
  readonly clusterVersion: string | null;
  /** The snapshot that it began with. */
  readonly snapshot: SnapshotFile | null;
  readonly brokenSnapshots: readonly BrokenSnapshot[];
  readonly segments: readonly Segment[];
  readonly log: LogFacts;
  /** Index of the last entry that was carried out, and its term. */
  readonly appliedIndex: number;
  /** Entries behind it, which are not committed. */
  readonly uncommitted: number;
  /** Entries that were carried out, by what they are. */
  readonly entries: EntryCounts;
  /** Requests to the v2 store that it refused, as it did then. */
  readonly refused: number;
  /** In-order keys that were created under the index that the store had come to. */
  readonly inOrderKeys: number;
  /** Requests to the v2 store other than those by which members tell their names and version. */
  readonly clientRequests: number;
  /** Requests to renew the TTL of a directory, and whether they were carried out, as etcd did up to 3.4. */
  readonly directoryUpdates: number;
  readonly directoriesCanBeUpdated: boolean;
  /** Names of siblings that a snapshot made one of; see SnapshotTree. */
  readonly collapsedNames: number;
}

export interface EntryCounts {
  readonly v2: number;
  readonly members: number;
  /** For the v3 store, or empty. */
  readonly other: number;
}

export interface Replayed {
  readonly tree: V2Tree;
  readonly membership: Membership;
  readonly facts: ReplayFacts;
}

/** @throws {KeyferryError} `datadir.damaged`, `datadir.incomplete`, `file.unreadable` */
export async function replay(directory: DataDirectory, options: ReplayOptions): Promise<Replayed> {
  const start = await findStart(directory, options);
  const { snapshot, segments, log } = start;
  const loaded = snapshot === null ? null : await readSnapshotTree(snapshot);
  const clusterVersion = log.clusterVersion ?? (loaded === null ? null : versionIn(loaded));
  const rules = rulesOf(clusterVersion, log.padded);
  const tree = loaded === null ? V2Tree.empty(rules) : V2Tree.from(loaded.nodes, loaded.currentIndex, rules);
  const membership = new Membership(tree, snapshot?.voters ?? []);
  const applier = new Applier(tree, membership, log, { startIndex: snapshot?.index ?? 0, ...options });
  await applyLog(segments, log, applier);
  const { appliedIndex, entries, refused, inOrderKeys, clientRequests } = applier;
  const { commit } = log.hardState;
  const wanted = Math.min(commit, options.appliedMax ?? commit);
  if (appliedIndex < wanted && log.end.kind !== 'damaged') {
    throw incomplete(directory.path, `entry ${commit} is committed, and the log ends with entry ${log.lastIndex}`);
  }
  // What `etcdctl backup` wrote is known by having no members. It leaves entries out, so that others have another number.
  if (options.upTo === 'end' && membership.list().length > 0) await assertReaches(directory, log);
  const facts: ReplayFacts = {
    memberId: log.metadata?.nodeId ?? null,
    clusterId: log.metadata?.clusterId ?? null,
    clusterVersion,
    snapshot,
    brokenSnapshots: start.brokenSnapshots,
    segments,
    log,
    appliedIndex,
    uncommitted: log.lastIndex - appliedIndex,
    entries,
    refused,
    inOrderKeys,
    clientRequests,
    directoryUpdates: tree.directoryUpdates,
    directoriesCanBeUpdated: rules.directoriesCanBeUpdated,
    collapsedNames: loaded?.collapsedNames ?? 0,
  };
  return { tree, membership, facts };
}

/** A server writes an entry to its log first: where the v3 store has one that the log has not, the last segment is missing. */
async function assertReaches({ path, backend, logPath }: DataDirectory, { lastIndex }: LogFacts): Promise<void> {
  if (backend === null) return;
  const reached = await reading(backend.file, () => readConsistentIndex(backend.file));
  if (reached === null || reached <= BigInt(lastIndex)) return;
  throw incomplete(path, `the v3 store holds entry ${reached}, and the log in ${logPath} ends with entry ${lastIndex}`);
}

function versionIn({ nodes }: SnapshotTree): string | null {
  const node = findNode(nodes, versionPath);
  return typeof node === 'number' ? null : node.value;
}

/** What the server does that was on this directory last: it read the log anew when it started, with its own rules. */
function rulesOf(clusterVersion: string | null, padded: boolean): TreeRules {
  const [major = 0, minor = 0] = (clusterVersion ?? '').split('.').map(Number);
  const release = major * 100 + minor;
  return { directoriesCanBeUpdated: release < 305, inOrderNamesArePadded: padded || release >= 202 };
}

interface Start {
  readonly snapshot: SnapshotFile | null;
  readonly brokenSnapshots: readonly BrokenSnapshot[];
  readonly segments: readonly Segment[];
  readonly log: LogFacts;
}

/** The newest snapshot that the log goes on from, and the part of the log that does. */
async function findStart(
  directory: DataDirectory,
  { upTo, appliedMax = Number.POSITIVE_INFINITY }: ReplayOptions,
): Promise<Start> {
  const { segments, path, logPath } = directory;
  if (segments.length === 0) throw incomplete(path, `there is no log in ${logPath} (no *.wal)`);
  const brokenSnapshots: BrokenSnapshot[] = [];
  const unmatched: string[] = [];
  let knowsOne = false;
  const stopAtDamage = upTo === 'last-good';
  for (const file of [...directory.snapshots, null]) {
    const checked = file === null ? null : await checkSnapshot(file);
    if (checked !== null && 'broken' in checked) {
      brokenSnapshots.push(checked.broken);
      continue;
    }
    const snapshot = checked?.snapshot ?? null;
    const index = snapshot?.index ?? 0;
    if (index > appliedMax) continue;
    const from = segments.findLast(({ firstIndex }) => firstIndex <= index);
    if (from === undefined) continue;
    const used = segments.slice(segments.indexOf(from));
    const log = await scanLog({ segments: used, startIndex: index, stopAtDamage });
    // A log that reaches back to its beginning could do without them: of another member, that would be other keys in silence.
    if (snapshot === null && unmatched.length > 0 && !knowsOne && log.end.kind === 'whole') {
      throw incomplete(path, `the log in ${logPath} knows none of its snapshots, as if it were another member's`);
    }
    if (snapshot === null || goesOnFrom(log, snapshot)) return { snapshot, brokenSnapshots, segments: used, log };
    unmatched.push(snapshot.file);
    knowsOne ||= isKnown(log, snapshot);
  }
  const reasons = [
    ...brokenSnapshots.map(({ file, offset, detail }) => `${file} is damaged at byte ${offset}: ${detail}`),
    ...unmatched.map((file) => `the log does not know ${file}`),
  ];
  const first = segments[0]?.firstIndex ?? 0;
  const why = reasons.length === 0 ? 'there is no snapshot' : reasons.join('; ');
  throw incomplete(path, `the log begins at entry ${first}, and no snapshot reaches up to there: ${why}`);
}

/** etcd's own test (LoadNewestAvailable), except where the log was cut short on request. */
function goesOnFrom(log: LogFacts, snapshot: SnapshotFile): boolean {
  if (log.end.kind === 'damaged') return true;
  return snapshot.index <= log.hardState.commit && isKnown(log, snapshot);
}

/** A server states a snapshot in its log before it writes the file. */
function isKnown({ snapshots }: LogFacts, { index, term }: SnapshotFile): boolean {
  return snapshots.some((each) => each.index === index && each.term === term);
}

async function applyLog(segments: readonly Segment[], log: LogFacts, applier: Applier): Promise<void> {
  let crc: number | null = null;
  const stop = log.end.kind === 'damaged' ? log.end.error.details : null;
  // Whoever reads a directory makes sure afterwards that nothing in it has changed meanwhile.
  const isChecked = log.end.kind === 'whole';
  for (const [at, { file }] of segments.entries()) {
    const isLast = at === segments.length - 1;
    try {
      const read = await readSegment({
        file,
        crc,
        isLast,
        isChecked,
        take: ({ type, bytes, start, end }) => {
          // The first pass may have stopped at a record that is no entry and framed well, such as another member's name.
          const isBeyond = stop !== null && applier.taken === log.entries;
          if (type === recordTypes.entry && !isBeyond) applier.take(bytes, start, end);
        },
      });
      ({ crc } = read);
    } catch (error) {
      // What ended the first pass ends this one, at the same place.
      if (stop === null || !isKeyferryError(error, 'datadir.damaged') || error.details.offset !== stop.offset)
        throw error;
      break;
    }
  }
}

/** Carries out the entries that count, in the order of the log. */
class Applier {
  appliedIndex: number;
  refused = 0;
  inOrderKeys = 0;
  clientRequests = 0;
  private readonly counts = { v2: 0, members: 0, other: 0 };
  private readonly tree: V2Tree;
  private readonly membership: Membership;
  private readonly log: LogFacts;
  private readonly entry = new EntryReader();
  private readonly plain = new PlainPut();
  private readonly appliedMax: number;
  private seen = 0;
  private nextRewind = 0;
  /** For each rewind the lowest index that it or a later one goes back to: from there on, what was read before is void. */
  private readonly voidFrom: readonly number[];

  constructor(
    tree: V2Tree,
    membership: Membership,
    log: LogFacts,
    {
      startIndex,
      appliedMax = Number.POSITIVE_INFINITY,
    }: { readonly startIndex: number; readonly appliedMax?: number },
  ) {
    this.tree = tree;
    this.membership = membership;
    this.log = log;
    this.appliedIndex = startIndex;
    this.appliedMax = appliedMax;
    const lowest: number[] = [];
    for (const { index } of log.rewinds.toReversed()) lowest.unshift(Math.min(index, lowest[0] ?? Infinity));
    this.voidFrom = lowest;
  }

  get entries(): EntryCounts {
    return { ...this.counts };
  }

  /** Records of type entry, carried out or not. */
  get taken(): number {
    return this.seen;
  }

  /** @throws {Malformed} */
  take(bytes: Buffer, start: number, end: number): void {
    const { entry, log } = this;
    const ordinal = this.seen;
    this.seen += 1;
    entry.read(bytes, start, end);
    if (log.rewinds[this.nextRewind]?.entry === ordinal) this.nextRewind += 1;
    if (
      entry.index > this.appliedMax ||
      entry.index <= this.appliedIndex ||
      entry.index >= (this.voidFrom[this.nextRewind] ?? Infinity)
    )
      return;
    if (entry.index > log.hardState.commit && !this.isAlone()) return;
    if (entry.index !== this.appliedIndex + 1) return; // behind one that is not committed
    this.appliedIndex = entry.index;
    if (entry.type === entryTypes.confChange) {
      this.counts.members += 1;
      this.membership.apply(readConfChange(new FieldReader(bytes, entry.dataStart, entry.dataEnd)));
    } else if (entry.type === entryTypes.normal) this.apply(bytes, entry.dataStart, entry.dataEnd);
    else throw new Malformed(`an entry is of type ${entry.type}, which no etcd up to 3.5 writes`);
  }

  /** No other member has to agree: raft commits what such a member has written. */
  private isAlone(): boolean {
    const { voters } = this.membership;
    return voters.size === 1 && voters.has(this.log.metadata?.nodeId ?? '');
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
