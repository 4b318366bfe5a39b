/**
 * A person who leads applications from one store to the other: asked before writes are taken for held, told what to do next.
 * Nobody else can know whether the writers have stopped, so without a word of theirs there is no cutover.
 */
import { KeyferryError, type MigrationId, type PrimaryRecord } from '@keyferry/core';
import type { WhoIsTold } from '@keyferry/engine';
import { canAsk } from './approval.ts';
import type { CommandRun } from './command-run.ts';

export function personToTell(run: CommandRun, migration: MigrationId): WhoIsTold {
  return {
    kind: 'person',
    where: 'a person',
    ask: async (record) => {
      if (record.writes === 'held') await assertStopped(run, migration, record);
    },
    tell: async ({ writes, primary, epoch }) => {
      const what =
        writes === 'held'
          ? `keep the writers of the ${primary} stopped`
          : `lead reads and writes to the ${primary}, and let them begin`;
      run.note(`switch ${epoch}: ${what}`);
    },
  };
}

/** @throws {KeyferryError} `cutover.unconfirmed` */
async function assertStopped(run: CommandRun, migration: MigrationId, { primary }: PrimaryRecord): Promise<void> {
  if (run.confirmed) return;
  const what = `every writer of the ${primary} has stopped`;
  const approver = run.approver();
  if (canAsk(approver)) {
    const typed = await approver.ask(`Stop every writer of the ${primary}, then type   stopped:`);
    if (typed.trim() === 'stopped') return;
  }
  throw new KeyferryError('cutover.unconfirmed', {
    migration,
    what,
    command: `keyferry ${run.call.command} ${migration}`,
  });
}
