/**
 * All commands by id, each loaded when it is asked for: an explicit table, so that nothing need search folders at a start, and
 * functions, so that a start loads the one command that runs.
 */
import type { Command } from '@oclif/core';

export type CommandLoader = () => Promise<{ readonly default: Command.Class }>;

export const commandLoaders = {
  'adapters:describe': () => import('./commands/adapters/describe.ts'),
  'adapters:list': () => import('./commands/adapters/list.ts'),
  apply: () => import('./commands/apply.ts'),
  cutover: () => import('./commands/cutover.ts'),
  doctor: () => import('./commands/doctor.ts'),
  explain: () => import('./commands/explain.ts'),
  finalize: () => import('./commands/finalize.ts'),
  init: () => import('./commands/init.ts'),
  inspect: () => import('./commands/inspect.ts'),
  'lambda:invoke': () => import('./commands/lambda/invoke.ts'),
  'lambda:package': () => import('./commands/lambda/package.ts'),
  'lambda:serve': () => import('./commands/lambda/serve.ts'),
  'locks:break': () => import('./commands/locks/break.ts'),
  'locks:list': () => import('./commands/locks/list.ts'),
  'locks:show': () => import('./commands/locks/show.ts'),
  plan: () => import('./commands/plan.ts'),
  reconcile: () => import('./commands/reconcile.ts'),
  rehearse: () => import('./commands/rehearse.ts'),
  report: () => import('./commands/report.ts'),
  rollback: () => import('./commands/rollback.ts'),
  'runs:cancel': () => import('./commands/runs/cancel.ts'),
  'runs:list': () => import('./commands/runs/list.ts'),
  'runs:pause': () => import('./commands/runs/pause.ts'),
  'runs:resume': () => import('./commands/runs/resume.ts'),
  'runs:retry': () => import('./commands/runs/retry.ts'),
  'runs:show': () => import('./commands/runs/show.ts'),
  'runs:throttle': () => import('./commands/runs/throttle.ts'),
  schema: () => import('./commands/schema.ts'),
  show: () => import('./commands/show.ts'),
  'state:adopt': () => import('./commands/state/adopt.ts'),
  'state:create-table': () => import('./commands/state/create-table.ts'),
  'state:export': () => import('./commands/state/export.ts'),
  'state:forget': () => import('./commands/state/forget.ts'),
  'state:history': () => import('./commands/state/history.ts'),
  'state:import': () => import('./commands/state/import.ts'),
  'state:list': () => import('./commands/state/list.ts'),
  'state:show': () => import('./commands/state/show.ts'),
  'state:upgrade': () => import('./commands/state/upgrade.ts'),
  status: () => import('./commands/status.ts'),
  test: () => import('./commands/test.ts'),
  validate: () => import('./commands/validate.ts'),
  verify: () => import('./commands/verify.ts'),
} satisfies Readonly<Record<string, CommandLoader>>;
