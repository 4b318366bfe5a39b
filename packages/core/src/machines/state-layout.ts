/**
 * Where each kind of state item lives, and what a state document on its way between two stores looks like.
 *
 * Total by its type: a new kind of item does not compile until it is said here where it lives, and from then on forget,
 * export, import and upgrade know of it.
 */
import type { StateItems, StateKind } from '../ports/state-store.ts';

/** migrations, locks: one scope for all. migration: a scope each. attempt: a scope for each attempt of each. */
export type StateHome = 'migrations' | 'locks' | 'migration' | 'attempt';

export const stateHomes: Readonly<Record<StateKind, StateHome>> = {
  migration: 'migrations',
  lock: 'locks',
  plan: 'migration',
  event: 'migration',
  'run-record': 'migration',
  submission: 'migration',
  'plan-rows': 'migration',
  'chunk-plan': 'attempt',
  chunk: 'attempt',
  guards: 'attempt',
  before: 'attempt',
  'dead-letter': 'attempt',
  'met-change': 'attempt',
  'run-control': 'attempt',
  'run-pace': 'attempt',
  verification: 'attempt',
  check: 'attempt',
  tail: 'attempt',
  cutover: 'attempt',
  'kept-keys': 'attempt',
  primary: 'migration',
  parallel: 'migration',
  'parallel-plan': 'migration',
  evidence: 'attempt',
  refusal: 'migration',
};

/** Format of the items. A higher one than this is a newer keyferry's; an item without one has the first. */
export const stateFormat = 1;

export const stateDocumentFormat = 'keyferry.state-item';

/** One item on its way from one state store to another. */
export interface StateDocument<K extends StateKind = StateKind> {
  readonly format: typeof stateDocumentFormat;
  readonly formatVersion: string;
  readonly kind: K;
  readonly scope: string;
  readonly id: string;
  readonly item: StateItems[K];
}

/** From format n + 1 to n + 2, for `upgrades[n]`. Harmless to repeat on an item that has it behind it. */
export type StateUpgrade = <K extends StateKind>(kind: K, item: StateItems[K]) => StateItems[K];

/** There is one format so far. Never change an upgrade that was released: add the next. */
export const stateUpgrades: readonly StateUpgrade[] = [];

export function upgradeItem<K extends StateKind>(
  kind: K,
  item: StateItems[K],
  from: number,
  path: readonly StateUpgrade[] = stateUpgrades,
): StateItems[K] {
  return path.slice(from - 1).reduce((before, upgrade) => upgrade(kind, before), item);
}
