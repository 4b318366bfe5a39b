/**
 * What a primary switch says: where applications read, and whether they may write.
 *
 *     source, open ──► source, held ──► target, open          a cutover; undone: back to source, open
 *     target, open ──► target, held ──► source, open          going back after one
 *
 * While it is held applications read where they did, and keep their writes back. A JSON document, ASCII but for names, so
 * that an application in any language can follow it. Past `deadlineAt` nobody ends a hold by its own clock: whoever finds
 * it so may write the record before it back, compare-and-set, with the next epoch.
 */
import { KeyferryError } from '../../errors/keyferry-error.ts';
import type { MigrationId } from '../../model/ids.ts';
import { canonicalJson } from '../../plan/canonical-json.ts';
import type { SwitchEpoch } from './barrier.ts';

export type PrimarySide = 'source' | 'target';

export interface PrimaryRecord {
  readonly migration: MigrationId;
  /** Counts announcements: instances that register acknowledge it. */
  readonly epoch: SwitchEpoch;
  /** Where applications read, and write unless that is held. */
  readonly primary: PrimarySide;
  readonly writes: 'open' | 'held';
  /** RFC 3339, UTC, by the controller's clock; for people. */
  readonly announcedAt: string;
  /** When a hold is to be over (RFC 3339, UTC); null where nothing is held. */
  readonly deadlineAt: string | null;
}

export const otherSide = (side: PrimarySide): PrimarySide => (side === 'source' ? 'target' : 'source');

/** Where applications read, and whether they may write. Before anything was announced the source is primary. */
export function primaryStanding(
  record: Pick<PrimaryRecord, 'primary' | 'writes'> | null,
): Pick<PrimaryRecord, 'primary' | 'writes'> {
  return { primary: record?.primary ?? 'source', writes: record?.writes ?? 'open' };
}

const format = 'keyferry.primary';
const formatVersion = '1.0';

export function primaryRecordToText(record: PrimaryRecord): string {
  return canonicalJson({ format, formatVersion, ...record });
}

/** @throws {KeyferryError} `switch.unreadable`: it is not keyferry's, or a newer keyferry's. */
export function primaryRecordFromText(text: string, where: string): PrimaryRecord {
  const { format: found, formatVersion: version, ...fields } = parsed(text, where);
  const record = fields as unknown as PrimaryRecord;
  const isKnown = found === format && String(version).split('.')[0] === formatVersion.split('.')[0];
  const isWhole =
    Number.isSafeInteger(record.epoch) &&
    typeof record.migration === 'string' &&
    ['source', 'target'].includes(record.primary) &&
    ['open', 'held'].includes(record.writes);
  if (!isKnown || !isWhole) throw new KeyferryError('switch.unreadable', { where });
  return record;
}

function parsed(text: string, where: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Not JSON: somebody else's, as below.
  }
  throw new KeyferryError('switch.unreadable', { where });
}
