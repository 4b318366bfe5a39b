/**
 * Findings: what a reviewer must know before apply. Blocking ones make a plan not applyable; a warning with `accept`
 * must be named at apply (`--accept CODE`); the others are for reading.
 */
import type { KeyJson } from '../model/key.ts';

export const findingCodes = {
  'target.not-empty': { level: 'blocking', accept: false, summary: 'the target already holds records' },
  'members.apart': { level: 'blocking', accept: false, summary: 'the members of the source do not agree' },
  'same-store': {
    level: 'blocking',
    accept: false,
    summary: "source and target are one store and in each other's way",
  },
  'conflict.found': { level: 'blocking', accept: false, summary: 'the target holds other values' },
  'value.too-large': { level: 'blocking', accept: false, summary: 'records are over the limit of the target' },
  'key.empty': { level: 'blocking', accept: false, summary: 'a key becomes empty, which the target refuses' },
  'key.reserved': { level: 'blocking', accept: false, summary: "keys fall under keyferry's reserved prefix" },
  'ttl.dropped': { level: 'warning', accept: true, summary: 'the target has no expiry: keys become permanent' },
  'conflict.kept': { level: 'warning', accept: false, summary: 'the target holds other values, which are kept' },
  'ttl.short': { level: 'warning', accept: false, summary: 'keys may expire before they are reached' },
  'value.replaced-text': {
    level: 'warning',
    accept: true,
    summary: 'text holds U+FFFD where bytes may have been lost',
  },
  'source.cut-short': {
    level: 'warning',
    accept: true,
    summary: 'the source is damaged, and is read only up to the damage',
  },
  'source.hidden-keys': { level: 'warning', accept: false, summary: 'the source does not list all that it holds' },
  'read.not-pinned': { level: 'warning', accept: false, summary: 'the source cannot be read at one position' },
} as const satisfies Readonly<Record<string, { level: 'blocking' | 'warning'; accept: boolean; summary: string }>>;

export type FindingCode = keyof typeof findingCodes;

export interface Finding {
  readonly code: FindingCode;
  readonly level: 'blocking' | 'warning';
  /** Must be named at apply. */
  readonly accept: boolean;
  /** How many records or members it concerns. */
  readonly count: number;
  /** The first few of them. */
  readonly keys: readonly KeyJson[];
  readonly detail: string;
  readonly fix: string;
}

export function finding(
  code: FindingCode,
  facts: { readonly count: number; readonly keys?: readonly KeyJson[]; readonly detail: string; readonly fix: string },
): Finding {
  const { level, accept } = findingCodes[code];
  return { code, level, accept, count: facts.count, keys: facts.keys ?? [], detail: facts.detail, fix: facts.fix };
}
