/** What `init` wrote, and the way from there to a plan. */
import { shellWord } from '@keyferry/core';
import { defaultConfig } from '../../flags/output.ts';
import { envelope, type View } from '../view.ts';

export interface WrittenConfig {
  readonly file: string;
  readonly source: string;
  readonly target: string;
  readonly migration: string;
}

export const initView: View<WrittenConfig> = {
  human: (written) => {
    const { file, source, target, migration } = written;
    return [
      `Wrote ${file}: migration ${migration}, from ${source} to ${target}.`,
      'Put in your endpoints, files and prefixes, then:',
      `  keyferry doctor${configFlag(file)}`,
      `  keyferry plan ${migration} --out ${migration}.kfplan${configFlag(file)}`,
      '',
    ].join('\n');
  },
  json: ({ file, source, target, migration }, warnings) =>
    envelope('keyferry.init', warnings, {
      file,
      sourceKind: source,
      targetKind: target,
      migration,
      next: `keyferry doctor${configFlag(file)}`,
    }),
};

const configFlag = (file: string): string => (file === defaultConfig ? '' : ` -c ${shellWord(file)}`);
