/**
 * What a reviewer must know of a plan of strategy `replicate`: what the pair of stores cannot do, what stands in the target
 * that replication would take for its own, and what the source's feed bears.
 */
import {
  counted,
  finding,
  haveInverse,
  imageRule,
  type BuiltPlan,
  type FeedForesight,
  type Finding,
  type MigrationSpec,
  type ReplicatePlan,
} from '@keyferry/core';
import type { Engine } from '../migration.ts';
import { withRetry } from '../retry.ts';

/** Without a retention of this many changes a short pause of the tail costs a comparison of everything. */
const feedChangesShort = 100_000;

export function replicatePlan({ source, target, replicate }: Engine, spec: MigrationSpec): ReplicatePlan | null {
  const { replicate: settings } = spec;
  if (settings === null || settings === undefined || replicate === undefined) return null;
  if (source.feed === undefined || target.feed === undefined) return null;
  const { kind, where } = replicate.primary;
  return {
    ...settings,
    freeze: { kind, where },
    feed: source.feed.capabilities,
    feedBack: target.feed.capabilities,
  };
}

export async function replicateFindings(
  engine: Engine,
  spec: MigrationSpec,
  built: BuiltPlan,
): Promise<readonly Finding[]> {
  if (spec.strategy !== 'replicate') return [];
  const foreseen = await foresee(engine, spec);
  return [
    ...unableFindings(engine, spec, foreseen),
    ...foreseen.flatMap(makesFinding),
    ...ruleFindings(spec),
    ...targetFindings(built),
    ...feedFindings(engine, spec),
  ];
}

interface Foreseen extends FeedForesight {
  readonly store: string;
}

/** Of the source from the first apply on, of the target from a cutover on; each is written to while the other one is followed. */
async function foresee(engine: Engine, spec: MigrationSpec): Promise<readonly Foreseen[]> {
  const { source, target, replicate } = engine;
  const sides = [
    { store: spec.sourceStore, feed: source.feed, tail: replicate?.back.tail?.(spec.migration) },
    { store: spec.targetStore, feed: target.feed, tail: target.tail?.(spec.migration) },
  ];
  const foreseen: Foreseen[] = [];
  for (const { store, feed, tail } of sides) {
    const found = await withRetry(engine, 'look at feed', async () => feed?.foresee?.());
    if (found !== undefined) foreseen.push({ store, ...found });
    const lacks = await withRetry(engine, 'look at tail', async () => (await tail?.lacks?.()) ?? null);
    if (lacks !== null) foreseen.push({ store, lacks, makes: null });
  }
  return foreseen;
}

function makesFinding({ store, makes }: Foreseen): readonly Finding[] {
  if (makes === null) return [];
  const fix = 'see that the owner of the store agrees; cutover, finalize and rollback take it away';
  return [finding('replicate.makes', { count: 1, detail: `in store ${store}, ${makes}`, fix })];
}

function unableFindings(
  { source, target, replicate }: Engine,
  spec: MigrationSpec,
  foreseen: readonly Foreseen[],
): readonly Finding[] {
  const { migration, sourceStore, targetStore } = spec;
  const lacks: string[] = [];
  if (source.feed === undefined) lacks.push(`store ${sourceStore} does not tell its changes`);
  else if (source.feed.capabilities.kind === 'state')
    lacks.push(`store ${sourceStore} tells what is there, not what changed`);
  if (target.feed === undefined)
    lacks.push(`store ${targetStore} does not tell its changes, so nothing could be carried back`);
  if (target.tail?.(migration) === undefined) lacks.push(`no tail can write to store ${targetStore}`);
  if (replicate?.back.tail?.(migration) === undefined)
    lacks.push(`no tail can write to store ${sourceStore}, for the way back`);
  if (target.publication !== null) lacks.push(`store ${targetStore} is written once, as a whole`);
  for (const { store, lacks: why } of foreseen) if (why !== null) lacks.push(`store ${store}: ${why}`);
  if (lacks.length === 0) return [];
  const fix = 'give the stores what they lack, choose other ones, or   strategy: offline';
  return [finding('replicate.unable', { count: lacks.length, detail: lacks.join('; '), fix })];
}

function ruleFindings(spec: MigrationSpec): readonly Finding[] {
  const lacks: string[] = [];
  if (imageRule(spec).order !== 'merged') {
    lacks.push(
      'the rules change keys in another way than one prefix for another: of a record that is gone nobody can tell its key',
    );
  }
  if (!haveInverse(spec))
    lacks.push('the rules have no inverse, so what applications write in the target could not be carried back');
  if (spec.onConflict === 'overwrite')
    lacks.push('onConflict: overwrite would be gone over by the first change; say keep-target or fail');
  if (spec.prune) lacks.push('prune deletes what the plan saw, and replication what the source deletes; leave it out');
  if (spec.selection !== null) lacks.push('a part of a migration (--only, --exclude) cannot be cut over by itself');
  if (lacks.length === 0) return [];
  const fix = 'change the migration, or   strategy: offline';
  return [finding('replicate.rules', { count: lacks.length, detail: lacks.join('; '), fix })];
}

function targetFindings({ totals, oneWay }: BuiltPlan): readonly Finding[] {
  const findings: Finding[] = [];
  if (totals.targetOnly > 0) {
    findings.push(
      finding('replicate.foreign', {
        count: totals.targetOnly,
        detail: `${counted(totals.targetOnly, 'key is', 'keys are')} under the target prefix and not in the source`,
        fix: 'choose another target prefix, take them away, or leave them out (rules: exclude)',
      }),
    );
  }
  const { keys } = totals.actions.equal;
  if (keys > 0) {
    findings.push(
      finding('replicate.adopted', {
        count: keys,
        detail: `${counted(keys, 'key is', 'keys are')} in the target already, as in the source: a rollback takes ${keys === 1 ? 'it' : 'them'} away too`,
        fix: 'take them away before, or accept it at apply:   --accept replicate.adopted',
      }),
    );
  }
  if (oneWay > 0) {
    const detail = `the inverse of the rules leads ${counted(oneWay, 'record', 'records')} somewhere else than where they came from`;
    findings.push(
      finding('replicate.rules', { count: oneWay, detail, fix: 'change the rule, or   strategy: offline' }),
    );
  }
  return findings;
}

function feedFindings({ source, target, replicate }: Engine, spec: MigrationSpec): readonly Finding[] {
  const findings: Finding[] = [];
  const { changesMax = null, ageMsMax = null } = source.feed?.capabilities.retention ?? {};
  if (changesMax !== null && changesMax < feedChangesShort) {
    const aMinute = Math.floor(changesMax / 60);
    findings.push(
      finding('replicate.feed-short', {
        count: changesMax,
        detail:
          `the source keeps its last ${changesMax} changes: a tail that stands still for a minute bears ${aMinute} writes a second, ` +
          'counted over the whole store; past that both sides are compared instead',
        fix: 'run the tail without pauses:   keyferry apply PLAN --follow',
      }),
    );
  }
  if (ageMsMax !== null) {
    findings.push(
      finding('replicate.feed-short', {
        count: ageMsMax,
        detail: `the source keeps its changes for ${Math.floor(ageMsMax / 3_600_000)} h: a tail that stands still for longer compares both sides instead`,
        fix: 'run the tail at least that often:   keyferry apply PLAN',
      }),
    );
  }
  const stores = [
    { store: spec.targetStore, tail: target.tail?.(spec.migration) },
    { store: spec.sourceStore, tail: replicate?.back.tail?.(spec.migration) },
  ];
  for (const { store, tail } of stores) {
    if (tail === undefined || tail.capabilities.fencing) continue;
    findings.push(
      finding('replicate.not-fenced', {
        count: 1,
        detail: `store ${store} does not compare fences: a process that stood still for longer than its lease may write once more`,
        fix: 'run one process at a time, and see that one that hangs is ended',
      }),
    );
  }
  return findings;
}
