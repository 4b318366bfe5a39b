/**
 * What a key in both stores means while applications use them: for verify, whether the migration may go on (every key of
 * the source is in the target, equal or written by an application, or has its tombstone there); for the way back, what is
 * still to be done in the source. Pure; the engine reads both sides and acts (strategies/dual-read).
 *
 * The source is frozen from the barrier of `draining` on. A version that came later is keyferry's own, carried back by an
 * interrupted rollback, or a stray write of somebody who does not follow the switch. The former has its like in the
 * target, written by an application; nothing else has.
 */
import { bytesEqual } from '../../diff/compare-records.ts';
import type { StoredRecord, Version } from '../../model/record.ts';

export interface TargetSideRecord {
  readonly value: Uint8Array;
  readonly copiedFrom: Version | null;
}

export interface BothSides {
  readonly source: StoredRecord | null;
  /** Null: neither record nor tombstone. A record of null: a tombstone alone. */
  readonly target: { readonly record: TargetSideRecord | null } | null;
}

export type SidesVerdict =
  /** Copied, and as it was. */
  | 'equal'
  /** The application wrote it since, or only there. */
  | 'rewritten'
  | 'deleted'
  /** Its time is over, or will be before anybody can tell. */
  | 'expired'
  | 'missing'
  /** Copied, and not as it is in the source. */
  | 'differs'
  /** In the source by somebody who does not follow the switch. */
  | 'stray'
  /** Copied, and no longer in the source: its time ended there, or a stray delete. */
  | 'gone-from-source';

export interface SidesTerms {
  readonly nowMs: number;
  /** How far clocks and leases of the two stores may be apart. */
  readonly skewMs: number;
  /** Whether a version came to be after the source was frozen. */
  readonly isAfterFreeze: (version: Version) => boolean;
}

export function judgeSides({ source, target }: BothSides, { nowMs, skewMs, isAfterFreeze }: SidesTerms): SidesVerdict {
  const record = target?.record ?? null;
  if (source === null) {
    if (record === null) return 'deleted';
    return record.copiedFrom === null ? 'rewritten' : 'gone-from-source';
  }
  const isSameValue = record !== null && bytesEqual(source.value, record.value);
  if (isAfterFreeze(source.version)) {
    return record !== null && record.copiedFrom === null && isSameValue ? 'rewritten' : 'stray';
  }
  if (target === null) {
    const isOver = source.expiresAtMs !== null && source.expiresAtMs <= nowMs + skewMs;
    return isOver ? 'expired' : 'missing';
  }
  if (record === null) return 'deleted';
  if (record.copiedFrom === null) return 'rewritten';
  return isSameValue && record.copiedFrom === source.version ? 'equal' : 'differs';
}

/** What is left to do in the source for one key of which the target holds an application's word. */
export type CarryBack =
  /** `ttlMs`: what is left of its life, rounded down, so that it does not outlive itself (SPEC, known limits). */
  { readonly kind: 'put'; readonly value: Uint8Array; readonly ttlMs: number | null } | { readonly kind: 'delete' };

export interface CarryTerms {
  readonly nowMs: number;
  /** Expiries within this of each other are one and the same. */
  readonly skewMs: number;
}

/**
 * @param written the application's record as it is in the target now; null: it deleted it, or its time is over
 * @returns null: the source says the same already
 */
export function carryBack(
  source: StoredRecord | null,
  written: Pick<StoredRecord, 'value' | 'expiresAtMs'> | null,
  { nowMs, skewMs }: CarryTerms,
): CarryBack | null {
  const gone = source === null ? null : ({ kind: 'delete' } as const);
  if (written === null) return gone;
  const { value, expiresAtMs } = written;
  const ttlMs = expiresAtMs === null ? null : Math.floor((expiresAtMs - nowMs) / 1000) * 1000;
  if (ttlMs !== null && ttlMs <= 0) return gone;
  const isSame =
    source !== null && bytesEqual(source.value, value) && isSameExpiry(source.expiresAtMs, expiresAtMs, skewMs);
  return isSame ? null : { kind: 'put', value, ttlMs };
}

function isSameExpiry(a: number | null, b: number | null, skewMs: number): boolean {
  return a === null || b === null ? a === b : Math.abs(a - b) <= skewMs;
}
