/** What a migration keeps of a record before it overwrites or deletes it, and what may become of it when it goes back. */
import type { StoredRecord } from './record.ts';

/** Whose record it is: somebody else's, or this migration's, which put it where nothing was or over another one. */
export type RecordOrigin = 'foreign' | 'created' | 'overwritten';

/** A record as it was before this migration changed it. */
export interface BeforeImage extends StoredRecord {
  readonly origin: RecordOrigin;
}

/** What is to be undone: the change that was, or may have been, made to the record of the image. */
export interface Restoration {
  readonly undo: 'overwrite' | 'delete';
  readonly image: BeforeImage;
}

/**
 * restored: the old value is there again, with what is left of its time. replaced: the same, in place of what this
 * migration had created there after its delete. removed: the image was itself this migration's
 * creation, so what was there before is nothing. expired: the image's time has run out meanwhile; what this migration
 * wrote there is gone. untouched: it is as it should be, never changed or restored by an earlier try. changed: somebody
 * wrote or deleted it since; it is left as it is.
 */
export type RestoreOutcome = 'restored' | 'replaced' | 'removed' | 'expired' | 'untouched' | 'changed';
