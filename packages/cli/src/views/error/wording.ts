/**
 * Words around an error that core's table cannot know: why it matters, and the fix as the command that this user would
 * type, with the file or migration of this call in place of FILE.
 */
import { isKeyferryError, shellWord, type Code, type KeyferryError } from '@keyferry/core';
import { isPromptEnd } from '../../prompt-end.ts';
import type { ErrorReport } from './report.ts';

export const whys: Partial<Readonly<Record<Code, string>>> = {
  'lease.elsewhere': 'one host at a time may work on a migration, whatever state it has; nothing was written',
  'lease.unfinished': 'what one host could not finish is not tried by the next one unasked',
  'lease.held': 'one run at a time may write a migration; nothing was written',
  'lease.lost': 'another run may write now; what this one wrote stays, and its chunks go on there',
  'plan.stale': 'a plan is applied exactly as it was reviewed, or not at all',
  'program.failed': 'a part of what a program makes cannot be told from the whole of it',
  'program.unsteady': 'what is written would be something else than what was reviewed',
  'plan.expired': 'the longer a plan waits, the less it is what its reviewer saw',
  'plan.mismatch': 'its reviewer approved what another configuration would do',
  'migration.finalized': 'finalize is the point of no return: what told its records from others is gone',
  'forget.unaccepted': 'the state is what lets a migration go on, or back; the target alone does not say all of it',
  'state.not-empty': 'two states of one migration would each think that they are the only one',
  'finalize.not-proven': 'a done marker tells everybody that both sides agree, so that they have to when it is written',
  'barrier.timed-out': 'one instance that still writes where the others no longer read would lose what it writes',
  'source.stray-write': 'nobody would ever see those writes again once the application reads the target alone',
  'cutover.not-proven': 'what is not in the target would be gone for the application',
  'switch.other-migration': 'instances would follow the modes of another migration',
  'apply.failed-before':
    'what the target refuses for good is not tried again each time that something restarts; until then the source is in charge',
  'plan.refused-before':
    'what cannot succeed is not tried again each time that something restarts; a plan made by itself always reads anew',
  'plan.unaccepted': 'these warnings change what the data means, so that a person has to decide',
  'approval.required': 'nobody could be asked here, or the name that was typed is another one',
  'run.paused': 'whoever paused it wants nothing to be written until somebody resumes it',
  'run.cancelled': 'a cancelled attempt never goes on; what it wrote is known and can be taken back',
  'dead-letters.over-budget': 'so many records that the target refuses have one cause more often than many',
  'config.plaintext-secret': 'files like this one are shared and kept in version control',
  'fence.unreadable': 'writing on would not be safe while something else writes there',
  'datadir.in-use': 'what the server writes next would be missing from what is read',
  'datadir.damaged': 'records behind a damaged one cannot be told from ones that never were',
  'snapshot.damaged': 'etcd itself refuses to restore a file whose digest does not match',
  'internal.invariant': 'after this no statement of keyferry about the data can be trusted',
};

const writes = ['apply', 'cutover', 'rollback', 'finalize', 'reconcile', 'runs retry'];
const readingCommands = [
  'plan',
  'show',
  'verify',
  'status',
  'validate',
  'doctor',
  'explain',
  'inspect',
  'test',
  'locks list',
  'locks show',
  'report',
  'state list',
  'state show',
  'state history',
  'state export',
  'runs list',
  'runs show',
];

export function summaryOf({ error, command }: ErrorReport): string {
  if (isPromptEnd(error.cause)) return `keyferry ${command} was stopped before it was approved; nothing was written`;
  if (error.code === 'run.interrupted' && readingCommands.includes(command)) {
    return `keyferry ${command} was stopped by ${signalOf(error)}; nothing was written`;
  }
  return error.message;
}

/** The remedy, one command or sentence a line. */
export function fixLines(report: ErrorReport): readonly string[] {
  const { error, command, argument, accept } = report;
  if (error.code === 'run.interrupted') {
    const nothingDone = readingCommands.includes(command) || isPromptEnd(error.cause);
    return [`${nothingDone ? 'run it again' : 'go on'}:   ${sameCall(report, accept)}`];
  }
  if (error.code === 'approval.required') return [`approve it:   ${sameCall(report, accept)} --yes`];
  const planFile = argument?.endsWith('.kfplan') === true ? shellWord(argument) : 'FILE';
  return remedyOf(error)
    .replaceAll('--accept CODE', acceptFlags(codesOf(error)))
    .replaceAll('keyferry apply FILE', writes.includes(command) ? sameCall(report, accept) : 'keyferry apply FILE')
    .replaceAll('--out FILE', `--out ${planFile}`)
    .split('\n');
}

/** This call once more, with the findings that it accepts. */
function sameCall({ command, argument, flags = [] }: ErrorReport, accept: readonly string[]): string {
  return ['keyferry', command, ...(argument === null ? [] : [shellWord(argument)]), ...flags, acceptFlags(accept)]
    .filter((word) => word !== '')
    .join(' ');
}

/** A file's name within a command may need quotes. */
function remedyOf(error: KeyferryError): string {
  if (!isKeyferryError(error, 'config.invalid')) return error.remedy;
  const { file } = error.details;
  return error.remedy.replaceAll(`--config ${file}`, `--config ${shellWord(file)}`);
}

const codesOf = (error: KeyferryError): readonly string[] =>
  (error.details as { readonly findings?: readonly string[] }).findings ?? ['CODE'];

const acceptFlags = (codes: readonly string[]): string => codes.map((code) => `--accept ${code}`).join(' ');

const signalOf = (error: KeyferryError): string => (error.details as { readonly signal?: string }).signal ?? 'a signal';
