/** For scripts that want to tell "nothing to do" from "done": exit 2 where changes or differences exist. */
import { Flags } from '@oclif/core';

export const detailedExitcodeFlag = Flags.boolean({
  summary: 'Exit 2 when there are changes or differences.',
  env: 'KEYFERRY_DETAILED_EXITCODE',
});
