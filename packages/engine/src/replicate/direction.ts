/**
 * Directions: which store is primary, which one follows, and what belongs to each way.
 *
 *     to the target    S is primary, the forward tail fills T        a cutover makes T primary
 *     to the source    T is primary, the reverse tail fills S        going back makes S primary
 */
import {
  compareFences,
  invariant,
  KeyferryError,
  primaryStanding,
  type Fence,
  type Key,
  type MigrationSpec,
  type MigrationState,
  type Position,
  type PrimarySide,
} from '@keyferry/core';
import { deadRunsOf } from '../backfill-run.ts';
import { assertSameEpoch } from '../epoch.ts';
import type { Engine, ReplicatePorts } from '../migration.ts';
import { withRetry } from '../retry.ts';
import type { Session } from '../session.ts';
import { attemptScope } from '../state-items.ts';
import { forwardRoute, reverseRoute, type TailRoute } from './route.ts';
import { Tail, type TailFacts } from './tail.ts';

export function portsOf(engine: Engine): ReplicatePorts {
  invariant(engine.replicate !== undefined, 'strategy replicate was wired without its ports');
  return engine.replicate;
}

/** The route that fills `side`. */
export function routeTo(side: PrimarySide, engine: Engine, spec: MigrationSpec, kept: ReadonlySet<Key>): TailRoute {
  return side === 'target' ? forwardRoute(engine, spec, kept) : reverseRoute(engine, spec, kept);
}

/** Takes over the tail that fills a side, in the epoch that the state says. */
export async function claimTail(
  engine: Engine,
  spec: MigrationSpec,
  session: Session,
  route: TailRoute,
  from: { readonly position: Position; readonly always: boolean },
): Promise<Tail> {
  const { attempt, epochToken } = session.state as MigrationState;
  const epoch = { attempt, token: epochToken };
  await ensureEpochOf(engine, spec, route.tail === 'forward' ? 'target' : 'source', epoch);
  const facts: TailFacts = {
    migration: spec.migration,
    attempt,
    epoch,
    run: session.run,
    scope: attemptScope(spec.migration, attempt),
    deadRuns: deadRunsOf(session),
  };
  return await Tail.claim(engine, route, facts, from);
}

/**
 * Raises a store's epoch for this migration; it being there already is what a repeat finds. Both stores have the same one,
 * so that source and target may be one store.
 * @throws {KeyferryError} `epoch.lost` when a higher one is there.
 */
export async function ensureEpochOf(
  engine: Engine,
  { migration }: MigrationSpec,
  side: PrimarySide,
  epoch: Fence,
): Promise<void> {
  const store = side === 'target' ? engine.target : portsOf(engine).back;
  const control = store.control(migration);
  const raised = await withRetry(engine, `epoch of the ${side}`, () => control.raiseEpoch(epoch));
  if (raised.kind === 'raised') return;
  if (compareFences(raised.current, epoch) !== 0) assertSameEpoch(migration, epoch, raised.current);
}

/** @throws {KeyferryError} `switch.taken` when applications are not led to `side`, or may not write there. */
export async function assertPrimary(engine: Engine, { migration }: MigrationSpec, side: PrimarySide): Promise<void> {
  const { primary } = portsOf(engine);
  const entry = await withRetry(engine, 'read switch', () => primary.read());
  const { primary: now, writes } = primaryStanding(entry?.value ?? null);
  const whose = entry?.value.migration ?? migration;
  if (now === side && writes === 'open' && whose === migration) return;
  const what = `${whose === migration ? '' : `${whose}: `}${now} is primary, writes are ${writes}`;
  throw new KeyferryError('switch.taken', { where: primary.where, migration, now: what });
}
