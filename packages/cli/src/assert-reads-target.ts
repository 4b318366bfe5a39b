/** Before anything is asked of a store: no component that still reads the source is migrated. */
import type { CommandRun } from './command-run.ts';
import { loadAdapters, openConfig } from './wiring.ts';

/** @throws {KeyferryError} `config.contradiction` */
export async function assertReadsTarget(run: CommandRun, migration: string): Promise<void> {
  const { config } = await openConfig(run);
  const adapters = await loadAdapters();
  adapters.assertReadsTarget(config, migration);
}
