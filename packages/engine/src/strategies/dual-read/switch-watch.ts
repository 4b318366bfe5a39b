/**
 * The controller's look at the switch: the mode, who acknowledged it, and whether its barrier holds.
 *
 * The record is read before the registrations. An instance that registers after they were listed reads the mode after
 * that, so it can be in none older than the one looked at (SPEC R28). Whether one has lapsed is judged by this process's
 * own clock alone (registration-watch.ts).
 */
import {
  barrierAt,
  cannotWrite,
  firstRung,
  instantText,
  KeyferryError,
  type Barrier,
  type InstanceId,
  type MigrationSpec,
  type Position,
  type RegistrationRecord,
  type Rung,
  type SwitchEpoch,
  type SwitchRecord,
  type SwitchVersion,
} from '@keyferry/core';
import type { Environment } from '../../migration.ts';
import { RegistrationWatch } from '../../registration-watch.ts';
import { withRetry } from '../../retry.ts';
import type { OnlineParts } from './online.ts';

export interface SwitchLook {
  /** Null: nothing was ever announced. */
  readonly record: SwitchRecord | null;
  readonly version: SwitchVersion | 'absent';
  readonly rung: Rung;
  readonly epoch: SwitchEpoch;
  readonly barrier: Barrier;
  readonly registrations: readonly RegistrationRecord[];
  /** How many acknowledged this epoch. */
  readonly acknowledged: number;
  /** Named gone so lately that what they sent may still take effect, and for how long that may be. */
  readonly goneLately: readonly { readonly instance: InstanceId; readonly leftMs: number }[];
}

/** Positions that go into the record where they change; else it keeps its own. */
export interface Positions {
  readonly frozenAt: Position | null;
  readonly watchFrom: Position | null;
  readonly indexOffset: string | null;
}

export class SwitchWatch {
  private readonly env: Environment;
  private readonly spec: MigrationSpec;
  private readonly parts: OnlineParts;
  private readonly watch: RegistrationWatch;

  constructor(env: Environment, spec: MigrationSpec, parts: OnlineParts) {
    this.env = env;
    this.spec = spec;
    this.parts = parts;
    this.watch = new RegistrationWatch(env.clock);
  }

  /** @throws {KeyferryError} `switch.other-migration`, `switch.unreadable` */
  async look(): Promise<SwitchLook> {
    const { place, terms } = this.parts;
    for (;;) {
      const entry = await withRetry(this.env, 'read switch', () => place.read());
      const listed = await withRetry(this.env, 'read registrations', () => place.registrations());
      const record = entry?.value ?? null;
      this.assertOurs(record);
      const epoch = record?.epoch ?? (0 as SwitchEpoch);
      const registrations = listed.map(({ value }) => value);
      // Somebody else announced a mode in between, and an instance has followed: what was read is of two times.
      if (registrations.some(({ acknowledged }) => acknowledged > epoch)) continue;
      const rung: Rung = record ?? firstRung;
      const nowMs = this.env.clock.nowMs();
      const judged = this.watch.see(registrations).map(({ record: each, sighting, goneAtMs }) => ({
        instance: each.instance,
        acknowledged: each.acknowledged,
        lapsed: sighting === 'lapsed',
        harmless: cannotWrite(rung, epoch, each.acknowledged, each.comparesSwitch === true),
        goneAtMs,
      }));
      const { instancesMin, requestLifeMs } = terms;
      return {
        record,
        version: entry?.version ?? 'absent',
        rung,
        epoch,
        barrier: barrierAt(epoch, judged, { instancesMin, nowMs, requestLifeMs }),
        registrations,
        acknowledged: registrations.filter((each) => each.goneAt === null && each.acknowledged === epoch).length,
        goneLately: judged.flatMap(({ instance, goneAtMs }) => {
          const leftMs = goneAtMs === null ? -1 : goneAtMs + requestLifeMs - nowMs;
          return leftMs < 0 ? [] : [{ instance, leftMs }];
        }),
      };
    }
  }

  /**
   * Compare-and-set on the record that was looked at, with the next epoch.
   * @throws {KeyferryError} `switch.moved` when another controller was there first; nothing was announced then.
   */
  async announce(look: SwitchLook, rung: Rung, positions: Partial<Positions> = {}): Promise<void> {
    const { place } = this.parts;
    const { mode, heldFrom, committed } = rung;
    const {
      frozenAt = look.record?.frozenAt ?? null,
      watchFrom = look.record?.watchFrom ?? null,
      indexOffset = look.record?.indexOffset ?? null,
    } = positions;
    const record: SwitchRecord = {
      migration: this.spec.migration,
      mode,
      heldFrom,
      committed,
      epoch: (look.epoch + 1) as SwitchEpoch,
      announcedAt: instantText(this.env.clock.nowMs()),
      frozenAt,
      watchFrom,
      indexOffset,
    };
    const outcome = await withRetry(this.env, `announce ${mode}`, () => place.write(record, look.version));
    // A repeat after a lost answer finds its own record there.
    if (outcome.kind === 'written' || isSame(outcome.current?.value, record)) return;
    throw new KeyferryError('switch.moved', { where: place.where, migration: this.spec.migration });
  }

  private assertOurs(record: SwitchRecord | null): void {
    const { migration } = this.spec;
    if (record === null || record.migration === migration) return;
    const { where } = this.parts.place;
    throw new KeyferryError('switch.other-migration', { where, migration, found: record.migration });
  }
}

/** Mode, epoch and instant: two controllers do not write all three alike but in the same millisecond. */
function isSame(found: SwitchRecord | undefined, own: SwitchRecord): boolean {
  return found?.epoch === own.epoch && found.mode === own.mode && found.announcedAt === own.announcedAt;
}
