/**
 * One command on every migration of a configuration, one after another, in the order that `after` asks for. One that fails
 * holds back those that come after it, and no others; what each came to is shown when it is known.
 */
import { KeyferryError, migrationOrder, type MigrationId, type Phase } from '@keyferry/core';
import type { Outcome } from './base-command.ts';
import type { CommandRun } from './command-run.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { codedError, failedCall, reportOf } from './failure.ts';
import { errorHuman } from './views/error/human.ts';
import { errorJson } from './views/error/json.ts';
import { allView, type AllResult, type MigrationEnd } from './views/all/index.ts';
import { loadEngine, openConfig, withMigration, withState } from './wiring.ts';

export async function onAllMigrations<T>(
  run: CommandRun,
  work: (migration: string) => Promise<Outcome<T>>,
): Promise<Outcome<AllResult>> {
  const { config } = await openConfig(run);
  const after = Object.fromEntries(Object.entries(config.migrations).map(([name, each]) => [name, each.after]));
  const ends = new Map<string, MigrationEnd>();
  for (const migration of migrationOrder(after)) {
    const heldBackBy = (after[migration] ?? []).filter((before) => ends.get(before)?.exitCode !== exitCodes.done);
    const begins = heldBackBy.length === 0 && run.stopReason === null;
    const { exitCode, document } = begins ? await oneOf(run, migration, work) : notBegun;
    ends.set(migration, { migration: migration as MigrationId, exitCode, heldBackBy, document });
  }
  run.turnTo(null);
  const migrations = [...ends.values()];
  const failed = migrations.find(({ exitCode }) => exitCode !== null && exitCode !== exitCodes.done);
  const result: AllResult = { command: run.call.command, migrations };
  return { result, view: allView, exitCode: failed?.exitCode ?? exitCodes.done };
}

const notBegun = { exitCode: null, document: null };

async function oneOf<T>(
  run: CommandRun,
  migration: string,
  work: (migration: string) => Promise<Outcome<T>>,
): Promise<Pick<MigrationEnd, 'exitCode' | 'document'>> {
  run.turnTo(migration);
  const warned = run.warnings.length;
  const warningsOf = () => run.warnings.slice(warned);
  const { json } = run.call.flags;
  if (!json) run.output.result(allView.heading(migration, run.viewContext));
  try {
    const { result, view, exitCode } = await work(migration);
    run.progress.pause();
    if (!json) run.output.result(view.human(result, run.viewContext));
    return { exitCode, document: view.json(result, warningsOf()) };
  } catch (thrown) {
    run.progress.pause();
    const error = codedError(thrown, migration, run.stopReason);
    const report = reportOf(error, failedCall(run, run.call.command, []));
    if (!json) run.output.note(errorHuman(report, run.errorPalette));
    return { exitCode: exitCodeOf(error), document: errorJson(report, warningsOf()) };
  }
}

const proven: ReadonlySet<Phase> = new Set<Phase>(['verified', 'finalized']);

/**
 * Those that the migration comes after are proven: by the state, or, for hosts that share none, by the done marker in their
 * target.
 * @param look whether targets can be asked from here
 * @throws {KeyferryError} `phase.out-of-order`
 */
export async function assertInOrder(run: CommandRun, migration: string, look: 'state' | 'targets'): Promise<void> {
  const { config } = await openConfig(run);
  const before = config.migrations[migration]?.after ?? [];
  if (before.length === 0) return;
  const { readDoneMarker, readStatus } = await loadEngine();
  for (const each of before) {
    const name = each as MigrationId;
    const { phase } = await withState(run, config, (env) => run.reading(readStatus(env, name)));
    if (proven.has(phase)) continue;
    const marker =
      look === 'state'
        ? null
        : await withMigration(run, each, ({ engine }) => run.reading(readDoneMarker(engine, name)));
    if (marker === null) throw new KeyferryError('phase.out-of-order', { migration, after: each, phase });
  }
}
