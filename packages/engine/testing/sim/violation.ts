/** The properties that every run must keep, each under the name that SPEC.md and the canaries use. */
export const properties = {
  lost: 'a source record is neither in the target, nor replaced or deleted there by the application',
  overwritten: 'keyferry put a record over one that was there, and that was not the planned version',
  deleted: 'keyferry deleted a record that its plan does not delete, or another version of it',
  unkept: 'a record was overwritten or deleted before its before-image was in the state',
  resurrected: 'keyferry put a record that the application had deleted',
  duplicated: 'keyferry put one key twice in one attempt',
  invented: 'keyferry put a value that the source never held',
  'stale-fence': 'a write took effect under a fence lower than one that was raised before',
  'stale-epoch': 'a write, removal or clean-up took effect under an epoch lower than one that was raised before',
  'attempt-reused': 'two starts of a migration wrote under one attempt number',
  'state-order': 'an item of the state went back: a cursor, a token, a phase, an attempt, or a lock taken while held',
  counts: 'the counts do not add up to what happened',
  'false-done': 'a run said done, and the sides it read do not agree as it claimed',
  'not-done': 'nobody interfered, and the last run did not end in done',
  'wrote-when-stale': 'a run refused its plan as stale and had written all the same',
  'wrote-when-stopped': 'a run was refused because it was paused or cancelled, and had written all the same',
  rollback: 'after a rollback the target is not what it was, with the writes of the application',
  'false-marker': 'the target is marked as done and the migration is not over, or the other way round',
  leak: 'a process that ended left a view open',
  'unexpected-error': 'a command failed in a way that is not among its expected ones',
  stuck: 'the run never comes to its end',
} as const;
export type Property = keyof typeof properties;

export interface Violation {
  readonly property: Property;
  readonly detail: string;
}
