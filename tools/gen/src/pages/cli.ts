/** docs/reference/cli.md: every command with its argument and flags, from the table that the program itself runs. */
import type { Command } from '@oclif/core';
import { commands, outputFlags } from 'keyferry/reference';
import { code, page, table } from '../markdown.ts';

interface AnyFlag {
  readonly char?: string;
  readonly type: string;
  readonly summary?: string;
  readonly helpValue?: string | readonly string[];
  readonly options?: readonly string[];
  readonly env?: string;
  readonly default?: unknown;
  readonly required?: boolean;
  readonly multiple?: boolean;
  readonly allowNo?: boolean;
  readonly hidden?: boolean;
}

export function cliPage(): string {
  const all = Object.entries(commands);
  return page(
    'Command line',
    [
      'Every command. `keyferry COMMAND --help` shows the same. A flag comes before its environment variable, that before ' +
        'the configuration file. What a command prints with `--json` has a schema: `keyferry schema NAME`. See also ' +
        '[exit codes](exit-codes.md) and [errors](errors.md). Besides these there are `keyferry help [COMMAND]`, ' +
        '`keyferry --version`, and [`keyferry autocomplete`](../operations/install.md).',
    ],
    table(
      ['command', 'what it does'],
      all.map(([id, { summary }]) => [`[${id.replaceAll(':', ' ')}](#${anchor(id)})`, summary ?? '']),
    ),
    '## Flags of every command',
    flagTable(outputFlags),
    ...all.map(([id, command]) => commandText(id, command)),
  );
}

const anchor = (id: string): string => `keyferry-${id.replaceAll(':', '-')}`;

function commandText(id: string, { summary, description, args, flags, examples }: Command.Class): string {
  const name = `keyferry ${id.replaceAll(':', ' ')}`;
  const usage = Object.entries(args).map(([arg, { required }]) =>
    required === true ? arg.toUpperCase() : `[${arg.toUpperCase()}]`,
  );
  const own = Object.keys(flags ?? {}).length > 0;
  const argRows = Object.entries(args).map(([arg, facts]) => [code(arg.toUpperCase()), facts.description ?? '']);
  return [
    `## ${name}`,
    summary ?? '',
    ...(description === undefined ? [] : [description]),
    ['```', [name, ...usage, ...(own ? ['[flags]'] : [])].join(' '), ...exampleLines(examples), '```'].join('\n'),
    ...(argRows.length > 0 ? [table(['argument', 'what it is'], argRows)] : []),
    ...(own ? [flagTable(flags)] : []),
  ].join('\n\n');
}

function exampleLines(examples: Command.Class['examples']): readonly string[] {
  const lines = (examples ?? []).map((example) => (typeof example === 'string' ? example : example.command));
  return lines.length === 0
    ? []
    : ['', ...lines.map((line) => `$ ${line.replaceAll('<%= config.bin %>', 'keyferry')}`)];
}

function flagTable(flags: object): string {
  const rows = Object.entries(flags as Readonly<Record<string, AnyFlag>>)
    .filter(([, { hidden }]) => hidden !== true)
    .map(([name, flag]) => [
      code(flagText(name, flag)),
      (flag.summary ?? '') +
        (flag.required === true ? ' Required.' : '') +
        (flag.multiple === true ? ' Repeatable.' : ''),
      flag.default === undefined || flag.default === false
        ? ''
        : code(typeof flag.default === 'string' ? flag.default : JSON.stringify(flag.default)),
      flag.env === undefined ? '' : code(flag.env),
    ]);
  return table(['flag', 'what it does', 'by default', 'environment'], rows);
}

function flagText(name: string, { char, type, helpValue, options, allowNo }: AnyFlag): string {
  const long = allowNo === true ? `--[no-]${name}` : `--${name}`;
  const value = type === 'option' ? ` ${options?.join('|') ?? [helpValue ?? 'VALUE'].flat().join(' ')}` : '';
  return `${char === undefined ? '' : `-${char}, `}${long}${value}`;
}
