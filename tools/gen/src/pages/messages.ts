/** docs/reference/messages.md: the types of lines in an event stream, with their data. */
import { messageLevels, type MessageCode } from '@keyferry/core';
import { code, page, table } from '../markdown.ts';
import { typeNamed, type Program } from '../schemas/program.ts';

export function messagesPage(program: Program): string {
  const { checker } = program;
  const rowsOf = (name: string, level: (type: string) => string): string[][] =>
    checker.getPropertiesOfType(typeNamed(program, name)).map((type) => {
      const members = checker.getPropertiesOfType(checker.getTypeOfSymbol(type));
      return [code(type.name), level(type.name), members.map((member) => code(member.name)).join(', ')];
    });
  const ownLevels: Readonly<Record<string, string>> = { error: 'error', 'lock.broken': 'warning' };
  const head = ['type', 'level', 'members of `data`'];
  return page(
    'Messages',
    [
      'Lines of `--events` and `--log-file`, one JSON object each, with `at`, `seq`, `type`, `level`, `message`, ' +
        '`migration`, `run` and `data`; `keyferry schema events` prints their schema. Show `message` of a type that you ' +
        'do not know. `debug` lines are in the log file only, `…progress` and `…scanning` come at most once a second.',
    ],
    '## Of every command',
    table(
      head,
      rowsOf('OwnEventData', (type) => ownLevels[type] ?? 'info'),
    ),
    '## Of the engine',
    table(
      head,
      rowsOf('MessageData', (type) => messageLevels[type as MessageCode]),
    ),
  );
}
