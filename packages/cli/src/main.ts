/**
 * Start and end of the program. Commands handle their own failures; what fails outside of one (a wrong command name,
 * a program that cannot load) takes the same form here.
 */
import { fileURLToPath } from 'node:url';
import { Command, Errors, run, settings } from '@oclif/core';
import { invariant, KeyferryError } from '@keyferry/core';
import { CommandRun } from './command-run.ts';
import { exitCodes } from './exit-codes.ts';
import { codedError, showFailure } from './failure.ts';
import { withoutSilenced } from './terminal/node-warnings.ts';
import { holdYoungIfGrown } from './heap-generations.ts';

/** @param runCommand finds the command and runs it; of an installed package, from its files */
export async function main(argv: readonly string[], runCommand = runInstalled): Promise<void> {
  holdYoungIfGrown();
  process.emitWarning = withoutSilenced(process.emitWarning.bind(process));
  const resultLost = watchStreams();
  const bug = (thrown: unknown): void => {
    fail(thrown, argv);
    process.exit();
  };
  process.once('uncaughtException', bug);
  // A promise that nothing can settle any more would end the program in silence.
  const ranDry = (): void => {
    bug(new KeyferryError('internal.invariant', { what: 'work ended without a result' }));
  };
  process.once('beforeExit', ranDry);
  standWhereTheUserStands();
  settings.enableAutoTranspile = false;
  try {
    await runCommand(argv);
  } catch (thrown) {
    fail(thrown, argv);
  }
  process.off('beforeExit', ranDry);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  if (resultLost()) process.exitCode ||= exitCodes.failed;
  // Connections that a driver keeps open must not keep the program waiting.
  process.exit();
}

async function runInstalled(argv: readonly string[]): Promise<void> {
  await run([...argv], { root: fileURLToPath(new URL('../..', import.meta.url)) });
}

function fail(thrown: unknown, argv: readonly string[]): void {
  if (thrown instanceof Errors.ExitError) {
    process.exitCode = thrown.oclif.exit ?? exitCodes.failed;
    return;
  }
  const { latest } = CommandRun;
  const command = latest?.call.command ?? argv.find((arg) => !arg.startsWith('-')) ?? '';
  showFailure(latest, codedError(thrown, command, latest?.stopReason ?? null), { command, argv });
}

/**
 * `npm run keyferry` starts in the root of the checkout and tells the user's own folder in INIT_CWD. Only then: the
 * variable is inherited by everything below any npm script, where the current folder is the one that is meant.
 */
function standWhereTheUserStands(): void {
  const { INIT_CWD: folder, npm_lifecycle_event: script, npm_package_name: workspace } = process.env;
  if (folder !== undefined && script === 'keyferry' && workspace === 'keyferry-workspace') process.chdir(folder);
}

/**
 * Neither stream may end a run that writes: a reader that closes the pipe (`| head`) is no failure, and a full disk
 * behind stdout is one only when everything is done. An event stream on stdout listens for itself.
 * @returns whether the result could not be written
 */
function watchStreams(): () => boolean {
  let lost = false;
  // oclif's own listener comes as its Command is loaded, and throws, which would end a run between two writes.
  invariant(typeof Command === 'function', 'commands are classes');
  process.stdout.removeAllListeners('error');
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (lost || error.code === 'EPIPE' || process.stdout.listenerCount('error') > 1) return;
    lost = true;
    process.stderr.write(`Error: the result cannot be written to stdout (${error.message})\n`);
  });
  process.stderr.on('error', () => undefined); // nowhere is left to say it
  return () => lost;
}

const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write('', () => resolve());
  });
