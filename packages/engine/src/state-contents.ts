/** Every item that the state holds of one migration, kind by kind; its lock apart, and its own item last. */
import { stateHomes, type StateEntry, type StateKind } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { attemptScope, listItems } from './state-items.ts';

export interface StatePart {
  readonly kind: StateKind;
  readonly scope: string;
}

/** Scopes in the order in which they may go: nothing that is left refers to what is gone. */
export function partsOf(migration: string, attempts: number): readonly StatePart[] {
  const kinds = Object.keys(stateHomes) as StateKind[];
  const ofAttempts = Array.from({ length: attempts }, (_, i) =>
    kinds
      .filter((kind) => stateHomes[kind] === 'attempt')
      .map((kind) => ({ kind, scope: attemptScope(migration, i + 1) })),
  ).flat();
  const ofMigration = kinds
    .filter((kind) => stateHomes[kind] === 'migration')
    .map((kind) => ({ kind, scope: migration }));
  return [...ofAttempts, ...ofMigration];
}

export async function* itemsOf(
  env: Environment,
  parts: readonly StatePart[],
): AsyncGenerator<StatePart & { readonly entry: StateEntry<StateKind> }> {
  for (const { kind, scope } of parts) {
    for await (const entries of listItems(env, kind, scope)) {
      for (const entry of entries) yield { kind, scope, entry };
    }
  }
}
