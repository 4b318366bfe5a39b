import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Args } from '@oclif/core';
import { KeyferryError } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { lockTimeoutFlag } from '../../flags/writing.ts';
import { importedView, type Imported } from '../../views/state/transfer.ts';
import { loadEngine, openConfig, runOptions, withState } from '../../wiring.ts';

export default class StateImport extends BaseCommand {
  static override readonly summary = 'Put an exported state into this one, where nothing of its migration is yet.';
  static override readonly examples = ['<%= config.bin %> state import state.ndjson'];
  static override readonly args = {
    file: Args.string({ required: true, description: 'File of state export; - is stdin.' }),
  };
  static override readonly flags = { 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StateImport);
    const { file } = args;
    await this.perform<Imported>(flags, file, async (run) => {
      const { config } = await openConfig(run);
      const { importState, parseState, readStatus } = await loadEngine();
      const lines = (await readAll(file)).split('\n').filter((line) => line.trim() !== '');
      const parsed = parseState(lines, file === '-' ? 'stdin' : file);
      const { migration } = parsed;
      run.about(migration);
      if (!Object.hasOwn(config.migrations, migration)) {
        run.warn(`${flags.config} has no migration ${migration}: nothing but state commands can work on it here`);
      }
      return await withState(run, config, async (env) => {
        const items = await importState(env, parsed, runOptions(run, flags['lock-timeout'] ?? 0));
        const { step } = await readStatus(env, migration);
        return { result: { migration, items, step }, view: importedView, exitCode: exitCodes.done };
      });
    });
  }
}

async function readAll(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    const detail = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new KeyferryError('file.unreadable', { file, detail }, { cause });
  }
}
