/**
 * From whatever was thrown to the one error type, to the report that the error view renders, and out. What is not
 * coded is a bug: it is reported as one, with its stack, and never passed off as the user's mistake.
 *
 * The exit code is set before anything is shown, and what cannot be shown well is shown plainly: no failure on the way
 * out may hide the one that led here.
 */
import { readFileSync } from 'node:fs';
import { isKeyferryError, KeyferryError } from '@keyferry/core';
import type { CommandRun } from './command-run.ts';
import { hasFlag, stderrPalette, wantsJson } from './early-flags.ts';
import { exitCodeOf } from './exit-codes.ts';
import { isPromptEnd } from './prompt-end.ts';
import { usageError } from './usage-error.ts';
import { Output } from './terminal/output.ts';
import { errorHuman } from './views/error/human.ts';
import { errorJson } from './views/error/json.ts';
import type { ErrorReport } from './views/error/report.ts';

/** @param stopped what stopped the run, if anything did: a question ends with it too */
export function codedError(error: unknown, migration: string, stopped: string | null = null): KeyferryError {
  if (error instanceof KeyferryError) return error;
  if (isPromptEnd(error)) {
    return new KeyferryError('run.interrupted', { migration, signal: stopped ?? 'SIGINT' }, { cause: error });
  }
  // What `help NAME` and `NAME --help` say of a name that is none.
  const [, unknown] = /^Command (.+) not found\.$/.exec(error instanceof Error ? error.message : '') ?? [];
  if (unknown !== undefined)
    return usageError(`keyferry has no command ${unknown}`, 'list them:   keyferry help', error);
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new KeyferryError('internal.invariant', { what }, { cause: error });
}

/** @param run null when the failure came before it */
export function showFailure(
  run: CommandRun | null,
  error: KeyferryError,
  call: { readonly command: string; readonly argv: readonly string[] },
): void {
  const { argv } = call;
  process.exitCode = exitCodeOf(error);
  const output = run?.output ?? new Output(process.stdout, process.stderr);
  try {
    const flags = run?.call.flags;
    const report = reportOf(error, failedCall(run, call.command, argv));
    run?.progress.end();
    run?.event({
      type: 'error',
      level: 'error',
      message: error.message,
      data: { code: error.code, details: error.details },
      stack: stackText(error),
    });
    // One document is the promise: a run that ended has shown its own already.
    if ((flags?.json ?? wantsJson(argv)) && run?.hasEnded !== true) output.json(errorJson(report, run?.warnings ?? []));
    else output.note(errorHuman(report, run?.errorPalette ?? stderrPalette(argv)));
  } catch (inTheWay) {
    output.note(`Error ${error.code}: ${error.message}\n  and while this was told: ${String(inTheWay)}`);
  }
  run?.end(exitCodeOf(error), error.code);
}

/** @param run null when the failure came before it: then what the call said is all there is */
export function failedCall(run: CommandRun | null, command: string, argv: readonly string[]): FailedCall {
  const flags = run?.call.flags;
  return {
    command,
    argument: run?.call.argument ?? null,
    accept: flags?.accept ?? [],
    flags: flags?.reopen === true ? ['--reopen'] : [],
    verbose: flags?.verbose ?? hasFlag(argv, '--verbose', '-v'),
    logFile: flags?.['log-file'] ?? null,
    configFlag: run?.viewContext.configFlag ?? null,
  };
}

export interface FailedCall {
  readonly command: string;
  readonly argument: string | null;
  /** Codes that the call accepted by name. */
  readonly accept: readonly string[];
  /** Flags without which the call would be another one. */
  readonly flags?: readonly string[];
  readonly verbose: boolean;
  readonly logFile: string | null;
  readonly configFlag: string | null;
}

export function reportOf(error: KeyferryError, call: FailedCall): ErrorReport {
  const { command, argument, accept, flags = [], verbose, logFile, configFlag } = call;
  const showStack = verbose || error.code === 'internal.invariant';
  return {
    error,
    exitCode: exitCodeOf(error),
    command,
    argument,
    accept,
    flags,
    configText: fileWithIssues(error),
    stack: showStack ? stackText(error) : null,
    logFile,
    configFlag,
  };
}

function fileWithIssues(error: KeyferryError): string | null {
  const hasIssues = isKeyferryError(error, 'config.invalid') || isKeyferryError(error, 'fixtures.invalid');
  return hasIssues ? readText(error.details.file) : null;
}

const causesMax = 5;

/** The stack of an error and of what caused it. */
function stackText(error: unknown): string {
  const texts: string[] = [];
  let each: unknown = error;
  while (each instanceof Error && texts.length < causesMax) {
    texts.push(each.stack ?? each.message);
    each = each.cause;
  }
  return texts.join('\ncaused by ');
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // the error tells the place; the excerpt is a courtesy
  }
}
