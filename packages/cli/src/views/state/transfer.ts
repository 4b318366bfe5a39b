/** State on its way to another store. */
import type { MigrationId, NextStep } from '@keyferry/core';
import { shellWord } from '@keyferry/core';
import { stepLines } from '../layout/commands.ts';
import { counted } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';

export interface Exported {
  readonly migration: MigrationId;
  readonly items: number;
  /** `-`: stdout. */
  readonly file: string;
  /** The documents themselves, where stdout is where they go; null else. */
  readonly text: string | null;
}

export const exportedView: View<Exported> = {
  human: ({ migration, items, file, text }, context) =>
    text ??
    [
      `${context.palette.strong(`Exported ${migration}`)}   ${counted(items, 'item')} to ${file}`,
      'It stays where it is: apply with one of the two from now on, and forget the other.',
      ...stepLines(`keyferry state import ${shellWord(file)} -c OTHER_CONFIG`, null, { ...context, configFlag: null }),
      '',
    ].join('\n'),
  json: ({ migration, items, file }, warnings) =>
    envelope('keyferry.state-exported', warnings, { migration, items, file }),
};

export interface Imported {
  readonly migration: MigrationId;
  readonly items: number;
  readonly step: NextStep;
}

export const importedView: View<Imported> = {
  human: ({ migration, items, step }, context) =>
    [
      `${context.palette.strong(`Imported ${migration}`)}   ${counted(items, 'item')}`,
      ...stepLines(step.next, step.wayBack, context),
      '',
    ].join('\n'),
  json: ({ migration, items, step }, warnings) =>
    envelope('keyferry.state-imported', warnings, { migration, items, ...step }),
};
