/**
 * What is in a data directory, for someone who has only the directory: which member it was, how far its log goes, what of
 * v2 it holds, and whether an etcd 3.6 would start on it. Looks also at what the source refuses (a server at work, a damaged
 * log) and says so instead of failing.
 */
import { counted, isKeyferryError, type KeyferryError } from '@keyferry/core';
import { readDatabase, type DatabaseSummary } from '../etcd-v3-snapshot/database-summary.ts';
import { reading } from './errors.ts';
import { findDataDirectory, type DataDirectory } from './layout.ts';
import type { ListedMember } from './membership.ts';
import { replay, type Replayed, type ReplayFacts } from './replay.ts';
import { inUseBy, serverOn, type ServerState } from './running-server.ts';
import { checkSnapshot } from './snapshot-file.ts';
import { countExpired, summarize, type TreeSummary } from './tree-summary.ts';

export interface DatadirReport {
  readonly directory: string;
  readonly server: ServerState;
  /** Why a migration from here would be refused; null: it would not. */
  readonly problem: { readonly code: string; readonly message: string; readonly remedy: string } | null;
  readonly snapshots: readonly SnapshotReport[];
  readonly log: { readonly segments: number; readonly bytes: number };
  /** The v3 store. Null: there is none. */
  readonly backend: BackendReport | null;
  /** What the log says; up to the damage where there is some. Null when even that cannot be read. */
  readonly content: DatadirContent | null;
}

export interface BackendReport {
  readonly file: string;
  readonly bytes: number;
  /** Null: it was not read, for the reason that `unread` gives. */
  readonly content: DatabaseSummary | null;
  readonly unread: string | null;
}

export interface SnapshotReport {
  readonly file: string;
  readonly state: 'begun-with' | 'whole' | 'damaged';
  /** Of a damaged one. */
  readonly detail: string | null;
}

export interface DatadirContent {
  readonly memberId: string | null;
  readonly clusterId: string | null;
  readonly clusterVersion: string | null;
  readonly members: readonly ListedMember[];
  readonly term: number;
  readonly commitIndex: number;
  readonly lastIndex: number;
  readonly appliedIndex: number;
  readonly uncommitted: number;
  /** Bytes behind the last whole record, which a server would cut off. */
  readonly tornBytes: number;
  /** What a server answers in X-Etcd-Index. */
  readonly v2Index: number;
  readonly v2: TreeSummary;
  /** Files whose expiry had passed at the time of looking, and that no server has swept. */
  readonly expiredFiles: number;
  readonly clientRequests: number;
  /** Why etcd 3.6 would not start on it, or what it would lose; empty: it would start, as far as v2 is concerned. */
  readonly refusedBy36: readonly string[];
}

/** @throws {KeyferryError} `datadir.not-found`, `file.unreadable` */
export async function inspectDataDirectory(path: string, walDir: string | null, nowMs: number): Promise<DatadirReport> {
  const directory = await findDataDirectory(path, walDir);
  const server = await serverOn(directory);
  const { replayed, problem } = await readAsFarAsPossible(directory);
  const begunWith = replayed?.facts.snapshot?.file ?? null;
  const problemOfServer = server.kind === 'running' ? inUseBy(directory, server) : null;
  return {
    directory: path,
    server,
    problem: problemOf(problemOfServer ?? problem),
    snapshots: await Promise.all(directory.snapshots.map((file) => snapshotReport(file, begunWith))),
    log: {
      segments: directory.segments.length,
      bytes: directory.segments.reduce((sum, { bytes }) => sum + bytes, 0),
    },
    backend: directory.backend === null ? null : await backendReport(directory.backend, server),
    content: replayed === null ? null : contentOf(replayed, nowMs),
  };
}

async function readAsFarAsPossible(
  directory: DataDirectory,
): Promise<{ readonly replayed: Replayed | null; readonly problem: KeyferryError | null }> {
  try {
    return { replayed: await replay(directory, { upTo: 'end' }), problem: null };
  } catch (error) {
    if (!isOfDirectory(error)) throw error;
    const replayed = await replay(directory, { upTo: 'last-good' }).catch((again: unknown) => {
      if (!isOfDirectory(again)) throw again;
      return null;
    });
    return { replayed, problem: error };
  }
}

function isOfDirectory(error: unknown): error is KeyferryError {
  return isKeyferryError(error, 'datadir.damaged') || isKeyferryError(error, 'datadir.incomplete');
}

/** bbolt writes in its place: what a server is at work on may be of two moments. */
async function backendReport(
  { file, bytes }: NonNullable<DataDirectory['backend']>,
  server: ServerState,
): Promise<BackendReport> {
  const unread = (why: string): BackendReport => ({ file, bytes, content: null, unread: why });
  if (server.kind === 'running') return unread('not counted while a server is at work on it');
  const database = await reading(file, () => readDatabase(file));
  if (database.kind === 'without-keys') {
    return unread('left out of this backup, as etcdctl backup does unless it is told --with-v3');
  }
  if (database.kind === 'damaged') return unread(`damaged at byte ${database.offset}: ${database.detail}`);
  return { file, bytes, content: database.summary, unread: null };
}

function problemOf(error: KeyferryError | null): DatadirReport['problem'] {
  return error === null ? null : { code: error.code, message: error.message, remedy: error.remedy };
}

async function snapshotReport(file: string, begunWith: string | null): Promise<SnapshotReport> {
  const checked = await checkSnapshot(file);
  if ('broken' in checked) return { file, state: 'damaged', detail: checked.broken.detail };
  return { file, state: file === begunWith ? 'begun-with' : 'whole', detail: null };
}

function contentOf({ tree, membership, facts }: Replayed, nowMs: number): DatadirContent {
  const { log } = facts;
  const v2 = summarize(tree);
  return {
    memberId: facts.memberId,
    clusterId: facts.clusterId,
    clusterVersion: facts.clusterVersion,
    members: membership.list(),
    term: log.hardState.term,
    commitIndex: log.hardState.commit,
    lastIndex: log.lastIndex,
    appliedIndex: facts.appliedIndex,
    uncommitted: facts.uncommitted,
    tornBytes: log.end.kind === 'torn' ? log.end.bytes : 0,
    v2Index: tree.currentIndex,
    v2,
    expiredFiles: countExpired(tree, nowMs),
    clientRequests: facts.clientRequests,
    refusedBy36: refusedBy36(v2, facts),
  };
}

/**
 * etcd 3.6 looks at the tree of the newest snapshot as a listing shows it, and ends at the first request of a client to v2
 * behind it (3.6 `server/etcdserver/api/membership/storev2.go`, IsMetaStoreOnly; `apply_v2.go`, v2ToV3Request).
 */
function refusedBy36({ listed, authEntries }: TreeSummary, { clientRequests }: ReplayFacts): readonly string[] {
  const why: string[] = [];
  if (listed > 0)
    why.push(
      `${counted(listed, 'key or directory', 'keys and directories')} of v2: "detected disallowed custom content in v2store"`,
    );
  if (authEntries > 0)
    why.push(
      `${counted(authEntries, 'user or role', 'users and roles')} of v2: "detected disallowed custom content in v2store"`,
    );
  if (clientRequests > 0)
    why.push(`${counted(clientRequests, 'request')} to v2 since the last snapshot: "detected disallowed v2 WAL"`);
  return why;
}
