/**
 * Flags of commands that write. Approval has no environment variable on purpose: a forgotten export must not approve
 * tomorrow's run.
 */
import { Flags } from '@oclif/core';
import { durationFlag } from './duration.ts';

export const yesFlag = Flags.boolean({ char: 'y', summary: 'Approve without being asked.' });

export const acceptFlag = Flags.string({
  summary: 'Accept one finding of the plan by its code; may be repeated.',
  multiple: true,
  multipleNonGreedy: true,
  helpValue: 'CODE',
});

export const confirmFlag = Flags.boolean({
  summary: 'Where a person is the switch: every writer has stopped.',
});

export const lockTimeoutFlag = durationFlag({
  summary: 'Wait this long for a lock that another run holds.',
  env: 'KEYFERRY_LOCK_TIMEOUT',
});
