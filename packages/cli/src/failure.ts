/**
 * From whatever was thrown to the one error type, and from there to the report that the error view renders. What is
 * not coded is a bug: it is reported as one, with its stack, and never passed off as the user's mistake.
 */
import { readFileSync } from 'node:fs';
import { isKeyferryError, KeyferryError } from '@keyferry/core';
import { exitCodeOf } from './exit-codes.ts';
import { isPromptEnd } from './prompt-end.ts';
import type { ErrorReport } from './views/error/report.ts';

export function codedError(error: unknown, migration: string): KeyferryError {
  if (error instanceof KeyferryError) return error;
  if (isPromptEnd(error)) {
    return new KeyferryError('run.interrupted', { migration, signal: 'SIGINT' }, { cause: error });
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new KeyferryError('internal.invariant', { what }, { cause: error });
}

export interface FailedCall {
  readonly command: string;
  readonly argument: string | null;
  readonly verbose: boolean;
  readonly logFile: string | null;
  readonly configFlag: string | null;
}

export function reportOf(error: KeyferryError, call: FailedCall): ErrorReport {
  const { command, argument, verbose, logFile, configFlag } = call;
  const showStack = verbose || error.code === 'internal.invariant';
  return {
    error,
    exitCode: exitCodeOf(error),
    command,
    argument,
    configText: isKeyferryError(error, 'config.invalid') ? readText(error.details.file) : null,
    stack: showStack ? stackText(error) : null,
    logFile,
    configFlag,
  };
}

const causesMax = 5;

/** The stack of an error and of what caused it. */
export function stackText(error: unknown): string {
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
