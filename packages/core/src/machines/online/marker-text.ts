/**
 * What the small keys beside an application's hold while a migration is online: bytes that others must agree on.
 *
 *     tombstone     t1 <epoch of the switch, decimal>     this key no longer falls back to the source
 *     origin        o1 <version in the source>            backfill put this key, from that version of it
 *
 * A tombstone counts by being there, whatever it holds; the epoch is for people. An origin counts only while it has the
 * revision of its record, so a later write of the record ends it without touching it; `copiedFrom` in client-operation.ts.
 * Text in ASCII. The digit is the form: readers take what they do not know for no origin, and for a tombstone all the same.
 */
import type { Version } from '../../model/record.ts';
import type { SwitchEpoch } from './barrier.ts';

export const tombstoneText = (epoch: SwitchEpoch): string => `t1 ${epoch}`;

export const originText = (version: Version): string => `o1 ${version}`;

/** Null: it is none that this version knows. */
export function originFromText(text: string): Version | null {
  return (/^o1 (.+)$/.exec(text)?.[1] as Version | undefined) ?? null;
}
