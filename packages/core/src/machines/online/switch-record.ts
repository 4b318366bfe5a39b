/**
 * What is written at a switch: the mode of a migration for every instance to follow, and each instance's registration.
 *
 *     <switch>                      the record: mode, epoch, positions          written by the controller, compare-and-set
 *     <switch>/instances/<id>       a registration: epoch acknowledged, renewals       written by that instance; gone: by an operator
 *
 * Registrations are not dropped by a lease: one that vanished could not be told from one that left in good order, and a
 * barrier must wait for the former (barrier.ts). Whoever looks judges by its own clock whether `renewals` still counts up.
 * JSON documents, ASCII but for names, so that an application in any language can take part; readers refuse a newer
 * major version and ignore what they do not know. No secret is in any of them.
 */
import { KeyferryError } from '../../errors/keyferry-error.ts';
import type { MigrationId } from '../../model/ids.ts';
import type { Position } from '../../model/position.ts';
import { canonicalJson } from '../../plan/canonical-json.ts';
import type { InstanceId, SwitchEpoch } from './barrier.ts';
import { modes, type Rung } from './mode-ladder.ts';

export interface SwitchRecord extends Rung {
  readonly migration: MigrationId;
  readonly epoch: SwitchEpoch;
  /** RFC 3339, UTC, by the controller's clock; for people. */
  readonly announcedAt: string;
  /** The source's head once `draining` held: nothing but the reverse tail changes it from there on. Null before. */
  readonly frozenAt: Position | null;
  /** The target's position before its first application write: watchers go on behind it. Null before. */
  readonly watchFrom: Position | null;
  /** Added to a position of the target, it continues the numbers of the source (decimal); null: they cannot be continued. */
  readonly indexOffset: string | null;
}

export interface RegistrationRecord {
  readonly instance: InstanceId;
  /** 0: it has registered and not yet read the mode. */
  readonly acknowledged: SwitchEpoch;
  /** Counts up with each renewal. */
  readonly renewals: number;
  readonly leaseMs: number;
  /**
   * Each of its writes in the target compares the switch (SPEC R37), so that the target refuses it in an older epoch.
   * Absent: it says nothing, which counts as not.
   */
  readonly comparesSwitch?: boolean;
  /** It follows the primary switch at this place (strategy `replicate`), and no mode. Absent: the mode. */
  readonly follows?: 'primary';
  /** RFC 3339, UTC, by the instance's clock; for people. */
  readonly since: string;
  /** When an operator named it gone (RFC 3339, UTC). An instance that finds this in its own never serves again. */
  readonly goneAt: string | null;
}

const formats = { record: 'keyferry.switch', registration: 'keyferry.registration' } as const;
const formatVersion = '1.0';

export function switchRecordToText(record: SwitchRecord): string {
  return canonicalJson({ format: formats.record, formatVersion, ...record });
}

/** @throws {KeyferryError} `switch.unreadable`: it is not keyferry's, or a newer keyferry's. */
export function switchRecordFromText(text: string, where: string): SwitchRecord {
  const record = fieldsOf(text, formats.record, where) as unknown as SwitchRecord;
  const isRung = modes.includes(record.mode) && isCount(record.epoch);
  if (!isRung || typeof record.migration !== 'string') throw new KeyferryError('switch.unreadable', { where });
  return record;
}

export function registrationToText(registration: RegistrationRecord): string {
  return canonicalJson({ format: formats.registration, formatVersion, ...registration });
}

/** @throws {KeyferryError} `switch.unreadable`: it is not keyferry's, or a newer keyferry's. */
export function registrationFromText(text: string, where: string): RegistrationRecord {
  const registration = fieldsOf(text, formats.registration, where) as unknown as RegistrationRecord;
  const { instance, acknowledged, renewals, leaseMs } = registration;
  const isWhole = typeof instance === 'string' && [acknowledged, renewals, leaseMs].every((each) => isCount(each));
  if (!isWhole) throw new KeyferryError('switch.unreadable', { where });
  return registration;
}

/**
 * The guide's own form for applications that follow it without keyferry's client: a key that turns `true` at the end.
 * It has no epoch and no acknowledgements, so no barrier can hold: whoever uses it takes the guarantees upon itself.
 */
export const plainSwitchText = (isOver: boolean): 'true' | 'false' => (isOver ? 'true' : 'false');

/** Anything but `true` is not yet, as etcd's guide has it. */
export const plainSwitchIsOver = (text: string | null): boolean => text?.trim() === 'true';

/** What a document of this format holds besides its format. */
function fieldsOf(text: string, format: string, where: string): Readonly<Record<string, unknown>> {
  const document = parsedJson(text) as Readonly<Record<string, unknown>> | null;
  const { format: found, formatVersion: version, ...fields } = document ?? {};
  const [major] = formatVersion.split('.');
  if (found !== format || String(version).split('.')[0] !== major)
    throw new KeyferryError('switch.unreadable', { where });
  return fields;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // not JSON: somebody else's, and that is the answer
  }
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
