/** One migration, or all of them: for commands that work on both. */
import { Flags } from '@oclif/core';

export const allFlag = Flags.boolean({
  summary: 'Every migration of the configuration, in the order that `after` asks for.',
  default: false,
});
