/**
 * Findings: what a reviewer must know before apply. Blocking ones make a plan not applyable; a warning with `accept`
 * must be named at apply (`--accept CODE`); the others are for reading.
 */
import type { KeyJson } from '../model/key.ts';
import { registryFindings } from './registry-findings.ts';

export const findingCodes = {
  'done.already': { level: 'blocking', accept: false, summary: 'the target says that this migration was finalized' },
  'attempt.unknown': {
    level: 'warning',
    accept: false,
    summary: 'the target holds an attempt of this migration that this state does not know',
  },
  'done.unseen': {
    level: 'warning',
    accept: false,
    summary: 'whether this migration was finalized cannot be seen: no right to read where the target says it',
  },
  'forget.strands-data': {
    level: 'warning',
    accept: true,
    summary: 'the target is in the middle of something that only this state can end',
  },
  'forget.way-back': { level: 'warning', accept: true, summary: 'rollback goes by this state and ends with it' },
  'online.unable': {
    level: 'blocking',
    accept: false,
    summary: 'the stores or rules of the migration do not let applications take part in it',
  },
  'online.too-few': {
    level: 'warning',
    accept: false,
    summary: 'fewer instances are registered at the switch than every barrier waits for',
  },
  'online.by-time': {
    level: 'warning',
    accept: true,
    summary: 'applications follow a key by themselves, and guarantees rest on them',
  },
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
  'rule.failed': { level: 'blocking', accept: false, summary: 'a rule cannot be applied to some records' },
  'key.collision': { level: 'blocking', accept: false, summary: 'several source keys become one key of the target' },
  'key.outside-prefix': {
    level: 'blocking',
    accept: false,
    summary: 'a rule takes keys out of the prefix of the target',
  },
  'rule.untraced': {
    level: 'warning',
    accept: true,
    summary: 'a program does not say which records its answers are about',
  },
  'prune.source-empty': {
    level: 'blocking',
    accept: false,
    summary: 'the source is empty, and everything in the target would be deleted',
  },
  'guard.deletes': { level: 'warning', accept: true, summary: 'more keys would be deleted than the guards allow' },
  'backup.none': { level: 'warning', accept: true, summary: 'what is overwritten or deleted could not be restored' },
  'prune.unproven': {
    level: 'warning',
    accept: true,
    summary: 'keys would be deleted although the source may not have shown all that it holds',
  },
  'record.unfit': { level: 'blocking', accept: false, summary: 'records have no form in the target' },
  'key.below-value': { level: 'blocking', accept: false, summary: 'keys lie below a key that holds a value' },
  'target.exists': { level: 'blocking', accept: false, summary: 'the target is there already, and is written once' },
  'functions.source-whole': {
    level: 'warning',
    accept: false,
    summary: 'functions would read the source whole before their first record',
  },
  'target.not-fenced': { level: 'warning', accept: false, summary: 'the target itself shuts no late worker out' },
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
  'source.left-out': {
    level: 'warning',
    accept: true,
    summary: 'records of the source cannot be carried as they are, and are left out',
  },
  'source.never-used': {
    level: 'blocking',
    accept: false,
    summary: 'the source was never used: there is nothing to move, and the target may hold what is in use',
  },
  'source.being-written': {
    level: 'warning',
    accept: false,
    summary: 'somebody writes to the source while it is being read',
  },
  'source.hidden-keys': { level: 'warning', accept: false, summary: 'the source does not list all that it holds' },
  'replicate.unable': { level: 'blocking', accept: false, summary: 'this pair of stores cannot be replicated safely' },
  'replicate.rules': { level: 'blocking', accept: false, summary: 'changes cannot be carried under these rules' },
  'replicate.foreign': {
    level: 'blocking',
    accept: false,
    summary: 'the target holds records that are no copies, where replication deletes what the source does not have',
  },
  'replicate.adopted': {
    level: 'warning',
    accept: true,
    summary: "equal records of the target become the migration's own, and go with it at a rollback",
  },
  'replicate.makes': {
    level: 'warning',
    accept: false,
    summary: 'to tell its changes, a store gets something of keyferry for as long as it is followed',
  },
  'replicate.feed-short': { level: 'warning', accept: false, summary: 'the source keeps few of its changes' },
  'replicate.not-fenced': {
    level: 'warning',
    accept: false,
    summary: 'the store that is written shuts no late tail out',
  },
  'read.not-pinned': { level: 'warning', accept: false, summary: 'the source cannot be read at one position' },
  ...registryFindings,
} as const satisfies Readonly<Record<string, { level: 'blocking' | 'warning'; accept: boolean; summary: string }>>;

export type FindingCode = keyof typeof findingCodes;

/** One of the first few, with more to say than its key. */
export interface FindingCase {
  readonly key: KeyJson;
  /** The keys in the source that it is about, the first few of them. */
  readonly sourceKeys: readonly KeyJson[];
  /** How many records it stands for. */
  readonly count: number;
  readonly detail: string;
}

export interface Finding {
  readonly code: FindingCode;
  readonly level: 'blocking' | 'warning';
  /** Must be named at apply. */
  readonly accept: boolean;
  /** How many records or members it concerns. */
  readonly count: number;
  /** The first few of them. */
  readonly keys: readonly KeyJson[];
  /** The keys in the source that `keys` are of, one each; absent: what `cases` say, or it is about no records. */
  readonly sourceKeys?: readonly KeyJson[];
  /** `keys`, where there is more to say about each of them. */
  readonly cases?: readonly FindingCase[];
  readonly detail: string;
  readonly fix: string;
}

export function finding(
  code: FindingCode,
  facts: Pick<Finding, 'count' | 'detail' | 'fix'> & Partial<Pick<Finding, 'keys' | 'sourceKeys' | 'cases'>>,
): Finding {
  const { level, accept } = findingCodes[code];
  const { count, sourceKeys, cases, detail, fix } = facts;
  const keys = facts.keys ?? cases?.map(({ key }) => key) ?? [];
  const more = { ...(sourceKeys === undefined ? {} : { sourceKeys }), ...(cases === undefined ? {} : { cases }) };
  return { code, level, accept, count, keys, ...more, detail, fix };
}
