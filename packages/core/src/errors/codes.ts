/**
 * Every failure that keyferry can name: its retry class, what happened, how to fix it. docs/reference/errors.md and
 * `keyferry explain CODE` are made from this table; a new failure is one entry here, or in store-codes.ts.
 */
import type { ConfigIssue, MovedKeys, StateDetails } from './details.ts';
import { entry } from './entry.ts';
import { functionCodes } from './function-codes.ts';
import { onlineCodes } from './online-codes.ts';
import { programCodes } from './program-codes.ts';
import { replicateCodes } from './replicate-codes.ts';
import { registryCodes } from './registry-codes.ts';
import { rememberedCodes } from './remembered-codes.ts';
import { storeCodes } from './store-codes.ts';

export const codes = {
  ...functionCodes,
  ...rememberedCodes,
  ...onlineCodes,
  'usage.invalid': entry<{ what: string; fix: string }>({
    retry: 'never',
    summary: '{what}',
    remedy: '{fix}',
  }),
  'config.not-found': entry<{ file: string }>({
    retry: 'never',
    summary: 'there is no configuration file {file}',
    remedy: 'name it:   keyferry plan MIGRATION --config FILE',
  }),
  'config.invalid': entry<{ file: string; issues: readonly ConfigIssue[] }>({
    retry: 'never',
    summary: 'the configuration {file} is not valid; nothing was read or written',
    remedy: 'correct the lines shown, then:   keyferry validate --config {file}',
  }),
  'config.plaintext-secret': entry<{ file: string; path: string; line: number | null }>({
    retry: 'never',
    summary: '{path} in {file} holds a secret in plain text',
    remedy: 'refer to it instead:   { env: NAME }   or   { file: PATH }',
  }),
  'config.secret-missing': entry<{ reference: string }>({
    retry: 'never',
    summary: 'the secret {reference} could not be read',
    remedy:
      'set the variable, or create the file or secret that the configuration refers to; may it be read from here?',
  }),
  'config.contradiction': entry<{ migration: string; setting: string; why: string; target: string }>({
    retry: 'never',
    summary: '{migration} is to be migrated, and {setting} contradicts that: {why}; nothing was read or written',
    remedy:
      'stop the component, set   {setting}={target}   and say the command again; or leave the component where it is',
  }),
  'config.unknown-migration': entry<{ migration: string; known: readonly string[]; suggestion: string | null }>({
    retry: 'never',
    summary: 'the configuration has no migration {migration}',
    remedy: 'list them:   keyferry validate',
  }),
  'fixtures.not-found': entry<{ file: string; migration: string }>({
    retry: 'never',
    summary: 'there are no fixtures for {migration}: {file} is not there',
    remedy: 'write cases into it, or name the file:   keyferry test {migration} --fixtures FILE',
  }),
  'fixtures.invalid': entry<{ file: string; issues: readonly ConfigIssue[] }>({
    retry: 'never',
    summary: 'the fixtures {file} are not valid; no case was run',
    remedy: 'correct the lines shown; the form is described in docs/guides/testing-rules.md',
  }),
  'rule.module-invalid': entry<{ module: string; detail: string }>({
    retry: 'never',
    summary: 'the rule module {module} cannot be used: {detail}',
    remedy: 'correct the module, then:   keyferry validate',
  }),
  ...programCodes,
  ...replicateCodes,
  'plan.file-invalid': entry<{ file: string; why: string }>({
    retry: 'never',
    summary: '{file} is not a plan that this version can read: {why}',
    remedy: 'make a new one:   keyferry plan MIGRATION --out FILE',
  }),
  'plan.not-applyable': entry<{ plan: string; migration: string; findings: readonly string[] }>({
    retry: 'never',
    summary: 'plan {plan} has blocking findings; nothing was written',
    remedy: 'solve them, then:   keyferry plan {migration} --out FILE',
  }),
  'plan.unaccepted': entry<{ plan: string; findings: readonly string[] }>({
    retry: 'never',
    summary: 'plan {plan} has warnings that nobody accepted; nothing was written',
    remedy: 'accept each by name:   keyferry apply FILE --accept CODE',
  }),
  'plan.expired': entry<{ plan: string; migration: string; expiredAt: string }>({
    retry: 'never',
    summary: 'plan {plan} expired at {expiredAt}; nothing was written',
    remedy: 'plan again:   keyferry plan {migration} --out FILE',
  }),
  'plan.stale': entry<{ plan: string; migration: string } & MovedKeys>({
    retry: 'never',
    summary: 'plan {plan} no longer matches the stores; nothing was written',
    remedy: 'plan again and review:   keyferry plan {migration} --out FILE',
  }),
  'plan.mismatch': entry<{ plan: string; migration: string; what: readonly string[] }>({
    retry: 'never',
    summary: 'plan {plan} does not fit the configuration or the stores as they are now; nothing was written',
    remedy: 'put back what differs, or plan again and review:   keyferry plan {migration} --out FILE',
  }),
  'plan.other-in-progress': entry<{ plan: string; migration: string; running: string; appliedAs: string }>({
    retry: 'never',
    summary: '{migration} is in the middle of plan {running}, and this is plan {plan}; nothing was written',
    remedy: 'go on with it:   keyferry apply {appliedAs}\nor go back:      keyferry rollback {migration}',
  }),
  'epoch.lost': entry<{ migration: string; expected: string; found: string }>({
    retry: 'never',
    summary: "the target's epoch of {migration} is {found}, and this state says {expected}",
    remedy:
      'the target was wiped or restored, or a run with another state file has applied since; find out which, and use\nthe newer state, or plan again:   keyferry plan {migration}',
  }),
  'approval.required': entry<{ migration: string; flag: string }>({
    retry: 'never',
    summary: '{migration} was not approved; nothing was written',
    remedy: 'approve it:   keyferry apply {migration} {flag}',
  }),
  'phase.not-allowed': entry<{ migration: string; phase: string; command: string; next: string }>({
    retry: 'never',
    summary: '{migration} is {phase}, where {command} has nothing to do; nothing was written',
    remedy: 'the next safe command:   {next}',
  }),
  'phase.out-of-order': entry<{ migration: string; after: string; phase: string }>({
    retry: 'never',
    summary: '{migration} comes after {after}, which is {phase} and has not been proven; nothing was written',
    remedy: 'first:   keyferry apply {after}\nor all, in their order:   keyferry apply --all',
  }),
  'migration.finalized': entry<{ migration: string; command: string; by: string; at: string }>({
    retry: 'never',
    summary: '{migration} was finalized at {at} by {by}; {command} is not possible any more, and nothing was written',
    remedy:
      'to migrate once more, with no way back behind what was finalized:   keyferry finalize {migration} --reopen',
  }),
  'finalize.not-proven': entry<{ migration: string; what: readonly string[] }>({
    retry: 'never',
    summary: '{migration} could not be proven again; it was not finalized, and the way back is still open',
    remedy: 'see what moved:   keyferry verify {migration}\nput it right:     keyferry reconcile {migration}',
  }),
  'done.unreadable': entry<{ migration: string }>({
    retry: 'never',
    summary: 'the done marker of {migration} in the target is not one that this version can read',
    remedy: 'use the keyferry that wrote it, or find out who writes under the reserved prefix',
  }),
  'lease.held': entry<{ migration: string; lock: string; holder: string; run: string; heartbeatAgoMs: number }>({
    retry: 'never',
    summary: '{migration} is being applied by someone else',
    remedy:
      'wait:         keyferry apply FILE --lock-timeout 10m\nit is dead:   keyferry locks break {lock} --reason "why"',
  }),
  'lease.lost': entry<{ migration: string; lock: string }>({
    retry: 'never',
    summary: 'this run lost the lock of {migration} while it was running; it stopped at its last checkpoint',
    remedy: 'see who holds it:   keyferry locks list',
  }),
  'lease.elsewhere': entry<{ migration: string; store: string; holder: string; command: string; sinceMs: number }>({
    retry: 'never',
    summary: '{holder} is at work on {migration}, and holds its lock in store {store}; nothing was written',
    remedy:
      'wait for it:  repeat the command with   --lock-timeout 10m\nit is dead:   its lock ends by itself within a minute',
  }),
  'lease.unfinished': entry<{ migration: string; holder: string; outcome: string }>({
    retry: 'never',
    summary:
      '{holder} was at work on {migration} and did not finish it ({outcome}); nothing was written here, and the source stays in charge',
    remedy:
      'see why, there:   keyferry status {migration}\ntake it over:     keyferry apply {migration} --accept lease.unfinished',
  }),
  'lock.not-found': entry<{ lock: string }>({
    retry: 'never',
    summary: 'there is no lock {lock}',
    remedy: 'list them:   keyferry locks list',
  }),
  'fence.lost': entry<{ chunk: string }>({
    retry: 'restart',
    summary: 'the target refused a write for chunk {chunk}: another worker has claimed it since',
    remedy: 'nothing to do: the chunk goes on with the worker that claimed it',
  }),
  'fence.unreadable': entry<{ store: string; where: string }>({
    retry: 'never',
    summary: "{where} in store {store} holds something that is not keyferry's",
    remedy: 'find out who writes under the reserved prefix; keyferry writes nothing until that is settled',
  }),
  'run.interrupted': entry<{ migration: string; signal: string }>({
    retry: 'never',
    summary: '{migration} was stopped by {signal}; everything that was written before is checkpointed',
    remedy: 'go on with the same command',
  }),
  'run.stopped': entry<{ migration: string; why: string; next: string }>({
    retry: 'never',
    summary: '{migration} was stopped at a checkpoint on purpose ({why}); what was written before stays',
    remedy: 'go on:   {next}',
  }),
  'run.paused': entry<{ migration: string; by: string; since: string }>({
    retry: 'never',
    summary: '{migration} has been paused by {by} since {since}; nothing was written',
    remedy: 'let it go on:   keyferry runs resume {migration}',
  }),
  'run.cancelled': entry<{ migration: string; by: string; since: string }>({
    retry: 'never',
    summary:
      '{migration} was cancelled by {by} at {since}; what was written before stays, and nothing is written any more',
    remedy: 'go back:        keyferry rollback {migration}\nor begin anew:  keyferry plan {migration} --out FILE',
  }),
  'run.not-found': entry<{ run: string }>({
    retry: 'never',
    summary: 'there is no run {run}, and no migration of that name',
    remedy: 'list them:   keyferry runs list',
  }),
  'dead-letters.over-budget': entry<{ migration: string; letters: number; deadLettersMax: number }>({
    retry: 'never',
    summary:
      '{migration} was stopped at a checkpoint: {letters} records of this run became dead letters, and deadLettersMax is {deadLettersMax}',
    remedy:
      'see them:         keyferry runs show {migration} --dead-letters\ntry them again:   keyferry runs retry {migration}',
  }),
  'state.newer': entry<{ where: string; found: string; known: string }>({
    retry: 'never',
    summary: 'the state in {where} was written by a newer keyferry (format {found}, this one knows {known})',
    remedy: 'use the newer keyferry',
  }),
  'state.not-empty': entry<{ migration: string; what: string }>({
    retry: 'never',
    summary: 'the state already holds {what} of {migration}; nothing was overwritten',
    remedy: 'look at it:        keyferry state show {migration}\nor throw it away:  keyferry state forget {migration}',
  }),
  'state.unknown-migration': entry<{ migration: string; known: readonly string[] }>({
    retry: 'never',
    summary: 'the state holds nothing of {migration}',
    remedy: 'list what it holds:   keyferry state list',
  }),
  'state.document-invalid': entry<{ file: string; line: number; detail: string }>({
    retry: 'never',
    summary: 'line {line} of {file} is not part of an exported state: {detail}; nothing was imported',
    remedy: 'export it again:   keyferry state export MIGRATION --out FILE',
  }),
  'state.nothing-to-adopt': entry<{ migration: string }>({
    retry: 'never',
    summary: 'the target knows nothing of {migration}: no attempt was ever begun there, so there is nothing to adopt',
    remedy: 'check that it is the right target, then begin:   keyferry plan {migration}',
  }),
  'forget.unaccepted': entry<{ migration: string; findings: readonly string[]; lost: readonly string[] }>({
    retry: 'never',
    summary: 'forgetting {migration} now loses more than its history; nothing was removed',
    remedy: 'if that is what you want, name it:   keyferry state forget {migration} --accept CODE',
  }),
  'run.unknown': entry<{ run: string }>({
    retry: 'never',
    summary: 'the state knows no run {run}',
    remedy: 'list the runs of a migration:   keyferry state show MIGRATION',
  }),
  'state.busy': entry<{ where: string }>({
    retry: 'backoff',
    summary: 'the state in {where} is locked by another process',
    remedy: 'run the command again',
  }),
  'state.conflict': entry<{ what: string }>({
    retry: 'restart',
    summary: '{what} was changed by another process at the same time',
    remedy: 'run the command again',
  }),
  'state.unusable': entry<{ where: string; detail: string }>({
    retry: 'never',
    summary: 'the state in {where} cannot be used: {detail}',
    remedy: 'check the path and its permissions (state: in the configuration)',
  }),
  'state.table-missing': entry<{ where: string }>({
    retry: 'never',
    summary: 'the state has no table: there is no {where}',
    remedy: 'make it:   keyferry state create-table\nor correct table and region (state: in the configuration)',
  }),
  'state.throttled': entry<StateDetails>({
    retry: 'backoff',
    summary: 'the state in {where} takes no more requests for now: {detail}',
    remedy: 'run the command again to go on; if it repeats, raise what the table may take',
  }),
  'state.unreachable': entry<StateDetails>({
    retry: 'backoff',
    summary: 'the state in {where} cannot be reached: {detail}',
    remedy: 'check the network, the region and the endpoint (state: in the configuration), then run the command again',
  }),
  'state.denied': entry<StateDetails>({
    retry: 'never',
    summary: 'the state in {where} is not open to these credentials: {detail}',
    remedy: 'check which credentials the AWS SDK finds, and what they may do (docs/operations/shared-state.md)',
  }),
  ...storeCodes,
  ...registryCodes,
  'file.unreadable': entry<{ file: string; detail: string }>({
    retry: 'never',
    summary: '{file} cannot be read: {detail}',
    remedy: 'check the path and its permissions',
  }),
  'file.unwritable': entry<{ file: string; detail: string }>({
    retry: 'never',
    summary: '{file} cannot be written: {detail}',
    remedy: 'check the path, its permissions and the space on its disk',
  }),
  'scratch.unusable': entry<{ folder: string; detail: string }>({
    retry: 'never',
    summary: 'records cannot be sorted in {folder}: {detail}',
    remedy:
      'make room there for twice what is read, or name another folder, then run the command again:   export TMPDIR=FOLDER',
  }),
  'target.exists': entry<{ store: string; what: string }>({
    retry: 'never',
    summary: '{what} is there already, and store {store} is written once; nothing was replaced',
    remedy: 'move it away or name another path, then run the command again',
  }),
  'file.record-invalid': entry<{ file: string; line: number; detail: string }>({
    retry: 'never',
    summary: 'line {line} of {file} is not a record: {detail}; nothing was written',
    remedy: 'correct the line, or leave it out with its reason recorded elsewhere',
  }),
  'datadir.not-found': entry<{ directory: string; detail: string }>({
    retry: 'never',
    summary: '{directory} is not the data directory of an etcd member: {detail}',
    remedy: "name what the member's --data-dir names, or a copy of it; look at one with:   keyferry inspect PATH",
  }),
  'datadir.in-use': entry<{ directory: string; detail: string }>({
    retry: 'never',
    summary: 'an etcd server is at work on {directory}: {detail}; nothing was written',
    remedy:
      'stop the member, or read a copy of its directory:   ETCDCTL_API=2 etcdctl backup --data-dir DIR --backup-dir COPY\n' +
      'with etcd 3.5 that is:   etcdutl backup --with-v3=false --data-dir DIR --backup-dir COPY\n' +
      'to read it while it runs, use a store of kind etcd-v2',
  }),
  'datadir.damaged': entry<{ file: string; offset: number; detail: string }>({
    retry: 'never',
    summary: '{file} is damaged at byte {offset}: {detail}; nothing was written',
    remedy:
      "read another member's directory, or a backup\n" +
      'to take what is whole before it, and lose what came after, say in the store:   upTo: last-good',
  }),
  'datadir.incomplete': entry<{ directory: string; detail: string }>({
    retry: 'never',
    summary: 'the files in {directory} do not fit together: {detail}; nothing was written',
    remedy: "copy the whole directory of a stopped member (and its --wal-dir), or read another member's",
  }),
  'snapshot.damaged': entry<{ file: string; offset: number; detail: string }>({
    retry: 'never',
    summary: '{file} is not a whole snapshot of etcd v3: at byte {offset}: {detail}; nothing was written',
    remedy:
      'copy it again from where it was made, or take another one:   etcdctl snapshot save FILE\n' +
      'a copy of member/snap/db is no snapshot: it lacks the digest at its end',
  }),
  'datadir.other-cluster': entry<{ directory: string; cluster: string; other: string }>({
    retry: 'never',
    summary: '{directory} is of cluster {cluster}, and the first one is of cluster {other}; nothing was written',
    remedy: 'name directories of one cluster; what one is of says   keyferry inspect PATH',
  }),
  'datadir.member-twice': entry<{ member: string; other: string; detail: string }>({
    retry: 'never',
    summary: '{member} and {other} are one member of the cluster, named twice: {detail}; nothing was written',
    remedy: 'name each member once, by its own directory or URL; which member one is says   keyferry inspect PATH',
  }),
  'backup.failed': entry<{ store: string; detail: string }>({
    retry: 'never',
    summary: 'the backup of store {store} could not be made: {detail}; nothing was written to the target',
    remedy: 'see to space and rights of the directory (backup: in the migration), then run the command again',
  }),
  'capability.missing': entry<{ store: string; capability: string; strategy: string }>({
    retry: 'never',
    summary: 'store {store} cannot do {capability}, which strategy {strategy} needs',
    remedy: 'choose another strategy or store; see:   keyferry adapters list',
  }),
  'code.unknown': entry<{ code: string; suggestion: string | null }>({
    retry: 'never',
    summary: 'there is no code {code}',
    remedy: 'list them:   keyferry explain',
  }),
  'internal.invariant': entry<{ what: string }>({
    retry: 'never',
    summary: 'keyferry met a state that it holds to be impossible: {what}',
    remedy: 'stop, keep the log file and report it; nothing further was written',
  }),
} as const;

export type { RetryClass } from './entry.ts';
export type Code = keyof typeof codes;
export type DetailsOf<C extends Code> = NonNullable<(typeof codes)[C]['details']>;

/** The facts that come with each code, for schemas and reference pages. */
export type DetailsTable = { readonly [C in Code]: DetailsOf<C> };
