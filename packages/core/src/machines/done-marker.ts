/**
 * The done marker: what `finalize` leaves in the target for whoever asks later, people and scripts: that this migration
 * is over, who ended it and when, and what was proven then. One JSON document under the reserved prefix (etcd v3) or in
 * a row of keyferry's own table (SQLite); a start-up script of an application may wait for it.
 *
 * Holds counts and salted digests: no key, no value, no secret. Readers refuse a newer major version and ignore what
 * they do not know.
 */
import type { Digest } from '../convergence/digest.ts';
import { KeyferryError } from '../errors/keyferry-error.ts';
import type { MigrationId, PlanId, RunId } from '../model/ids.ts';
import type { KeyJson } from '../model/key.ts';
import { canonicalJson } from '../plan/canonical-json.ts';
import type { ChunkCounts } from './chunk-lifecycle.ts';

export const doneFormat = 'keyferry.done';
export const doneFormatVersion = '1.0';

export interface DoneSide {
  /** The store's name in the configuration. */
  readonly store: string;
  readonly prefix: KeyJson;
  readonly position: string;
  /** Of the verified set, salted with the plan's salt. */
  readonly digest: Digest;
}

export interface DoneMarker {
  readonly format: typeof doneFormat;
  readonly formatVersion: string;
  readonly keyferryVersion: string;
  readonly migration: MigrationId;
  readonly plan: PlanId;
  readonly attempt: number;
  readonly run: RunId;
  /** `user@host, pid N` */
  readonly by: string;
  readonly startedAt: string;
  readonly finalizedAt: string;
  readonly source: DoneSide;
  readonly target: DoneSide;
  readonly counts: ChunkCounts;
}

export function doneMarkerToText(marker: DoneMarker): string {
  return canonicalJson(marker);
}

/** @throws {KeyferryError} `done.unreadable`: it is not keyferry's, or a newer keyferry's. */
export function doneMarkerFromText(text: string, migration: MigrationId): DoneMarker {
  const marker = parsed(text);
  const [major] = doneFormatVersion.split('.');
  if (marker?.format !== doneFormat || String(marker.formatVersion).split('.')[0] !== major) {
    throw new KeyferryError('done.unreadable', { migration });
  }
  return marker as DoneMarker;
}

function parsed(text: string): Partial<DoneMarker> | null {
  try {
    return JSON.parse(text) as Partial<DoneMarker> | null;
  } catch {
    return null; // not JSON: somebody else's, and that is the answer
  }
}
