/**
 * What all commands share: flags that are everywhere, one way to run, one way to fail.
 *
 * oclif's own ways out are not used: its error printing ends in stack traces and help texts, and its JSON error prints
 * the whole configuration of the program, environment-fed flags included. So `catch` never lets an error through.
 */
import { Command, Errors } from '@oclif/core';
import { isKeyferryError, KeyferryError } from '@keyferry/core';
import { CommandRun, type CallFlags } from './command-run.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { codedError, showFailure } from './failure.ts';
import { outputFlags } from './flags/output.ts';
import { fromParserError, isAboutFlag, usageError } from './usage-error.ts';
import type { AllResult } from './views/all/index.ts';
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
    flags: CallFlags,
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

  /** On one migration, or, with --all, on each. @throws {KeyferryError} `usage.invalid` without either, or with both */
  protected async performOn<T>(
    flags: CallFlags & { readonly all: boolean },
    migration: string | undefined,
    work: (run: CommandRun, migration: string) => Promise<Outcome<T>>,
  ): Promise<void> {
    if (flags.all === (migration !== undefined)) {
      const what = flags.all ? 'a migration and --all are two different things' : 'MIGRATION is missing';
      throw usageError(what, `one:   keyferry ${this.name} NAME\nall:   keyferry ${this.name} --all`);
    }
    if (migration !== undefined) {
      await this.perform<T>(flags, migration, (run) => work(run, migration));
      return;
    }
    await this.perform<AllResult>(flags, null, async (run) => {
      const { onAllMigrations } = await import('./all-migrations.ts');
      return await onAllMigrations(run, (each) => work(run, each));
    });
  }

  protected override async catch(thrown: Error): Promise<void> {
    // `--help` and `--version` of oclif end this way, with nothing wrong.
    if (thrown instanceof Errors.ExitError && thrown.oclif.exit === 0) throw thrown;
    this.parsed = true;
    const { current, argv } = this;
    const error = codedError(
      await this.usageErrorOf(thrown).catch(() => thrown), // what failed is told, whatever else fails on the way
      current?.call.argument ?? this.name,
      current?.stopReason ?? null,
    );
    showFailure(current, error, { command: this.name, argv });
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
    const isOfParser = 'parse' in thrown || thrown.oclif?.exit === exitCodes.usage || isAboutFlag(thrown);
    if (!isOfParser) return thrown;
    const { nearest } = await import('@keyferry/adapters');
    const known = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags });
    return fromParserError(thrown, this.name, known, nearest);
  }
}
