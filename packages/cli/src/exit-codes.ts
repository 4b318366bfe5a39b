/**
 * What a failure tells a script: one exit code for each error code of core. The table is total by its type; a new
 * error does not compile until somebody has decided what a script should do about it.
 *
 * The meanings are a contract with users: a change here is an API change.
 */
import type { Code, KeyferryError } from '@keyferry/core';

export const exitCodes = {
  done: 0,
  failed: 1,
  /** Only with --detailed-exitcode: changes or differences exist. */
  changes: 2,
  stale: 3,
  notAllowed: 4,
  locked: 5,
  /** Stopped at a checkpoint on purpose. */
  stopped: 6,
  /** Ran to its end, but not everything is as planned. */
  deviated: 7,
  usage: 64,
  config: 78,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** What each means, and what a script should do. docs/reference/exit-codes.md is made from it. */
export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, { meaning: string; script: string }>> = {
  done: { meaning: 'done (a plan with or without changes)', script: 'go on' },
  failed: {
    meaning: 'failed: a store, the network, a file, a bug',
    script: 'look; repeat it if `error.retry` is not `never`',
  },
  changes: { meaning: 'only with `--detailed-exitcode`: changes or differences exist', script: 'review' },
  stale: { meaning: 'the plan is stale or has expired; nothing was written', script: 'plan again' },
  notAllowed: {
    meaning: 'not allowed: a blocking finding, a guard, an unaccepted warning, no approval',
    script: 'decide',
  },
  locked: {
    meaning: 'the lock is held by another run, or was lost while running',
    script: 'wait, or `keyferry locks show`',
  },
  stopped: {
    meaning: 'stopped at a checkpoint on purpose (`--timeout`, `--chunks-max`, a pause)',
    script: 'run again to go on',
  },
  deviated: {
    meaning: 'ran to its end, but not everything is as expected: records failed, a key changed, sides or cases differ',
    script: 'look at what is named',
  },
  usage: { meaning: 'wrong usage', script: 'fix the call' },
  config: { meaning: 'invalid configuration', script: 'fix the file' },
  interrupted: { meaning: 'SIGINT, after the current write was checkpointed', script: 'run again to go on' },
  terminated: { meaning: 'SIGTERM, after the current write was checkpointed', script: 'run again to go on' },
};

/** `by-signal`: which one depends on what stopped the run. */
const table: Readonly<Record<Code, keyof typeof exitCodes | 'by-signal'>> = {
  'usage.invalid': 'usage',
  'config.not-found': 'config',
  'config.invalid': 'config',
  'config.plaintext-secret': 'config',
  'config.contradiction': 'config',
  'config.secret-missing': 'config',
  'config.unknown-migration': 'usage',
  'fixtures.not-found': 'config',
  'fixtures.invalid': 'config',
  'rule.module-invalid': 'config',
  'program.unusable': 'config',
  'program.failed': 'failed',
  'program.silent': 'failed',
  'program.answer-invalid': 'failed',
  'program.unsteady': 'stale',
  'plan.file-invalid': 'failed',
  'plan.not-applyable': 'notAllowed',
  'apply.failed-before': 'deviated',
  'plan.refused-before': 'notAllowed',
  'plan.unaccepted': 'notAllowed',
  'plan.expired': 'stale',
  'plan.stale': 'stale',
  'plan.mismatch': 'stale',
  'plan.other-in-progress': 'notAllowed',
  'approval.required': 'notAllowed',
  'phase.not-allowed': 'notAllowed',
  'phase.out-of-order': 'notAllowed',
  'migration.finalized': 'notAllowed',
  'finalize.not-proven': 'notAllowed',
  'done.unreadable': 'failed',
  'lease.held': 'locked',
  'lease.lost': 'locked',
  'lease.elsewhere': 'locked',
  'lease.unfinished': 'failed',
  'lock.not-found': 'usage',
  'fence.lost': 'locked',
  'epoch.lost': 'failed',
  'fence.unreadable': 'failed',
  'run.interrupted': 'by-signal',
  'run.stopped': 'stopped',
  'run.paused': 'notAllowed',
  'run.cancelled': 'notAllowed',
  'run.not-found': 'usage',
  'dead-letters.over-budget': 'deviated',
  'state.newer': 'failed',
  'state.not-empty': 'notAllowed',
  'state.unknown-migration': 'usage',
  'state.document-invalid': 'failed',
  'state.nothing-to-adopt': 'notAllowed',
  'forget.unaccepted': 'notAllowed',
  'run.unknown': 'usage',
  'state.busy': 'failed',
  'state.conflict': 'failed',
  'state.unusable': 'failed',
  'state.table-missing': 'failed',
  'state.throttled': 'failed',
  'state.unreachable': 'failed',
  'state.denied': 'failed',
  'store.unreachable': 'failed',
  'store.timeout': 'failed',
  'store.throttled': 'failed',
  'store.table-missing': 'failed',
  'store.stream-unusable': 'failed',
  'store.no-leader': 'failed',
  'store.auth-failed': 'failed',
  'store.permission-denied': 'failed',
  'store.tls-failed': 'failed',
  'store.unsupported': 'failed',
  'store.out-of-space': 'failed',
  'store.request-refused': 'failed',
  'store.answer-unexpected': 'failed',
  'store.position-compacted': 'failed',
  'registry.archive-invalid': 'failed',
  'registry.not-empty': 'notAllowed',
  'registry.import-refused': 'failed',
  'registry.content-held': 'failed',
  'parallel.check-failed': 'failed',
  'rehearsal.server-failed': 'failed',
  'parallel.undone': 'failed',
  'parallel.unconfirmed': 'notAllowed',
  'parallel.not-soaked': 'notAllowed',
  'parallel.writes-stranded': 'notAllowed',
  'parallel.target-silent': 'notAllowed',
  'balancer.unreachable': 'failed',
  'balancer.refused': 'failed',
  'balancer.changed': 'notAllowed',
  'file.unreadable': 'failed',
  'file.unwritable': 'failed',
  'scratch.unusable': 'failed',
  'target.exists': 'notAllowed',
  'file.record-invalid': 'failed',
  'datadir.not-found': 'failed',
  'datadir.in-use': 'failed',
  'datadir.damaged': 'failed',
  'snapshot.damaged': 'failed',
  'datadir.incomplete': 'failed',
  'switch.unreadable': 'failed',
  'datadir.other-cluster': 'failed',
  'datadir.member-twice': 'failed',
  'backup.failed': 'failed',
  'switch.other-migration': 'config',
  'switch.moved': 'failed',
  'barrier.timed-out': 'failed',
  'instance.unknown': 'usage',
  'source.stray-write': 'notAllowed',
  'cutover.not-proven': 'notAllowed',
  'switch.no-way-back': 'failed',
  'client.write-held': 'failed',
  'client.not-serving': 'failed',
  'client.outcome-unknown': 'failed',
  'client.named-gone': 'failed',
  'client.watch-lost': 'failed',
  'client.path-refused': 'failed',
  'client.counter-unreadable': 'failed',
  'client.tree-unfinished': 'failed',
  'capability.missing': 'config',
  'switch.refused': 'failed',
  'switch.taken': 'notAllowed',
  'tail.held': 'locked',
  'tail.deletes-guarded': 'notAllowed',
  'tail.too-many-refused': 'deviated',
  'cutover.instances-missing': 'notAllowed',
  'cutover.not-ready': 'notAllowed',
  'cutover.undone': 'deviated',
  'cutover.unconfirmed': 'notAllowed',
  'rollback.not-carried': 'notAllowed',
  'code.unknown': 'usage',
  'lambda.bundle-invalid': 'config',
  'lambda.not-packable': 'config',
  'lambda.no-bundler': 'failed',
  'lambda.function-failed': 'failed',
  'slices.not-fit': 'notAllowed',
  'functions.at-work': 'locked',
  'queue.unreachable': 'failed',
  'queue.unusable': 'failed',
  'functions.refused': 'notAllowed',
  'internal.invariant': 'failed',
};

const bySignal: Readonly<Record<string, ExitCode>> = {
  SIGINT: exitCodes.interrupted,
  SIGTERM: exitCodes.terminated,
  timeout: exitCodes.stopped,
};

/** All exit codes that `code` may end in; more than one only where a signal decides. */
export function exitCodesOf(code: Code): readonly ExitCode[] {
  const name = table[code];
  return name === 'by-signal' ? Object.values(bySignal) : [exitCodes[name]];
}

export function exitCodeOf(error: KeyferryError): ExitCode {
  const name = table[error.code];
  if (name !== 'by-signal') return exitCodes[name];
  const { signal } = error.details as { readonly signal?: string };
  return bySignal[signal ?? ''] ?? exitCodes.failed;
}
