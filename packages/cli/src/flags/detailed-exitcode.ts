/** For scripts that want to tell "nothing to do" from "done": exit 2 where changes or differences exist. */
import { Flags } from '@oclif/core';

const env = 'KEYFERRY_DETAILED_EXITCODE';

export const detailedExitcodeFlag = Flags.boolean({ summary: 'Exit 2 when there are changes or differences.', env });

/** Of `status`, which knows of no keys: a migration that was begun and neither proven nor rolled back. */
export const unfinishedExitcodeFlag = Flags.boolean({ summary: 'Exit 2 when a migration is unfinished.', env });
