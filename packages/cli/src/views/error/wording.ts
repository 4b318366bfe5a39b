/**
 * Words around an error that core's table cannot know: why it matters, and the fix as the command that this user would
 * type, with the file or migration of this call in place of FILE.
 */
import type { Code, KeyferryError } from '@keyferry/core';
import { isPromptEnd } from '../../prompt-end.ts';
import type { ErrorReport } from './report.ts';

export const whys: Partial<Readonly<Record<Code, string>>> = {
  'lease.held': 'one run at a time may write a migration; nothing was written',
  'lease.lost': 'another run may write now; what this one wrote stays, and its chunks go on there',
  'plan.stale': 'a plan is applied exactly as it was reviewed, or not at all',
  'plan.expired': 'the longer a plan waits, the less it is what its reviewer saw',
  'plan.mismatch': 'its reviewer approved what another configuration would do',
  'plan.unaccepted': 'these warnings change what the data means, so that a person has to decide',
  'approval.required': 'nobody could be asked here, or the name that was typed is another one',
  'config.plaintext-secret': 'files like this one are shared and kept in version control',
  'fence.unreadable': 'writing on would not be safe while something else writes there',
  'internal.invariant': 'after this no statement of keyferry about the data can be trusted',
};

const writes = ['apply', 'rollback'];
const readingCommands = ['plan', 'show', 'verify', 'status', 'validate', 'explain', 'locks list', 'locks show'];

export function summaryOf({ error, command }: ErrorReport): string {
  if (isPromptEnd(error.cause)) return `keyferry ${command} was stopped before it was approved; nothing was written`;
  if (error.code === 'run.interrupted' && readingCommands.includes(command)) {
    return `keyferry ${command} was stopped by ${signalOf(error)}; nothing was written`;
  }
  return error.message;
}

/** The remedy, one command or sentence a line. */
export function fixLines({ error, command, argument }: ErrorReport): readonly string[] {
  const subject = argument ?? 'FILE';
  if (error.code === 'run.interrupted') {
    const again = ['keyferry', command, ...(argument === null ? [] : [argument])].join(' ');
    const nothingDone = readingCommands.includes(command) || isPromptEnd(error.cause);
    return [`${nothingDone ? 'run it again' : 'go on'}:   ${again}`];
  }
  if (error.code === 'approval.required') return [`approve it:   keyferry ${command} ${subject} --yes`];
  const planFile = subject.endsWith('.kfplan') ? subject : 'FILE';
  return error.remedy
    .replaceAll('--accept CODE', acceptFlags(error))
    .replaceAll(
      'keyferry apply FILE',
      `keyferry ${command === 'rollback' ? command : 'apply'} ${writes.includes(command) ? subject : 'FILE'}`,
    )
    .replaceAll('--out FILE', `--out ${planFile}`)
    .split('\n');
}

function acceptFlags(error: KeyferryError): string {
  const { findings } = error.details as { readonly findings?: readonly string[] };
  return (findings ?? ['CODE']).map((code) => `--accept ${code}`).join(' ');
}

const signalOf = (error: KeyferryError): string => (error.details as { readonly signal?: string }).signal ?? 'a signal';
