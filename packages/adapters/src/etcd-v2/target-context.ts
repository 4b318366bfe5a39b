/** What the writing side of one v2 store shares: its requests, its lanes, where its own keys lie, and the clock. */
import {
  compareFences,
  KeyferryError,
  type Fence,
  type Key,
  type MigrationId,
  type StoredRecord,
  type Version,
} from '@keyferry/core';
import type { EtcdV2Api } from './api.ts';
import { fenceOf, type ControlKeys } from './control-keys.ts';
import type { Lanes } from '../lanes.ts';
import type { EtcdV2WriteApi, FoundNode, NewValue } from './write-api.ts';

export interface TargetContext {
  readonly store: string;
  readonly migration: MigrationId;
  readonly reads: EtcdV2Api;
  readonly writes: EtcdV2WriteApi;
  readonly lanes: Lanes;
  readonly keys: ControlKeys;
  readonly reservedPrefix: Key;
  readonly nowMs: () => number;
}

/** Whole seconds, rounded up: a record may live a little longer, and never ends early. */
export function newValue({ value, expiresAtMs }: Pick<StoredRecord, 'value' | 'expiresAtMs'>, nowMs: number): NewValue {
  return { value, ttlSeconds: expiresAtMs === null ? null : Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000)) };
}

/** Null for a directory, which is no record, and for a file whose time is over and that nobody has swept yet. */
export function recordOf(key: Key, node: FoundNode | null, nowMs: number): StoredRecord | null {
  if (node === null || node.value === null) return null;
  const { value, expiresAtMs, modifiedIndex, createdIndex } = node;
  if (expiresAtMs !== null && expiresAtMs <= nowMs) return null;
  const [version, created] = [String(modifiedIndex) as Version, String(createdIndex) as Version];
  return { key, value, expiresAtMs, version, created };
}

export const indexOf = (version: Version): number => (/^\d{1,15}$/.test(version) ? Number(version) : 0);

/**
 * A look, and no guard: the epoch may be raised right after it.
 * @throws {KeyferryError} `fence.lost` when the target holds another one.
 */
export async function assertEpoch({ store, migration, writes, keys }: TargetContext, epoch: Fence): Promise<void> {
  const held = fenceOf(store, keys.epoch, await writes.read(keys.epoch));
  if (held !== null && compareFences(held, epoch) === 0) return;
  throw new KeyferryError('fence.lost', { chunk: `all of ${migration}` });
}
