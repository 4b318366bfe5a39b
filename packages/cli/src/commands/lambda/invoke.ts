import { Args, Flags } from '@oclif/core';
import { resolve } from 'node:path';
import { KeyferryError } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { functionTimeoutFlag, functionTimeoutMs } from '../../flags/functions.ts';
import { usageError } from '../../usage-error.ts';
import { invocationView, type ShownInvocation } from '../../views/lambda/invocation.ts';

export default class LambdaInvoke extends BaseCommand {
  static override readonly summary = 'Call one function of a bundle on this machine, as AWS Lambda would.';
  static override readonly description =
    'In a process of its own, fed through the Runtime API and killed at its timeout. Stores and state are those of the ' +
    'bundle; credentials are those of this environment. Its log lines go to stderr.';
  static override readonly examples = ['<%= config.bin %> lambda invoke functions/dispatch'];
  static override readonly args = {
    function: Args.string({ required: true, description: 'Folder of one function, as `lambda package` made it.' }),
  };
  static override readonly flags = {
    payload: Flags.string({ summary: 'The event, as JSON.', default: '{}', helpValue: 'JSON' }),
    'function-timeout': functionTimeoutFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LambdaInvoke);
    await this.perform<ShownInvocation>(flags, args.function, async (run) => {
      const event = parsePayload(flags.payload);
      const { Environment } = await import('@keyferry/lambda/local');
      const name = `keyferry-${args.function.split(/[/\\]/).filter(Boolean).at(-1) ?? 'function'}`;
      const environment = await Environment.start({
        name,
        folder: resolve(args.function),
        env: {},
        onLine: (line) => run.note(line),
      });
      try {
        const end = await run.reading(environment.invoke(event, flags['function-timeout'] ?? functionTimeoutMs));
        if (end.kind === 'returned') {
          return { result: { function: name, result: end.result }, view: invocationView, exitCode: exitCodes.done };
        }
        throw new KeyferryError('lambda.function-failed', { function: name, why: whyOf(end) });
      } finally {
        await environment.stop();
      }
    });
  }
}

function parsePayload(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usageError('--payload is not JSON', "write it in single quotes:   --payload '{}'");
  }
}

function whyOf(end: { readonly kind: string; readonly error?: unknown; readonly why?: string }): string {
  if (end.kind === 'timed-out') return 'it was killed at its timeout';
  return end.why ?? (end.error as { errorMessage?: string } | undefined)?.errorMessage ?? 'it failed';
}
