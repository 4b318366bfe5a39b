/**
 * An entry of Consul's KV store, and the record that it is.
 *
 * The version is the ModifyIndex: it moves with every write, and when a session takes or gives up the key as a lock. That
 * a session holds it now is part of the version too, so that whoever was told it by a plan can be refused: keyferry
 * touches no key that is somebody's lock.
 */
import { keyFromText, type Key, type StoredRecord, type Version } from '@keyferry/core';
import { isText, type WireEntry } from './entries.ts';
import type { ValueForm } from './value-form.ts';

export interface ConsulEntry {
  readonly key: Key;
  /** As it is stored, without flags. */
  readonly value: Uint8Array;
  readonly flags: string;
  readonly createIndex: number;
  readonly modifyIndex: number;
  /** The session that holds the key as a lock; undefined: none does. */
  readonly session: string | undefined;
}

/** Null when its key is not UTF-8, so that nobody can name it. */
export function entryOf(wire: WireEntry): ConsulEntry | null {
  if (!isText(wire.Key)) return null;
  return {
    key: keyFromText(wire.Key),
    value: wire.Value === null ? noBytes : Buffer.from(wire.Value, 'base64'),
    flags: String(wire.Flags),
    createIndex: wire.CreateIndex,
    modifyIndex: wire.ModifyIndex,
    session: wire.Session === '' ? undefined : wire.Session,
  };
}

export function recordOf(entry: ConsulEntry, form: ValueForm): StoredRecord {
  return { key: entry.key, value: form.toValue(entry), version: versionOf(entry), expiresAtMs: null };
}

export function versionOf({ modifyIndex, session }: Pick<ConsulEntry, 'modifyIndex' | 'session'>): Version {
  return `${modifyIndex}${session === undefined ? '' : heldMark}` as Version;
}

/** The index that a version stands for; 0, which no entry has, for what is no version of Consul. */
export function indexOf(version: Version): number {
  const digits = isHeld(version) ? version.slice(0, -heldMark.length) : version;
  return /^[1-9]\d{0,14}$/.test(digits) ? Number(digits) : 0;
}

export function isHeld(version: Version): boolean {
  return version.endsWith(heldMark);
}

const heldMark = ' held';
/** The value of an entry that says all it has to say by being there. */
export const noBytes = new Uint8Array(0);
