/** A backup of a whole store that was made before an attempt wrote anything; what brings back what rollback cannot. */
export interface TakenBackup {
  readonly side: 'source' | 'target';
  /** The store's name in the configuration. */
  readonly store: string;
  /** snapshot: a file that the store's own tools restore. copy: a directory like the one that is read. */
  readonly what: BackupForm;
  /** Where it lies, as the machine that made it names it. */
  readonly path: string;
  readonly bytes: number;
  /** Of the file; of a copy, of its SHA256SUMS. Hexadecimal digits. */
  readonly sha256: string;
  /** RFC 3339. */
  readonly takenAt: string;
}

export type BackupForm = 'snapshot' | 'copy';
