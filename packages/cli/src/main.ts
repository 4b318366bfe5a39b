/**
 * Start and end of the program. Commands handle their own failures; what fails outside of one (a wrong command name,
 * a program that cannot load) takes the same form here.
 */
import { fileURLToPath } from 'node:url';
import { Errors, run, settings } from '@oclif/core';
import { KeyferryError } from '@keyferry/core';
import { hasFlag, stderrPalette, wantsJson } from './base-command.ts';
import { exitCodes } from './exit-codes.ts';
import { codedError, reportOf } from './failure.ts';
import { Output } from './terminal/output.ts';
import { errorHuman } from './views/error/human.ts';
import { errorJson } from './views/error/json.ts';

export async function main(argv: readonly string[]): Promise<void> {
  // A reader that closes the pipe (`| head`) must not end a run that writes.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  // A promise that nothing can settle any more would end the program in silence.
  const ranDry = (): void => {
    fail(new KeyferryError('internal.invariant', { what: 'work ended without a result' }), argv);
    process.exit();
  };
  process.once('beforeExit', ranDry);
  standWhereTheUserStands();
  settings.enableAutoTranspile = false;
  try {
    await run([...argv], { root: fileURLToPath(new URL('../..', import.meta.url)) });
  } catch (thrown) {
    fail(thrown, argv);
  }
  process.off('beforeExit', ranDry);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // Connections that a driver keeps open must not keep the program waiting.
  process.exit();
}

function fail(thrown: unknown, argv: readonly string[]): void {
  if (thrown instanceof Errors.ExitError) {
    process.exitCode = thrown.oclif.exit ?? exitCodes.failed;
    return;
  }
  const command = argv.find((arg) => !arg.startsWith('-')) ?? '';
  const call = { command, argument: null, verbose: hasFlag(argv, '--verbose', '-v'), logFile: null, configFlag: null };
  const report = reportOf(codedError(thrown, command), call);
  const output = new Output(process.stdout, process.stderr);
  if (wantsJson(argv)) output.json(errorJson(report, []));
  else output.note(errorHuman(report, stderrPalette(argv)));
  process.exitCode = report.exitCode;
}

/**
 * `npm run keyferry` starts in the root of the checkout and tells the user's own folder in INIT_CWD. Only then: the
 * variable is inherited by everything below any npm script, where the current folder is the one that is meant.
 */
function standWhereTheUserStands(): void {
  const { INIT_CWD: folder, npm_lifecycle_event: script, npm_package_name: workspace } = process.env;
  if (folder !== undefined && script === 'keyferry' && workspace === 'keyferry-workspace') process.chdir(folder);
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write('', () => resolve());
  });
