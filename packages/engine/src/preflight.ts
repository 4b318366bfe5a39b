/**
 * Preflight: what must be true of both stores before anything is planned, and again before the first write. Each
 * shortcoming is a finding, so that the reviewer and apply see the same words.
 */
import {
  counted,
  countText,
  finding,
  isKeyferryError,
  keyForDisplay,
  keyToJson,
  membersTrouble,
  membersVerdict,
  prefixRange,
  type DoneMarker,
  type Finding,
  type MemberPosition,
  type MembersVerdict,
  type MigrationId,
  type MigrationSpec,
  type StoreDescription,
} from '@keyferry/core';
import { readDoneMarker } from './done-marker.ts';
import type { Engine } from './migration.ts';
import { withRetry } from './retry.ts';
import { readMigration } from './state-items.ts';
import { unknownAttempt } from './unknown-attempt.ts';
import { onlineFindings } from './strategies/dual-read/online-findings.ts';

export interface Preflight {
  readonly source: StoreDescription;
  readonly target: StoreDescription;
  /** Highest raft index of a source whose members agree; null when it has no members to compare. */
  readonly membersAgreeAt: string | null;
  readonly membersCompared: number | null;
  /** Something is there that is written once; false for a target that takes each write at once. */
  readonly targetExists: boolean;
  readonly findings: readonly Finding[];
}

/** Looks again this many times before it says that members are apart: a follower may be one message behind. */
const memberLooksMax = 5;
const memberLookEveryMs = 300;

export async function preflight(engine: Engine, spec: MigrationSpec): Promise<Preflight> {
  const [source, target] = await Promise.all([
    withRetry(engine, 'describe source', () => engine.source.describe()),
    withRetry(engine, 'describe target', () => engine.target.describe()),
  ]);
  const findings: Finding[] = [
    ...sameStoreFindings(spec, source, target),
    ...sourceFindings(engine, spec, source),
    ...targetFindings(engine),
  ];
  const members = await lookAtMembers(engine);
  const trouble = members === null ? null : membersTroubleFinding(members);
  if (trouble !== null) findings.push(trouble);
  findings.push(...(await ownFindings(engine, spec)), ...(await emptinessFindings(engine, spec)));
  if (spec.strategy === 'dual-read') findings.push(...(await onlineFindings(engine, spec)));
  const { publication } = engine.target;
  const targetExists = publication !== null && (await withRetry(engine, 'look for target', () => publication.exists()));
  return {
    source,
    target,
    targetExists,
    membersAgreeAt: members?.verdict.kind === 'converged' ? String(members.verdict.raftIndex) : null,
    membersCompared: members?.positions.length ?? null,
    findings,
  };
}

function sameStoreFindings({ rule }: MigrationSpec, source: StoreDescription, target: StoreDescription): Finding[] {
  const keys = [keyToJson(rule.sourcePrefix), keyToJson(rule.targetPrefix)];
  const isSameFile = source.viewLocks !== null && source.viewLocks === target.viewLocks;
  if (isSameFile) {
    return [
      finding('same-store', {
        count: 1,
        keys,
        detail: `both stores are one file, which cannot be written while it is being read: ${source.viewLocks ?? ''}`,
        fix: 'choose a target in another file',
      }),
    ];
  }
  const isSame = source.kind === target.kind && source.identity !== null && source.identity === target.identity;
  const overlap = rule.targetPrefix.startsWith(rule.sourcePrefix) || rule.sourcePrefix.startsWith(rule.targetPrefix);
  // Of files, equal identities without an equal path are copies: they do not get in each other's way.
  if (!isSame || !overlap || source.viewLocks !== null) return [];
  return [
    finding('same-store', {
      count: 1,
      keys,
      detail: 'both stores are one cluster, and one prefix lies within the other',
      fix: 'choose a target prefix beside the source prefix, or another cluster',
    }),
  ];
}

/** What a source cannot do, or cannot show whole. */
function sourceFindings(
  { source: { capabilities } }: Engine,
  spec: MigrationSpec,
  { cutShort, neverUsed, beingWritten }: StoreDescription,
): Finding[] {
  const findings: Finding[] = [];
  if (neverUsed !== undefined) {
    findings.push(
      finding('source.never-used', {
        count: 1,
        detail: `${neverUsed}; the migration of nothing would say that it is done`,
        fix: 'check that it is the right store; if nothing ever used it, there is nothing to migrate',
      }),
    );
  }
  if (beingWritten !== undefined) {
    findings.push(
      finding('source.being-written', {
        count: 1,
        detail: `${beingWritten}: what it writes after the plan makes the plan stale, and what it writes after apply is not moved`,
        fix: 'stop every component that writes to the source before plan and until apply has ended',
      }),
    );
  }
  if (cutShort !== undefined) {
    findings.push(
      finding('source.cut-short', {
        count: 1,
        detail: `${cutShort}: whatever was written after that is missing`,
        fix: 'read a source that is whole; if there is none, accept the loss:   --accept source.cut-short',
      }),
    );
  }
  // Replication proves it otherwise: what was half seen, the feed tells.
  if (!capabilities.pinnedView && spec.strategy !== 'replicate') {
    findings.push(
      finding('read.not-pinned', {
        count: 1,
        detail: 'a write to the source during the scan may be half seen; apply proves afterwards that nothing moved',
        fix: 'stop every writer of the source before plan and until apply has ended',
      }),
    );
  }
  if (capabilities.hidesKeys !== null) {
    findings.push(
      finding('source.hidden-keys', {
        count: 1,
        detail: `${capabilities.hidesKeys} are not listed: neither plan nor verify can see them`,
        fix: 'ask whether an application has any; a prefix that names them, or a right to read them, shows them',
      }),
    );
  }
  return findings;
}

/** What a target cannot do, whatever it holds. */
function targetFindings({ target: { capabilities } }: Engine): Finding[] {
  if (capabilities.fencing) return [];
  return [
    finding('target.not-fenced', {
      count: 1,
      detail:
        'each batch proves in the state that its worker still holds its chunk, and each record is written only as the ' +
        'plan expects it; but a request that was under way when a chunk was lost may still arrive',
      fix: 'nothing, while apply runs in one place; after it was killed, wait a minute before rollback',
    }),
  ];
}

const doneUnseen = finding('done.unseen', {
  count: 1,
  detail: "the user may not read keyferry's own keys in the target, where a done marker would be",
  fix: 'nothing for a plan; apply needs read and write there and looks before it writes',
});

/** What keyferry's own keys in the target say of this migration, whatever this state says: another one may have done it. */
async function ownFindings(engine: Engine, spec: MigrationSpec): Promise<Finding[]> {
  const { migration } = spec;
  try {
    const marker = await readDoneMarker(engine, migration);
    if (marker !== null) return [alreadyDone(migration, marker)];
    const known = (await readMigration(engine, migration))?.item.attempt ?? 0;
    const unknown = await unknownAttempt(engine, spec, known);
    return unknown === null ? [] : [attemptUnknown(unknown, known)];
  } catch (error) {
    // Whoever plans need not be allowed to apply; apply itself needs the right, and fails without it.
    if (isKeyferryError(error, 'store.permission-denied')) return [doneUnseen];
    throw error;
  }
}

function alreadyDone(migration: MigrationId, { plan, by, finalizedAt }: DoneMarker): Finding {
  const detail = `already done by ${by} at ${finalizedAt}, with plan ${plan}`;
  const fix = `nothing is to be done; to migrate once more:   keyferry finalize ${migration} --reopen`;
  return finding('done.already', { count: 1, detail, fix });
}

function attemptUnknown(attempt: number, known: number): Finding {
  const knows = known === 0 ? 'none' : `attempt ${known}`;
  return finding('attempt.unknown', {
    count: 1,
    detail: `the target holds attempt ${attempt}, this state knows ${knows}: another state has it, or it was lost; a rollback removes what that attempt created too`,
    fix: 'go on with the state that has it; if that was lost, build it anew from the plan that was applied:   keyferry state adopt FILE',
  });
}

/** The members of the source, where they do not agree; null: they do, or there are none to compare. */
export async function membersFinding(engine: Engine): Promise<Finding | null> {
  const members = await lookAtMembers(engine);
  return members === null ? null : membersTroubleFinding(members);
}

interface LookedAt {
  readonly positions: readonly [MemberPosition, ...MemberPosition[]];
  readonly verdict: MembersVerdict;
}

async function lookAtMembers(engine: Engine): Promise<LookedAt | null> {
  for (let look = 1; ; look += 1) {
    const positions = await withRetry(engine, 'members', () => engine.source.readMembers());
    const [first, ...rest] = positions ?? [];
    if (first === undefined) return null;
    const members = [first, ...rest] as const;
    const verdict = membersVerdict([...members]);
    // What was compared as it lies on a disk does not come nearer by waiting.
    const isStill = members.some(({ content }) => content !== undefined);
    if (verdict.kind === 'converged' || isStill || look >= memberLooksMax) return { positions: members, verdict };
    await engine.clock.sleep(memberLookEveryMs);
  }
}

function membersTroubleFinding({ positions, verdict }: LookedAt): Finding | null {
  const trouble = membersTrouble(verdict, positions);
  if (trouble === null) return null;
  const { detail, fix } = trouble;
  return finding('members.apart', { count: positions.length, detail, fix: `${fix}; then plan again` });
}

async function emptinessFindings(engine: Engine, spec: MigrationSpec): Promise<readonly Finding[]> {
  const { requireEmpty, rule } = spec;
  if (requireEmpty === null) return [];
  const range = requireEmpty === 'keyspace' ? null : prefixRange(rule.targetPrefix);
  const max = 1000;
  const count = await withRetry(engine, 'count target', () => engine.target.countRecords(range, max));
  if (count === 0) return [];
  const where = requireEmpty === 'keyspace' ? 'in its keyspace' : `under ${keyForDisplay(rule.targetPrefix)}`;
  return [
    finding('target.not-empty', {
      count,
      detail: `requireEmpty: ${requireEmpty}, but it holds ${count >= max ? `${countText(max)} or more records` : counted(count, 'record')} ${where}`,
      fix: 'empty it, choose another target, or take requireEmpty out of the migration',
    }),
  ];
}
