/** What lies in the directory of a migration, by name. None of it is trusted without its digest. */
export const files = {
  foreseen: 'foreseen.zip',
  foreseenRepaired: 'foreseen-repaired.zip',
  foreseenBesides: 'foreseen-besides.json',
  exported: 'export.zip',
  repaired: 'repaired.zip',
  /** Held against what was exported, and removed. */
  exportedAgain: 'export-again.zip',
  besides: 'besides.json',
  /** What came between the two, for the freeze. */
  delta: 'delta.zip',
  snapshot: 'snapshot-3.zip',
  collected: 'collected-3.zip',
  changes: 'changes.json',
} as const;
