/**
 * StateStore: where a migration's progress lives. Small items, each change conditional on the version last seen.
 *
 * The rules (who may claim, when a lease has ended) are pure functions in core/machines; the store only compares
 * versions. So SQLite, DynamoDB and memory can differ in nothing that matters, and one item holds lease, token and
 * cursor of a chunk: a single conditional write proves ownership and moves the checkpoint.
 */
import type { Brand } from '../model/brand.ts';
import type { KeyJson } from '../model/key.ts';
import type { ChunkState } from '../machines/chunk-lifecycle.ts';
import type { LockState } from '../machines/lock.ts';
import type { MigrationState } from '../machines/migration-phase.ts';
import type { PlanDocument, PlannedChunk } from '../plan/plan.ts';

export type StateVersion = Brand<string, 'StateVersion'>;

/** A record that could not be written and that no retry can help; kept until someone decides. */
export interface DeadLetter {
  readonly sourceKey: KeyJson;
  readonly targetKey: KeyJson;
  readonly chunk: string;
  readonly reason: string;
  readonly atMs: number;
}

/** What happened, for `status` and for whoever asks later. */
export interface EventItem {
  readonly atMs: number;
  readonly run: string;
  readonly type: string;
  readonly message: string;
}

/**
 * The items by kind. Scope and id of each: migration (`migrations`, name), lock (`locks`, migration name), plan
 * (migration, plan id), chunk-plan, chunk and dead-letter (`migration/attempt`, chunk id, or canonical JSON of the target key;
 * of what the rules find no place for, why and where), event (migration, a
 * sortable id).
 */
export interface StateItems {
  readonly migration: MigrationState;
  readonly lock: LockState;
  readonly plan: PlanDocument;
  readonly 'chunk-plan': PlannedChunk;
  readonly chunk: ChunkState;
  readonly 'dead-letter': DeadLetter;
  readonly event: EventItem;
}
export type StateKind = keyof StateItems;

export interface StateEntry<K extends StateKind> {
  readonly id: string;
  readonly item: StateItems[K];
  readonly version: StateVersion;
}

export interface StatePage<K extends StateKind> {
  readonly entries: readonly StateEntry<K>[];
  /** To be passed as `after` for the next page; null at the end. */
  readonly next: string | null;
}

export type StateWriteOutcome<K extends StateKind> =
  | { readonly kind: 'written'; readonly version: StateVersion }
  /** Somebody else was first; `current` is what is there now, null when nothing is. */
  | { readonly kind: 'conflict'; readonly current: StateEntry<K> | null };

export interface StateStore {
  read<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateEntry<K> | null>;
  /**
   * Writes if the item is at `expected` (`absent`: not there). Items are plain JSON. When the answer is lost the caller
   * repeats the call and, on a conflict, compares `current` with what it wrote: equal means that it won.
   */
  write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>>;
  remove<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    expected: StateVersion,
  ): Promise<StateWriteOutcome<K>>;
  /** Items of a scope in ascending order of their ids, those after `after`; `next` is null at the end. */
  list<K extends StateKind>(
    kind: K,
    scope: string,
    page: { readonly after: string | null; readonly itemsMax: number },
  ): Promise<StatePage<K>>;
  close(): Promise<void>;
}
