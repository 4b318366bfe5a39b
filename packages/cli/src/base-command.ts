/**
 * What all commands share: flags that are everywhere, one way to run, one way to fail.
 *
 * oclif's own ways out are not used: its error printing ends in stack traces and help texts, and its JSON error prints
 * the whole configuration of the program, environment-fed flags included. So `catch` never lets an error through.
 */
import { Command, Errors } from '@oclif/core';
import { isKeyferryError, KeyferryError } from '@keyferry/core';
import { CommandRun } from './command-run.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { codedError, reportOf, stackText } from './failure.ts';
import { outputFlags, type OutputFlags } from './flags/output.ts';
import { Output } from './terminal/output.ts';
import { choosePalette } from './terminal/palette.ts';
import { fromParserError, usageError } from './usage-error.ts';
import { errorHuman } from './views/error/human.ts';
import { errorJson } from './views/error/json.ts';
import type { View } from './views/view.ts';

export interface Outcome<T> {
  readonly result: T;
  readonly view: View<T>;
  readonly exitCode: ExitCode;
}

export abstract class BaseCommand extends Command {
  static override readonly baseFlags = outputFlags;

  private current: CommandRun | null = null;

  /** `locks break` */
  private get name(): string {
    return (this.id ?? '').replaceAll(':', ' ');
  }

  /** Runs the command's work and shows its outcome. Errors go through `catch`. */
  protected async perform<T>(
    flags: OutputFlags,
    argument: string | null,
    work: (run: CommandRun) => Promise<Outcome<T>>,
  ): Promise<void> {
    const run = await CommandRun.start({ command: this.name, argument, flags });
    this.current = run;
    const { result, view, exitCode } = await work(run);
    run.progress.end();
    if (flags.json) run.output.json(view.json(result, run.warnings));
    else run.output.result(view.human(result, run.viewContext));
    run.end(exitCode, null);
    process.exitCode = exitCode;
  }

  protected override async catch(thrown: Error): Promise<void> {
    // `--help` and `--version` of oclif end this way, with nothing wrong.
    if (thrown instanceof Errors.ExitError && thrown.oclif.exit === 0) throw thrown;
    this.parsed = true;
    const { current, argv } = this;
    const flags = current?.call.flags;
    const argument = current?.call.argument ?? null;
    const error = codedError(await this.usageErrorOf(thrown), argument ?? this.name);
    const report = reportOf(error, {
      command: this.name,
      argument,
      verbose: flags?.verbose ?? hasFlag(argv, '--verbose', '-v'),
      logFile: flags?.['log-file'] ?? null,
      configFlag: current?.viewContext.configFlag ?? null,
    });
    current?.progress.end();
    current?.event({
      type: 'error',
      level: 'error',
      message: error.message,
      data: { code: error.code, details: error.details },
      stack: stackText(error),
    });

    const output = current?.output ?? new Output(process.stdout, process.stderr);
    if (flags?.json ?? wantsJson(argv)) output.json(errorJson(report, current?.warnings ?? []));
    else output.note(errorHuman(report, current?.errorPalette ?? stderrPalette(argv)));
    current?.end(report.exitCode, error.code);
    process.exitCode = report.exitCode;
  }

  /** oclif's parser errors in our own words; anything else as it is. */
  private async usageErrorOf(thrown: Error & { oclif?: { exit?: number } }): Promise<Error> {
    // A flag's own complaint, which oclif has marked with the flag's name.
    if (thrown instanceof KeyferryError) {
      const flag = /^Parsing (--[\w-]+)/.exec(thrown.message)?.[1];
      return flag === undefined || !isKeyferryError(thrown, 'usage.invalid')
        ? thrown
        : usageError(`${flag} ${thrown.details.what}`, thrown.details.fix);
    }
    if (!('parse' in thrown) && thrown.oclif?.exit !== exitCodes.usage) return thrown;
    const { nearest } = await import('@keyferry/adapters');
    const known = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags });
    return fromParserError(thrown, this.name, known, nearest);
  }
}

/** Before or without parsing: was this flag given? What follows `--` is no flag. */
export function hasFlag(argv: readonly string[], ...names: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((arg) => names.includes(arg));
}

export function wantsJson(argv: readonly string[]): boolean {
  const { KEYFERRY_JSON: variable } = process.env;
  return hasFlag(argv, '--json') || variable === '1' || variable?.toLowerCase() === 'true';
}

export function stderrPalette(argv: readonly string[]) {
  const flag = hasFlag(argv, '--no-color') ? false : hasFlag(argv, '--color') ? true : undefined;
  return choosePalette({ flag, env: process.env, isTty: process.stderr.isTTY });
}
