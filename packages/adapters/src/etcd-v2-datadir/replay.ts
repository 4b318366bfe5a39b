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
import { isKeyferryError, KeyferryError } from '@keyferry/core';
import { readConsistentIndex } from '../etcd-v3-snapshot/database-summary.ts';
import { AtOnce } from './at-once.ts';
import { CarryingOut, type EntryCounts } from './carry-out.ts';
import { incomplete, reading } from './errors.ts';
import type { DataDirectory, Segment } from './layout.ts';
import { Membership, versionPath } from './membership.ts';
import { EntryReader, recordTypes, type HexId } from './raft-messages.ts';
import { scanLog, type LogFacts } from './scan-log.ts';
import { readSegment } from './segment.ts';
import { checkSnapshot, readSnapshotTree, type BrokenSnapshot, type SnapshotFile } from './snapshot-file.ts';
import type { SnapshotTree } from './snapshot-tree.ts';
import { treeDigest } from './tree-digest.ts';
import { findNode, V2Tree, type TreeRules } from './v2-tree.ts';

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

export interface Replayed {
  readonly tree: V2Tree;
  readonly membership: Membership;
  readonly facts: ReplayFacts;
}

/** @throws {KeyferryError} `datadir.damaged`, `datadir.incomplete`, `file.unreadable` */
export async function replay(directory: DataDirectory, options: ReplayOptions): Promise<Replayed> {
  const start = await findStart(directory, options);
  const { snapshot, segments, log } = start;
  const { carried, clusterVersion, rules, collapsedNames } = await carryOut(start, options);
  const { tree, membership, appliedIndex, entries, refused, inOrderKeys, clientRequests } = carried;
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
    collapsedNames,
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

/** Where it begins: nothing, or what a snapshot holds. */
interface Beginning {
  readonly carried: CarryingOut;
  readonly rules: TreeRules;
  readonly clusterVersion: string | null;
  readonly collapsedNames: number;
}

/** @param told the version of the cluster by the log; null: it tells none */
async function begin(snapshot: SnapshotFile | null, told: string | null, padded: boolean): Promise<Beginning> {
  const loaded = snapshot === null ? null : await readSnapshotTree(snapshot);
  const clusterVersion = told ?? (loaded === null ? null : versionIn(loaded));
  const rules = rulesOf(clusterVersion, padded);
  const tree = loaded === null ? V2Tree.empty(rules) : V2Tree.from(loaded.nodes, loaded.currentIndex, rules);
  const membership = new Membership(tree, snapshot?.voters ?? []);
  const carried = new CarryingOut(tree, membership, snapshot?.index ?? 0);
  return { carried, rules, clusterVersion, collapsedNames: loaded?.collapsedNames ?? 0 };
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
  readonly guess: Guess | null;
}

/** What was carried out while the log was scanned, by rules that only its end confirms. */
interface Guess extends Omit<Beginning, 'carried'> {
  readonly atOnce: AtOnce;
}

/** Null: the snapshot cannot be read. Who begins with it because the log goes on from it is told why. */
async function beginAtOnce(snapshot: SnapshotFile | null, appliedMax: number): Promise<Guess | null> {
  try {
    const { carried, ...beginning } = await begin(snapshot, null, true);
    return { ...beginning, atOnce: new AtOnce(carried, beginning.rules, appliedMax) };
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    return null;
  }
}

/** The entries that count, on what the snapshot holds: done already, or by reading the log again. */
async function carryOut(
  { snapshot, segments, log, guess }: Start,
  { appliedMax = Number.POSITIVE_INFINITY }: ReplayOptions,
): Promise<Beginning> {
  if (guess !== null) {
    const clusterVersion = log.clusterVersion ?? guess.clusterVersion;
    const rules = rulesOf(clusterVersion, log.padded);
    const carried = guess.atOnce.outcome(log, rules);
    if (carried !== null) return { ...guess, carried, clusterVersion, rules };
  }
  const beginning = await begin(snapshot, log.clusterVersion, log.padded);
  await applyLog(segments, log, new Chooser(beginning.carried, log, appliedMax));
  return beginning;
}

/** The newest snapshot that the log goes on from, and the part of the log that does. */
async function findStart(
  directory: DataDirectory,
  { upTo, appliedMax = Number.POSITIVE_INFINITY }: ReplayOptions,
): Promise<Start> {
  const { segments, path, logPath } = directory;
  if (segments.length === 0) throw incomplete(path, `there is no log in ${logPath} (no *.wal)`);
  const brokenSnapshots: BrokenSnapshot[] = [];
  const unmatched: SnapshotFile[] = [];
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
    const guess = await beginAtOnce(snapshot, appliedMax);
    const follower = guess?.atOnce ?? null;
    const log = await scanLog({ segments: used, startIndex: index, stopAtDamage, follower });
    // A log that reaches back to its beginning could do without them: of another member, that would be other keys in silence.
    const isStrange = snapshot === null && unmatched.length > 0 && !knowsOne && log.end.kind === 'whole';
    if (isStrange && !(await comesToAny(unmatched, used, log))) {
      throw incomplete(path, `the log in ${logPath} knows none of its snapshots, as if it were another member's`);
    }
    if (snapshot === null || goesOnFrom(log, snapshot)) {
      return { snapshot, brokenSnapshots, segments: used, log, guess };
    }
    unmatched.push(snapshot);
    knowsOne ||= isKnown(log, snapshot);
  }
  const reasons = [
    ...brokenSnapshots.map(({ file, offset, detail }) => `${file} is damaged at byte ${offset}: ${detail}`),
    ...unmatched.map(({ file }) => `the log does not know ${file}`),
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

/** A server states in its log each snapshot that it wrote, or goes on to write. */
function isKnown({ snapshots }: LogFacts, { index, term }: SnapshotFile): boolean {
  return snapshots.some((each) => each.index === index && each.term === term);
}

/**
 * Whether the log is that of a snapshot which it does not know: it holds what the log comes to there. From 3.4.8 on a server writes
 * the file first; one that was killed in between leaves it behind, and starts without it.
 */
async function comesToAny(
  snapshots: readonly SnapshotFile[],
  segments: readonly Segment[],
  log: LogFacts,
): Promise<boolean> {
  for (const snapshot of snapshots) {
    const [{ carried: held }, { carried }] = [
      await begin(snapshot, null, true),
      await begin(null, log.clusterVersion, log.padded),
    ];
    await applyLog(segments, log, new Chooser(carried, log, snapshot.index));
    const isThere = carried.appliedIndex === snapshot.index && carried.tree.currentIndex === held.tree.currentIndex;
    if (isThere && treeDigest(carried.tree) === treeDigest(held.tree)) return true;
  }
  return false;
}

async function applyLog(segments: readonly Segment[], log: LogFacts, chooser: Chooser): Promise<void> {
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
          const isBeyond = stop !== null && chooser.taken === log.entries;
          if (type === recordTypes.entry && !isBeyond) chooser.take(bytes, start, end);
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

/** Which entries count, by all that the first pass found; in the order of the log. */
class Chooser {
  private readonly carried: CarryingOut;
  private readonly log: LogFacts;
  private readonly entry = new EntryReader();
  private readonly appliedMax: number;
  private seen = 0;
  private nextRewind = 0;
  /** For each rewind the lowest index that it or a later one goes back to: from there on, what was read before is void. */
  private readonly voidFrom: readonly number[];

  constructor(carried: CarryingOut, log: LogFacts, appliedMax: number) {
    this.carried = carried;
    this.log = log;
    this.appliedMax = appliedMax;
    const lowest: number[] = [];
    for (const { index } of log.rewinds.toReversed()) lowest.unshift(Math.min(index, lowest[0] ?? Infinity));
    this.voidFrom = lowest;
  }

  /** Records of type entry, carried out or not. */
  get taken(): number {
    return this.seen;
  }

  /** @throws {Malformed} */
  take(bytes: Buffer, start: number, end: number): void {
    const { carried, entry, log } = this;
    const ordinal = this.seen;
    this.seen += 1;
    entry.read(bytes, start, end);
    if (log.rewinds[this.nextRewind]?.entry === ordinal) this.nextRewind += 1;
    if (
      entry.index > this.appliedMax ||
      entry.index <= carried.appliedIndex ||
      entry.index >= (this.voidFrom[this.nextRewind] ?? Infinity)
    )
      return;
    if (entry.index > log.hardState.commit && !carried.isAlone(log.metadata?.nodeId ?? '')) return;
    if (entry.index !== carried.appliedIndex + 1) return; // behind one that is not committed
    carried.take(bytes, entry);
  }
}
