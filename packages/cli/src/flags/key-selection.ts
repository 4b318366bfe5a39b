/** Which keys of a migration a plan is about; globs see target keys, as the plan shows them. */
import { Flags } from '@oclif/core';
import type { KeySelection } from '@keyferry/core';
import { usageError } from '../usage-error.ts';

const globs = (name: string, summary: string) =>
  Flags.string({
    summary,
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'GLOB',
    parse: (glob) => {
      if (glob !== '') return Promise.resolve(glob);
      throw usageError(`--${name} needs a glob, and it is empty`, `for example:   --${name} '/config/routes/**'`);
    },
  });

export const onlyFlag = globs('only', 'Plan only keys that match, as they will be in the target; may be repeated.');
export const excludeFlag = globs('exclude', 'Leave out keys that match; may be repeated.');

export function selectionOf({
  only = [],
  exclude = [],
}: {
  readonly only?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
}): KeySelection | null {
  return only.length === 0 && exclude.length === 0 ? null : { only, exclude };
}
