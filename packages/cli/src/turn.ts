/** The turn of a command: whatever writes to a target that keeps locks does so while it holds the migration's there. */
import type { RunOptions, TurnsBefore } from '@keyferry/engine';
import type { Outcome } from './base-command.ts';
import type { CommandRun } from './command-run.ts';
import { exitCodes } from './exit-codes.ts';
import { loadEngine, runOptions, type Wired } from './wiring.ts';

/** Whoever follows gives way within a moment; so a command waits for that, unless told how long. */
const giveWayMs = 60_000;

export interface CommandTurn {
  readonly options: RunOptions;
  readonly before: TurnsBefore;
}

/** @throws {KeyferryError} `lease.elsewhere` */
export async function inTurn<T>(
  run: CommandRun,
  { engine, spec }: Pick<Wired, 'engine' | 'spec'>,
  lockTimeoutMs: number | undefined,
  work: (turn: CommandTurn) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const { withTurn } = await loadEngine();
  return await withTurn(
    engine,
    spec,
    runOptions(run, lockTimeoutMs ?? 0),
    (options, before) => work({ options, before }),
    ({ exitCode }) => (exitCode === exitCodes.done ? 'done' : `exit code ${exitCode}`),
  );
}

/**
 * The turn of a command that ends or turns round a replication: whoever follows holds the turn for as long as it runs, so
 * it is asked to give way first.
 * @throws {KeyferryError} `lease.elsewhere`
 */
export async function inTurnOfFollowers<T>(
  run: CommandRun,
  wired: Pick<Wired, 'engine' | 'spec'>,
  lockTimeoutMs: number | undefined,
  work: (turn: CommandTurn) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const { engine, spec } = wired;
  if (spec.strategy !== 'replicate') return await inTurn(run, wired, lockTimeoutMs, work);
  const { whileOthersGiveWay } = await loadEngine();
  const { holder } = runOptions(run, 0);
  return await whileOthersGiveWay(engine, spec.migration, holder, () =>
    inTurn(run, wired, lockTimeoutMs ?? giveWayMs, work),
  );
}
