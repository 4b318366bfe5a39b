import { Flags } from '@oclif/core';

export const confirmGoneFlag = Flags.string({
  summary:
    'Online: an instance that is dead for good, as `status` lists it; barriers then wait for it no longer. May be repeated.',
  multiple: true,
  multipleNonGreedy: true,
  helpValue: 'INSTANCE',
});
