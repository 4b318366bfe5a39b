import { writeFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import { KeyferryError, shellWord } from '@keyferry/core';
import type { StoreKind } from '@keyferry/adapters';
import { BaseCommand } from '../base-command.ts';
import { configTemplate, migrationName } from '../config-template.ts';
import { exitCodes } from '../exit-codes.ts';
import { defaultConfig } from '../flags/output.ts';
import { usageError } from '../usage-error.ts';
import { initView, type WrittenConfig } from '../views/init/index.ts';

export default class Init extends BaseCommand {
  static override readonly summary = 'Write a configuration to start from, with comments, for a pair of stores.';
  static override readonly examples = [
    '<%= config.bin %> init',
    '<%= config.bin %> init --source-kind file --target-kind sqlite --out snapshot.yaml',
  ];
  static override readonly flags = {
    'source-kind': Flags.option({
      options: [
        'etcd-v2',
        'etcd-v2-datadir',
        'etcd-v3',
        'etcd-v3-snapshot',
        'consul',
        'sqlite',
        'file',
        'postgres',
      ] as const satisfies StoreKind[],
    })({
      summary: 'Kind of the store to read.',
      default: 'etcd-v2',
      env: 'KEYFERRY_SOURCE_KIND',
    }),
    'target-kind': Flags.option({
      options: ['etcd-v3', 'etcd-v3-snapshot', 'consul', 'sqlite', 'postgres'] as const satisfies StoreKind[],
    })({
      summary: 'Kind of the store to write.',
      default: 'etcd-v3',
      env: 'KEYFERRY_TARGET_KIND',
    }),
    out: Flags.string({
      char: 'o',
      summary: 'File to write; it must not be there yet.',
      default: defaultConfig,
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Init);
    await this.perform<WrittenConfig>(flags, null, async () => {
      const { 'source-kind': source, 'target-kind': target, out: file } = flags;
      await writeNew(file, configTemplate(source, target));
      const result = { file, source, target, migration: migrationName(source, target) };
      return { result, view: initView, exitCode: exitCodes.done };
    });
  }
}

/** @throws {KeyferryError} `usage.invalid` when the file is there, whatever it holds */
async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx' });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    if (code !== 'EEXIST') throw new KeyferryError('file.unwritable', { file, detail: code }, { cause });
    const fix = `write another one:   keyferry init --out FILE\ncheck this one:      keyferry validate -c ${shellWord(file)}`;
    throw usageError(`${file} is there already and stays as it is`, fix, cause);
  }
}
