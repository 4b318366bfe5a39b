/** All commands by id. An explicit table: oclif then need not search folders at every start. */
import AdaptersDescribe from './commands/adapters/describe.ts';
import AdaptersList from './commands/adapters/list.ts';
import Apply from './commands/apply.ts';
import Cutover from './commands/cutover.ts';
import Doctor from './commands/doctor.ts';
import Explain from './commands/explain.ts';
import Finalize from './commands/finalize.ts';
import Init from './commands/init.ts';
import Inspect from './commands/inspect.ts';
import LambdaInvoke from './commands/lambda/invoke.ts';
import LambdaPackage from './commands/lambda/package.ts';
import LambdaServe from './commands/lambda/serve.ts';
import LocksBreak from './commands/locks/break.ts';
import LocksList from './commands/locks/list.ts';
import LocksShow from './commands/locks/show.ts';
import Plan from './commands/plan.ts';
import Reconcile from './commands/reconcile.ts';
import Rehearse from './commands/rehearse.ts';
import Report from './commands/report.ts';
import Rollback from './commands/rollback.ts';
import RunsCancel from './commands/runs/cancel.ts';
import RunsList from './commands/runs/list.ts';
import RunsPause from './commands/runs/pause.ts';
import RunsResume from './commands/runs/resume.ts';
import RunsRetry from './commands/runs/retry.ts';
import RunsShow from './commands/runs/show.ts';
import RunsThrottle from './commands/runs/throttle.ts';
import Schema from './commands/schema.ts';
import Show from './commands/show.ts';
import StateAdopt from './commands/state/adopt.ts';
import StateCreateTable from './commands/state/create-table.ts';
import StateExport from './commands/state/export.ts';
import StateForget from './commands/state/forget.ts';
import StateHistory from './commands/state/history.ts';
import StateImport from './commands/state/import.ts';
import StateList from './commands/state/list.ts';
import StateShow from './commands/state/show.ts';
import StateUpgrade from './commands/state/upgrade.ts';
import Status from './commands/status.ts';
import Test from './commands/test.ts';
import Validate from './commands/validate.ts';
import Verify from './commands/verify.ts';

export default {
  'adapters:describe': AdaptersDescribe,
  'adapters:list': AdaptersList,
  apply: Apply,
  cutover: Cutover,
  doctor: Doctor,
  explain: Explain,
  finalize: Finalize,
  init: Init,
  inspect: Inspect,
  'lambda:invoke': LambdaInvoke,
  'lambda:package': LambdaPackage,
  'lambda:serve': LambdaServe,
  'locks:break': LocksBreak,
  'locks:list': LocksList,
  'locks:show': LocksShow,
  plan: Plan,
  reconcile: Reconcile,
  rehearse: Rehearse,
  report: Report,
  rollback: Rollback,
  'runs:cancel': RunsCancel,
  'runs:list': RunsList,
  'runs:pause': RunsPause,
  'runs:resume': RunsResume,
  'runs:retry': RunsRetry,
  'runs:show': RunsShow,
  'runs:throttle': RunsThrottle,
  schema: Schema,
  show: Show,
  'state:adopt': StateAdopt,
  'state:create-table': StateCreateTable,
  'state:export': StateExport,
  'state:forget': StateForget,
  'state:history': StateHistory,
  'state:import': StateImport,
  'state:list': StateList,
  'state:show': StateShow,
  'state:upgrade': StateUpgrade,
  status: Status,
  test: Test,
  validate: Validate,
  verify: Verify,
};
