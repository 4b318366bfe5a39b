/**
 * Makes a plan: reads both stores side by side, page by page, and lets core decide. Writes to neither, and takes no
 * lock, so any number of plans may run at once.
 */
import {
  counted,
  finding,
  haveInverse,
  imageRule,
  findingCodes,
  instantText,
  keyToJson,
  PlanBuilder,
  planFormat,
  planFormatVersion,
  planId,
  ruleNames,
  type BlockReason,
  type BuiltPlan,
  type DiffRules,
  type Estimate,
  type Finding,
  type MeaningChange,
  type PlanDocument,
  type PlanWriter,
  type Salt,
  type MigrationSpec,
  type UnplacedReason,
} from '@keyferry/core';
import { plannedBackups } from './backups.ts';
import type { Engine } from './migration.ts';
import { backupFindings, deleteFindings } from './guard-findings.ts';
import { openViews, spansOf } from './image.ts';
import { joinViews } from './pages.ts';
import { costEstimate } from './plan-cost.ts';
import { preflight, type Preflight } from './preflight.ts';
import { replicateFindings, replicatePlan } from './replicate/plan-findings.ts';
import { plannedOnline } from './strategies/dual-read/planned-online.ts';
import { wholeSourceFindings } from './slices/whole-source.ts';

/** Keys that expire sooner than this may be gone before apply reaches them. */
const shortTtlMs = 120_000;

export async function makePlan(engine: Engine, spec: MigrationSpec, writer: PlanWriter): Promise<PlanDocument> {
  try {
    const plan = await scanAndBuild(engine, spec, writer);
    await writer.finish(plan);
    return plan;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

export function diffRules(engine: Engine, spec: MigrationSpec, salt: Salt): DiffRules {
  const { recordBytesMax, emptyKeys, parentKeys, unfit, reservedPrefix } = engine.target.capabilities;
  const limits = { recordBytesMax, emptyKeys, parentKeys, unfit, reservedPrefix };
  const { rule } = imageRule(spec);
  const { isSensitive, onConflict, prune, inScope } = spec;
  return { rule, salt, ...limits, isSensitive, onConflict, prune, inScope };
}

async function scanAndBuild(engine: Engine, spec: MigrationSpec, writer: PlanWriter): Promise<PlanDocument> {
  const { clock, random, host } = engine;
  const startedAtMs = clock.nowMs();
  const before = await preflight(engine, spec);
  const salt = Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0')).join('');
  const { leaseBucketMs, billing } = engine.target.capabilities;
  const questions = {
    replacedText: engine.source.capabilities.lossyText,
    ...(leaseBucketMs === undefined ? {} : { leaseBucketMs }),
    ...(billing === undefined ? {} : { itemOverheadBytes: billing.itemOverheadBytes }),
  };
  const builder = new PlanBuilder(diffRules(engine, spec, salt), spec.limits, questions);
  const views = await openViews(engine, spec);
  const flush = async (): Promise<void> => {
    const { changes, chunks } = builder.drain();
    if (changes.length > 0) await writer.writeChanges(changes);
    if (chunks.length > 0) await writer.writeChunks(chunks);
  };
  try {
    await joinViews(engine, imageRule(spec).rule, views, spansOf(spec).source, builder, async (read) => {
      host.emit({ code: 'plan.scanning', data: read });
      await flush();
    });
  } finally {
    await views.close();
  }
  const built = builder.finish();
  await flush();

  const nowMs = clock.nowMs();
  const expected = estimate(engine, spec, built);
  const cost = costEstimate(engine, spec, built, expected, nowMs - startedAtMs);
  const findings = [
    ...before.findings,
    ...findingsOf(engine, spec, built, before, nowMs),
    ...untracedFindings(spec, built, views.untraced),
    ...wholeSourceFindings(engine, spec, nowMs - startedAtMs),
    ...(await replicateFindings(engine, spec, built)),
  ].toSorted(byWeight);
  const backups = plannedBackups(engine, spec);
  const replicate = replicatePlan(engine, spec);
  const sideOf = (side: 'source' | 'target') => ({
    store: side === 'source' ? spec.sourceStore : spec.targetStore,
    prefix: keyToJson(side === 'source' ? spec.rule.sourcePrefix : spec.rule.targetPrefix),
    position: views[side].position,
    description: before[side],
  });
  return {
    format: planFormat,
    formatVersion: planFormatVersion,
    keyferryVersion: spec.keyferryVersion,
    plan: planId(startedAtMs, [random.uint32(), random.uint32()]),
    migration: spec.migration,
    strategy: spec.strategy,
    ...plannedOnline(engine, spec),
    ...(replicate === null ? {} : { replicate }),
    selection: spec.selection,
    createdAt: instantText(nowMs),
    expiresAt: instantText(nowMs + spec.planMaxAgeMs),
    scanMs: nowMs - startedAtMs,
    salt,
    source: {
      ...sideOf('source'),
      membersAgreeAt: before.membersAgreeAt,
      ...(before.membersCompared === null ? {} : { membersCompared: before.membersCompared }),
    },
    target: { ...sideOf('target'), membersAgreeAt: null },
    onConflict: spec.onConflict,
    prune: spec.prune,
    keepBefore: spec.keepBefore,
    requireEmpty: spec.requireEmpty,
    ...(backups === undefined ? {} : { backups }),
    leaseBucketMs: engine.target.capabilities.expiryToleranceMs,
    configDigest: spec.configDigest,
    rulesDigest: spec.rulesDigest,
    totals: built.totals,
    byPrefix: built.byPrefix,
    lookFirst: built.lookFirst,
    exceptions: built.exceptions,
    deletions: built.deletions,
    meaning: meaningOf(engine, before, built),
    findings,
    chunks: built.chunks,
    changesListed: built.changesListed,
    changesOmitted: built.changesOmitted,
    estimate: expected,
    ...(cost === null ? {} : { cost }),
    rules: ruleNames(spec),
    order: imageRule(spec).order,
    targetRead: views.targetRead,
    wayBack: built.oneWay === 0 && haveInverse(spec) ? 'lossless' : 'none',
    oneWay: built.oneWay,
    applyable: findings.every(({ level }) => level !== 'blocking'),
  };
}

const byWeight = (a: Finding, b: Finding): number =>
  Number(b.level === 'blocking') - Number(a.level === 'blocking') || (a.code < b.code ? -1 : 1);

const blockFixes: Readonly<Record<BlockReason, string>> = {
  'value.too-large': 'exclude the keys, shrink the values, or raise the limit of the target',
  'key.empty': 'give the target prefix at least one byte',
  'record.unfit': 'leave them out (rules: exclude), change them by a rule, or choose another target',
  'key.below-value': 'leave one of the two out (rules: exclude), or choose a target that holds both',
  'key.reserved': "choose a target prefix outside keyferry's reserved one, or another reserved prefix",
};

function findingsOf(
  engine: Engine,
  spec: MigrationSpec,
  built: BuiltPlan,
  before: Preflight,
  nowMs: number,
): Finding[] {
  const findings: Finding[] = [];
  for (const [reason, { count, keys, sourceKeys }] of built.blocked) {
    const detail = reason === 'record.unfit' ? unfitText(built.unfitReasons) : findingCodes[reason].summary;
    findings.push(finding(reason, { count, keys, sourceKeys, detail, fix: blockFixes[reason] }));
  }
  findings.push(...unplacedFindings(built));
  const conflicts = built.totals.actions.conflict.keys;
  if (conflicts > 0) {
    findings.push(
      finding(spec.onConflict === 'fail' ? 'conflict.found' : 'conflict.kept', {
        count: conflicts,
        keys: built.conflictKeys,
        detail: `${counted(conflicts, 'key holds', 'keys hold')} another value in the target`,
        fix: 'settle them by hand, or say which side is right for all of them:   onConflict: keep-target, or overwrite',
      }),
    );
  }
  findings.push(...deleteFindings(engine.source.capabilities, spec, built), ...backupFindings(spec, built));
  if (built.totals.expiring > 0 && !engine.target.capabilities.expiry) {
    findings.push(
      finding('ttl.dropped', {
        count: built.totals.expiring,
        detail: `${counted(built.totals.expiring, 'key expires', 'keys expire')} in the source and would not in the target`,
        fix: 'choose a target with expiry, or accept it at apply:   --accept ttl.dropped',
      }),
    );
  }
  findings.push(...leftOutFindings(built), ...replacedTextFindings(built));
  const { create, overwrite, delete: deleted } = built.totals.actions;
  const changes = create.keys + overwrite.keys + deleted.keys;
  if (before.targetExists && changes > 0) {
    findings.push(
      finding('target.exists', {
        count: changes,
        detail: `${before.target.endpoints.join(', ')} is there, ${counted(changes, 'key')} of it would change, and it is written once, as a whole`,
        fix: 'move it away, or name another path, then plan again',
      }),
    );
  }
  const soon = built.expiringBefore(nowMs + shortTtlMs);
  if (soon > 0) {
    findings.push(
      finding('ttl.short', {
        count: soon,
        detail: `${counted(soon, 'key has', 'keys have')} under 2 min left and may expire before ${soon === 1 ? 'it is' : 'they are'} reached`,
        fix: 'apply soon; what expires meanwhile is counted, not lost',
      }),
    );
  }
  return findings;
}

function unfitText(reasons: ReadonlyMap<string, number>): string {
  return [...reasons].map(([why, count]) => `of ${counted(count, 'record')} ${why}`).join('; ');
}

const unplacedWords: Readonly<
  Record<UnplacedReason, { readonly detail: (count: number, places: number) => string; readonly fix: string }>
> = {
  'rule.failed': {
    detail: (count) => `a rule cannot be applied to ${counted(count, 'record')}`,
    fix: 'correct the records or the rule, or leave the keys out before it:   rules: [ { exclude: ["…"] } ]',
  },
  'key.collision': {
    detail: (count, places) => `${counted(count, 'source key')} would become ${counted(places, 'key')} of the target`,
    fix: 'change the rule that brings them together, or exclude all but one of each before it',
  },
  'key.outside-prefix': {
    detail: (count) => `the rules take ${counted(count, 'key')} out of the prefix of the target`,
    fix: 'change the rule, exclude the keys, or choose a target prefix that holds what they become',
  },
};

function unplacedFindings({ unplaced }: BuiltPlan): readonly Finding[] {
  return [...unplaced].map(([reason, { count, places, cases }]) => {
    const { detail, fix } = unplacedWords[reason];
    return finding(reason, { count, cases, detail: detail(count, places), fix });
  });
}

/** Records, unlike directories and what has expired; each line of `not carried` says how many and why. */
function leftOutFindings({ totals: { notCarried }, unmapped }: BuiltPlan): readonly Finding[] {
  const [flags, notText, items] = (['flags.set', 'key.not-text', 'item.unmapped'] as const).map(
    (reason) => notCarried[reason] ?? 0,
  ) as [number, number, number];
  const count = flags + notText + items;
  if (count === 0) return [];
  const parts = [
    ...(flags > 0 ? [`${counted(flags, 'record has', 'records have')} flags beside the value`] : []),
    ...(notText > 0 ? [`${counted(notText, 'key is', 'keys are')} not UTF-8 and cannot be named`] : []),
    ...(items > 0 ? [`${counted(items, 'item is', 'items are')} not in the form that the store maps to a record`] : []),
  ];
  const ways = [
    ...(flags > 0 ? ['say in the store what is to become of flags:   flags: carry   (or drop)\n'] : []),
    ...(items > 0 ? ['change how the store maps items (key, value, leaveOut)\n'] : []),
  ];
  const fix = `${ways.join('')}or leave them where they are:   --accept source.left-out`;
  const cases = items > 0 ? { cases: unmapped } : {};
  return [finding('source.left-out', { count, ...cases, detail: `${parts.join(', and ')}: left out`, fix })];
}

/** What a program's answers do not say, nothing else can. */
function untracedFindings({ program }: MigrationSpec, { totals }: BuiltPlan, untraced: number): readonly Finding[] {
  if (program === null || untraced === 0) return [];
  const unanswered = totals.notCarried['rule.dropped'] ?? 0;
  const detail =
    `of ${counted(untraced, 'record')} that ${program.program.name} made, nothing says what they were made of: they ` +
    `do not expire, and whether it left out the ${counted(unanswered, 'source record')} without an answer cannot be told`;
  const fix =
    "let it copy each node's modifiedIndex into mod_revision, or accept it at apply:   --accept rule.untraced";
  return [finding('rule.untraced', { count: untraced, detail, fix })];
}

function replacedTextFindings({ replacedText: { count, keys } }: BuiltPlan): readonly Finding[] {
  if (count === 0) return [];
  const detail =
    `${counted(count, 'key or value holds', 'keys or values hold')} U+FFFD, which the source also shows in place of bytes that are not UTF-8: what it ` +
    'holds there cannot be told, and verify compares the text that is shown';
  const fix = 'find out what wrote them; if it is the text that was meant, accept it:   --accept value.replaced-text';
  return [finding('value.replaced-text', { count, keys, detail, fix })];
}

function meaningOf(engine: Engine, before: Preflight, built: BuiltPlan): readonly MeaningChange[] {
  const { totals } = built;
  const changes: MeaningChange[] = [];
  if (totals.expiring > 0 && engine.target.capabilities.expiry) {
    const { leases } = built;
    changes.push({ code: 'ttl.to-lease', count: totals.expiring, ...(leases === null ? {} : { leases }) });
  }
  const emptyDirs = totals.notCarried['dir.empty'] ?? 0;
  if (emptyDirs > 0) changes.push({ code: 'dir.empty', count: emptyDirs });
  if (before.source.kind !== before.target.kind) {
    changes.push({ code: 'index.changed', count: totals.actions.create.keys + totals.actions.overwrite.keys });
  }
  return changes;
}

function estimate(engine: Engine, spec: MigrationSpec, built: BuiltPlan): Estimate {
  const { batchKeysMax, batchBytesMax } = engine.target.capabilities;
  const { create, overwrite, delete: deleted } = built.totals.actions;
  const keys = create.keys + overwrite.keys + deleted.keys;
  const bytes = create.bytes + overwrite.bytes; // of a delete only the key is sent
  // By keys or by bytes, whichever fills a request first; each chunk ends with a request that is not full.
  const full = Math.max(Math.ceil(keys / batchKeysMax), Math.ceil(bytes / batchBytesMax));
  const transactions = keys === 0 ? 0 : Math.max(full, built.chunks);
  return { transactions, keysPerTransaction: batchKeysMax, workers: Math.min(spec.workers, built.chunks) };
}
