/** All commands by id. An explicit table: oclif then need not search folders at every start. */
import AdaptersList from './commands/adapters/list.ts';
import Apply from './commands/apply.ts';
import Doctor from './commands/doctor.ts';
import Explain from './commands/explain.ts';
import Init from './commands/init.ts';
import Inspect from './commands/inspect.ts';
import LocksBreak from './commands/locks/break.ts';
import LocksList from './commands/locks/list.ts';
import LocksShow from './commands/locks/show.ts';
import Plan from './commands/plan.ts';
import Rollback from './commands/rollback.ts';
import SchemaConfig from './commands/schema/config.ts';
import Show from './commands/show.ts';
import Status from './commands/status.ts';
import Validate from './commands/validate.ts';
import Verify from './commands/verify.ts';

export default {
  'adapters:list': AdaptersList,
  apply: Apply,
  doctor: Doctor,
  explain: Explain,
  init: Init,
  inspect: Inspect,
  'locks:break': LocksBreak,
  'locks:list': LocksList,
  'locks:show': LocksShow,
  plan: Plan,
  rollback: Rollback,
  'schema:config': SchemaConfig,
  show: Show,
  status: Status,
  validate: Validate,
  verify: Verify,
};
