/**
 * TargetLock: a lock that a target keeps itself, for processes that share no state. Any number of hosts may be told to
 * migrate, and one at a time does.
 *
 *     free ──acquire──► held ──release, with its end──► free          held ──its holder died──► free, by itself
 *
 * It keeps processes apart and is no proof, as the lock in the state is none: the fences are. What stands beside it tells
 * whoever waited how the one before ended.
 */
import type { MigrationId } from '../model/ids.ts';

/** What a holder writes beside its lock. */
export interface TargetLockNote {
  /** `user@host, pid N`, with the mark of its process. */
  readonly holder: string;
  readonly command: string;
  /** Of the one taking of the lock: no two have the same. */
  readonly lock: string;
  readonly acquiredAtMs: number;
  /** Null: it has not ended, or died without a word. Else `done`, or the code of the error that it ended in. */
  readonly end: { readonly outcome: string; readonly atMs: number } | null;
}

export type TargetLockAnswer =
  /** `previous` stood there before; null: nothing that can be read did. */
  | { readonly kind: 'acquired'; readonly held: HeldTargetLock; readonly previous: TargetLockNote | null }
  | {
      readonly kind: 'held';
      /** Null: it is held by something that left no note of keyferry's. */
      readonly by: TargetLockNote | null;
      /** Ends this very holding, of a holder that is known to be gone; nothing where it has ended meanwhile. */
      readonly end: () => Promise<void>;
    };

export interface HeldTargetLock {
  /** Prolongs it. False: it is not this holder's any more. */
  renew(): Promise<boolean>;
  /** Leaves the note beside the free lock. Harmless to repeat, and where it was lost. */
  release(note: TargetLockNote): Promise<void>;
}

export interface TargetLock {
  /** @param leaseMs for which it outlives its holder, or somewhat longer; renewed well before that */
  acquire(migration: MigrationId, note: TargetLockNote, leaseMs: number): Promise<TargetLockAnswer>;
}

export function targetLockNoteToText(note: TargetLockNote): string {
  return JSON.stringify({ format: noteFormat, ...note });
}

/** Null: it is not one. */
export function targetLockNoteFromText(text: string): TargetLockNote | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null; // somebody else's words beside the lock: then nobody is known to have held it
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { format, ...note } = parsed as Partial<TargetLockNote> & { readonly format?: unknown };
  const { holder, lock, command, acquiredAtMs, end = null } = note;
  if (format !== noteFormat || typeof holder !== 'string' || typeof lock !== 'string') return null;
  return { holder, lock, command: String(command), acquiredAtMs: Number(acquiredAtMs), end };
}

const noteFormat = 'keyferry.lock';
