/**
 * The plan: what an engineer reviews and `apply` then does, exactly.
 *
 * It decides which records are written and what each write expects to find; it does not decide by whom or when. It
 * names what it saw (positions, versions, salted digests), so that apply can tell whether it still holds. It holds
 * keys and sizes, never values or secrets. All of it is plain JSON; `plan-file.ts` gives it canonical bytes.
 */
import type { TakenBackup } from '../model/backup.ts';
import type { Digest, Salt } from '../convergence/digest.ts';
import type { Exceptions } from '../convergence/exceptions.ts';
import type { ChunkId, MigrationId, PlanId } from '../model/ids.ts';
import type { Mode } from '../machines/online/mode-ladder.ts';
import type { KeyJson } from '../model/key.ts';
import type { NotCarriedReason } from '../model/record.ts';
import type { StoreDescription } from '../ports/store.ts';
import type { CostEstimate } from './cost.ts';
import type { Finding } from './finding.ts';
import type { ReplicatePlan } from './replicate-settings.ts';

export const planFormat = 'keyferry.plan';
export const planFormatVersion = '1.0';

/**
 * create: not in the target. overwrite: there, different, and replaced. delete: only in the target, and taken away.
 * equal: there, the same. conflict: there, different, and kept (or blocking, when the policy is `fail`). blocked: cannot
 * be written as it is; a finding says why. Each but `delete` is one of a source record.
 */
export type ActionKind = 'create' | 'overwrite' | 'delete' | 'equal' | 'conflict' | 'blocked';

export type ConflictPolicy = 'keep-target' | 'overwrite' | 'fail';

/** How many deletes a plan may hold before they must be accepted by name. */
export interface DeleteGuards {
  /** Of the keys under the target prefix, and under each first part of it; 0 to 1. */
  readonly deleteShareMax: number;
  readonly deletesMax: number;
}

export interface KeysAndBytes {
  readonly keys: number;
  readonly bytes: number;
}

export type ActionTotals = Readonly<Record<ActionKind, KeysAndBytes>>;

export interface PlannedSide {
  /** The store's name in the configuration. */
  readonly store: string;
  readonly prefix: KeyJson;
  readonly position: string;
  readonly description: StoreDescription;
  /** Raft index at which the members of a replicated source agreed; null where there is nothing to compare. */
  readonly membersAgreeAt: string | null;
  /** How many of them were compared; absent: none. */
  readonly membersCompared?: number;
}

export interface PlanTotals {
  readonly actions: ActionTotals;
  readonly notCarried: Readonly<Partial<Record<NotCarriedReason, number>>>;
  /** Everything that the scan of the source met: all actions but `delete`, and all that is not carried. */
  readonly scanned: number;
  /** Source records that expire. */
  readonly expiring: number;
  /** Keys under the target prefix that no source key maps to, and that are left as they are; 0 where they were not looked at (`targetRead`). */
  readonly targetOnly: number;
}

export interface PrefixSummary {
  readonly prefix: KeyJson;
  readonly create: number;
  readonly overwrite: number;
  readonly delete: number;
  readonly equal: number;
  readonly conflict: number;
  readonly blocked: number;
  readonly expiring: number;
  readonly bytes: number;
  readonly largestBytes: number;
}

/** A change of what the data means to its readers, though nothing is wrong. */
export interface MeaningChange {
  readonly code: 'ttl.to-lease' | 'dir.empty' | 'index.changed';
  readonly count: number;
  /** `ttl.to-lease`, where records share leases: how many at most; 100,000 is that many or more. */
  readonly leases?: number;
}

/** One planned change. Rows stand in ascending order of target keys. */
export interface PlannedChange {
  readonly action: Exclude<ActionKind, 'equal'>;
  readonly chunk: ChunkId;
  /** Null for a delete: no source key maps to it. */
  readonly sourceKey: KeyJson | null;
  readonly targetKey: KeyJson;
  /** Of the value that is to be there; for a delete, of the one that goes. */
  readonly bytes: number;
  /** Of the same. Salted, 16 hexadecimal digits. */
  readonly digest: string;
  readonly expiresAt: string | null;
  readonly sensitive: boolean;
  /** What is there now, at the version that an overwrite or a delete will expect; null for a create. */
  readonly target: { readonly version: string; readonly bytes: number; readonly digest: string } | null;
}

export interface PlannedChunk {
  readonly chunk: ChunkId;
  /**
   * A range of the keys that are scanned: those of the source, or of the image where that is spilled and sorted first
   * (`order`). Together the chunks cover the whole prefix.
   */
  readonly start: KeyJson;
  readonly end: KeyJson | null;
  readonly actions: Readonly<Record<ActionKind, number>>;
  readonly bytes: number;
  /** Source records that never expire: none of them may be another one at apply. */
  readonly permanent: Digest;
  /** Target records that those map to, with their versions. */
  readonly matched: Digest;
  /** Target records, with their versions, whose source record expires and is equal; every other one that expires has a row. */
  readonly equalExpiring: Digest;
  /** When the first of those ends in the source, so that they may be fewer; null when there are none. */
  readonly equalExpiresAt: string | null;
  /** Target records that are left as they are: those without a source key, less the deletes. */
  readonly targetOnly: number;
  /** Every change of this chunk has its row; false past the row limit, where the digests stand in for permanent creates. */
  readonly listed: boolean;
}

export interface PlanDocument {
  readonly format: typeof planFormat;
  readonly formatVersion: typeof planFormatVersion;
  readonly keyferryVersion: string;
  readonly plan: PlanId;
  readonly migration: MigrationId;
  readonly strategy: Strategy;
  /** Of a migration in which applications take part; absent: their writers are stopped. */
  readonly online?: PlannedOnline;
  /** Only under strategy `replicate`. */
  readonly replicate?: ReplicatePlan;
  /** Null: the whole migration. */
  readonly selection: KeySelection | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly scanMs: number;
  readonly salt: Salt;
  readonly source: PlannedSide;
  readonly target: PlannedSide;
  readonly onConflict: ConflictPolicy;
  /** Target keys that no source key maps to are deleted. */
  readonly prune: boolean;
  /** What is overwritten or deleted is kept in the state first, so that rollback can put it back. */
  readonly keepBefore: boolean;
  readonly requireEmpty: RequireEmpty;
  /** What is backed up before the first write, and into which directory. Absent: nothing. */
  readonly backups?: readonly PlannedBackup[];
  /** Largest time that a key may outlive its TTL in the target, from sharing leases. */
  readonly leaseBucketMs: number;
  /** SHA-256 of the resolved configuration of this migration (secrets as references), and of its rules alone. */
  readonly configDigest: string;
  readonly rulesDigest: string;
  readonly totals: PlanTotals;
  readonly byPrefix: readonly PrefixSummary[];
  readonly lookFirst: readonly PlannedChange[];
  /** Target records that differ and are kept, with their versions: verify admits these differences and no others. */
  readonly exceptions: Exceptions;
  /** Target records that are to be deleted, with their versions: verify looks whether they are gone. */
  readonly deletions: Exceptions;
  readonly meaning: readonly MeaningChange[];
  readonly findings: readonly Finding[];
  readonly chunks: number;
  readonly changesListed: number;
  readonly changesOmitted: number;
  readonly estimate: Estimate;
  /** What apply costs where Amazon bills by use; absent: nowhere. */
  readonly cost?: CostEstimate;
  /** The rules by name, in the order in which they are applied. */
  readonly rules: readonly string[];
  /** merged: both sides were scanned side by side as they come. spilled: the rules change the order, so it was sorted first. */
  readonly order: 'merged' | 'spilled';
  /** scanned: all of the target under its prefix was read. looked-up: the planned keys alone, as it holds far more than those. */
  readonly targetRead: 'scanned' | 'looked-up';
  /** Whether what the rules made of keys and values can be undone exactly. Rollback, which restores, needs no inverse. */
  readonly wayBack: 'lossless' | 'none';
  /** Records that the inverse of the rules would take somewhere else than where they came from; then there is no way back. */
  readonly oneWay: number;
  readonly applyable: boolean;
}

/**
 * offline: writers of the source are stopped for the whole time. dual-read: applications read both stores and write one of
 * them, by the mode that the switch says. replicate: writers are held only for the moment in which they change stores.
 */
export type Strategy = 'offline' | 'dual-read' | 'replicate';

/** How applications take part, and what it costs them. */
export interface PlannedOnline {
  /** For people: the store and the place in it. */
  readonly switch: string;
  /** The target compares the switch in each application's write, because it holds it. */
  readonly guardedBySwitch: boolean;
  readonly instancesMin: number;
  readonly barrierTimeoutMs: number;
  readonly requestLifeMs: number;
  /** The command that leads to each mode, in their order, and whether all instances are waited for there. */
  readonly modes: readonly { readonly mode: Mode; readonly command: string; readonly barrier: boolean }[];
  /** Longest time that writes are held on the way forward: until the barrier of `draining` holds, or is given up. */
  readonly writePauseMaxMs: number;
  /** Applications follow a key by themselves, hold nothing back, and cannot be led back; absent: they acknowledge. */
  readonly followedBy?: 'time';
}

/** A backup that apply makes before it writes anything. */
export interface PlannedBackup extends Pick<TakenBackup, 'side' | 'store' | 'what'> {
  readonly into: string;
}

/** A part of a migration, by globs over target keys: those that match one of `only`, if any is given, and none of `exclude`. */
export interface KeySelection {
  readonly only: readonly string[];
  readonly exclude: readonly string[];
}

/** `keyspace`: no record anywhere in the target; `prefix`: none under its prefix; null: the diff decides. */
export type RequireEmpty = 'keyspace' | 'prefix' | null;

export interface Estimate {
  readonly transactions: number;
  readonly keysPerTransaction: number;
  readonly workers: number;
}

/** All action kinds, in the order in which they are printed. */
export const actionKinds = [
  'create',
  'overwrite',
  'delete',
  'equal',
  'conflict',
  'blocked',
] as const satisfies readonly ActionKind[];

/** Changes to records that are there: the ones that expect a version, and that a before-image is kept of. */
export function guardedCount(actions: Readonly<Record<'overwrite' | 'delete', number>>): number {
  return actions.overwrite + actions.delete;
}

/** A count for each kind of action. */
export function noActions(): Record<ActionKind, number> {
  return Object.fromEntries(actionKinds.map((kind) => [kind, 0])) as Record<ActionKind, number>;
}
