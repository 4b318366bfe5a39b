import { Args } from '@oclif/core';
import type { MigrationSpec } from '@keyferry/core';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { allFlag } from '../flags/all.ts';
import { detailedExitcodeFlag } from '../flags/detailed-exitcode.ts';
import { holderText, thisMachine } from '../lock-holder.ts';
import { verifyView, type VerifyView } from '../views/verify/index.ts';
import { loadEngine, withAppliedMigration } from '../wiring.ts';

export default class Verify extends BaseCommand {
  static override readonly summary = 'Compare both sides, key by key, and say whether they agree. Writes to neither.';
  static override readonly examples = ['<%= config.bin %> verify config-v2-to-v3', '<%= config.bin %> verify --all'];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration that was applied.' }),
  };
  static override readonly flags = { all: allFlag, 'detailed-exitcode': detailedExitcodeFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Verify);
    await this.performOn<VerifyView>(flags, args.migration, (run, migration) =>
      withAppliedMigration(run, migration, async ({ engine, spec }) => {
        const { readAppliedPlan, readStatus, verifyApplied, verifyDualRead } = await loadEngine();
        const planned = await readAppliedPlan(engine, spec.migration);
        run.progress.tracker.expectKeys(planned?.totals.scanned ?? 0);
        run.progress.begin(`reading ${spec.sourceStore} and ${spec.targetStore}`);
        const verifyAs = spec.strategy === 'dual-read' ? verifyDualRead : verifyApplied;
        const verified = await verifyAs(engine, spec, holderText(thisMachine()), run.signal);
        const { step } = await readStatus(engine, spec.migration);
        const agree = verified.deviations.length === 0;
        // It plans what differs and shows it before anything is done about it.
        const next = agree ? whenAgreed(spec, step.next) : repairOf(spec);
        const differ = flags['detailed-exitcode'] ? exitCodes.changes : exitCodes.deviated;
        return {
          result: { ...verified, next, wayBack: step.wayBack },
          view: verifyView,
          exitCode: agree ? exitCodes.done : differ,
        };
      }),
    );
  }
}

/** Under dual-read, what comes next depends on the mode, which status reads. */
const whenAgreed = ({ strategy, migration }: MigrationSpec, next: string): string =>
  strategy === 'dual-read' ? `keyferry status ${migration}` : next;

/** Under replicate both sides move: what was read apart may agree by now, and status says what a comparison proved. */
const repairs = { offline: 'reconcile', 'dual-read': 'rollback', replicate: 'status' } as const;

const repairOf = ({ strategy, migration }: MigrationSpec): string => `keyferry ${repairs[strategy]} ${migration}`;
