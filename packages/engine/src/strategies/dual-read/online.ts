/** What a migration needs in which applications take part: which stores can, and what is missing where they cannot. */
import {
  KeyferryError,
  haveInverse,
  type MigrationSpec,
  type OnlineSource,
  type OnlineTarget,
  type OnlineTerms,
  type Switch,
} from '@keyferry/core';
import type { Engine } from '../../migration.ts';

/** The parts of a migration that only one with applications has. */
export interface OnlineParts {
  readonly place: Switch;
  readonly source: OnlineSource;
  readonly target: OnlineTarget;
  readonly terms: OnlineTerms;
}

/** What one side or the rules lack, as the object of "cannot". */
export interface Inability {
  readonly store: string;
  readonly capability: string;
}

/** Empty: applications can take part. */
export function inabilitiesOf(engine: Engine, spec: MigrationSpec): readonly Inability[] {
  const { online, target } = engine;
  const missing: Inability[] = [];
  const lacks = (store: string, capability: string): void => void missing.push({ store, capability });
  if ((online?.source ?? null) === null)
    lacks(spec.sourceStore, "applications' requests as the source (online source)");
  if ((online?.target ?? null) === null)
    lacks(spec.targetStore, "applications' requests as the target (online target)");
  if (!target.capabilities.fencing) lacks(spec.targetStore, 'fences that the target itself compares');
  if (target.capabilities.origins !== true) lacks(spec.targetStore, 'the version of the source beside a copied record');
  if (target.publication !== null) lacks(spec.targetStore, 'single writes: it is written whole or not at all');
  return missing;
}

/** Why the rules do not fit: applications use the same key and value in both stores. */
export function ruleObstacles(spec: MigrationSpec): readonly string[] {
  const { rule, transform, program, prune, selection } = spec;
  return [
    ...(rule.sourcePrefix === rule.targetPrefix ? [] : ['the prefixes differ']),
    ...(transform === null && program === null && haveInverse(spec) ? [] : ['rules change or leave out records']),
    ...(prune ? ['prune deletes what applications write'] : []),
    ...(selection === null ? [] : ['only a part of the keys is planned']),
  ];
}

/** @throws {KeyferryError} `capability.missing` */
export function onlineParts(engine: Engine, spec: MigrationSpec): OnlineParts {
  const [first] = inabilitiesOf(engine, spec);
  const { place, source = null, target = null } = engine.online ?? {};
  const { online: terms } = spec;
  if (first === undefined && place !== undefined && source !== null && target !== null && terms !== undefined) {
    return { place, source, target, terms };
  }
  const { store, capability } = first ?? { store: spec.targetStore, capability: 'a switch' };
  throw new KeyferryError('capability.missing', { store, capability, strategy: spec.strategy });
}
