/**
 * The protocol's rules as switches. Every one is on; the simulator turns one off at a time and must then find the
 * counterexample that the rule is there for. A rule whose absence nobody notices is not tested.
 */
export interface ProtocolRules {
  /** A put that expects `absent` leaves a present key alone. Off: it overwrites. */
  readonly absentGuard: boolean;
  /** A change that expects a version leaves any other one alone. Off: it overwrites or deletes. */
  readonly versionGuard: boolean;
  /** A restoration leaves alone what somebody changed since. Off: it puts the old value over it. */
  readonly restoreGuard: boolean;
  /** A put leaves a tombstoned key alone. Off: it brings the key back. */
  readonly tombstoneGuard: boolean;
  /** Writes compare the chunk's fence, and a claim must raise it. Off: neither is compared. */
  readonly fence: boolean;
  /** Claims, writes and removals compare the migration's epoch. Off: nobody does. */
  readonly epoch: boolean;
  /** Writes of a tail compare its fence, and a claim must raise it. Off: neither is compared. */
  readonly tailFence: boolean;
  /** Each write of a tail compares the state in which the one before it left its record. Off: a late one is applied. */
  readonly tailSequence: boolean;
  /** A delete by the forward tail leaves a tombstone. Off: the key is merely gone. */
  readonly tailTombstones: boolean;
  /** A state item changes only if it is at the version expected. Off: the last writer wins. */
  readonly conditionalState: boolean;
}

export const allRules: ProtocolRules = {
  absentGuard: true,
  versionGuard: true,
  restoreGuard: true,
  tombstoneGuard: true,
  fence: true,
  epoch: true,
  tailFence: true,
  tailSequence: true,
  tailTombstones: true,
  conditionalState: true,
};
