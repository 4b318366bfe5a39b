/**
 * Taking the copies away: what a rollback under `replicate` leaves of the target is what was never the migration's.
 *
 *     epoch raised (nothing of the migration writes there any more) ─► scan both ─► delete copies, each at its version
 *
 * A copy is known by the source: the same record is there; or another one, or none, and the source changed that key since the
 * tail's last position, so that the target still holds what it was. Anything else in the range was written by somebody
 * else, and is left and named.
 */
import {
  imageRule,
  KeyferryError,
  keyToJson,
  nextToken,
  rangeHolds,
  recordsEqual,
  toSourceKey,
  toTargetKey,
  type ChangeOutcome,
  type ChunkId,
  type ChunkWriter,
  type Fence,
  type GuardedDelete,
  type JoinVisitor,
  type Key,
  type KeyJson,
  type MigrationSpec,
  type Position,
  type RollbackCounts,
  type StoredRecord,
} from '@keyferry/core';
import { openViews, spansOf } from '../image.ts';
import type { Engine } from '../migration.ts';
import { joinViews } from '../pages.ts';
import { withRetry } from '../retry.ts';
import { forwardRoute } from './route.ts';
import { changedSince } from './changed-since.ts';
import { permanentRecord } from './permanent-source.ts';

/** Not of any plan: the fence under which copies are taken away. */
const clearing = 'clearing' as ChunkId;
const namedMax = 20;

export interface Cleared {
  readonly counts: Pick<RollbackCounts, 'removed' | 'changed'>;
  readonly changedKeys: readonly KeyJson[];
}

/**
 * @param since where the forward tail stood when it ended; null: it never began, so nothing is known to have moved
 * @throws {KeyferryError} `epoch.lost`, `fence.lost`: another command began
 */
export async function clearCopies(
  engine: Engine,
  spec: MigrationSpec,
  epoch: Fence,
  kept: ReadonlySet<Key>,
  since: Position | null,
  assertGoing: () => void,
): Promise<Cleared> {
  const writer = await claimClearing(engine, spec, epoch);
  const found = new Copies(spec, kept);
  let removed = 0;
  const changed: Key[] = [];
  const remove = async (deletes: readonly GuardedDelete[]): Promise<void> => {
    const { batchKeysMax } = engine.target.capabilities;
    for (let at = 0; at < deletes.length; at += batchKeysMax) {
      assertGoing();
      const part = deletes.slice(at, at + batchKeysMax);
      const outcomes = await withRetry(engine, 'remove copies', () => writer.write(part));
      for (const [i, outcome] of outcomes.entries()) {
        if (isGone(outcome)) removed += 1;
        else changed.push((part[i] as GuardedDelete).key);
      }
      const counts = { removed, changed: changed.length, restored: 0, notRestored: 0, expired: 0 };
      engine.host.emit({ code: 'rollback.progress', data: counts });
    }
  };
  const views = await openViews(engine, spec);
  try {
    await joinViews(engine, imageRule(spec).rule, views, spansOf(spec).source, found, () => remove(found.takeCopies()));
  } finally {
    await views.close();
  }
  await remove(found.takeCopies());
  // After the scan: whatever the source changed before it is among these.
  const hasMoved =
    since === null || found.unlike.length === 0 ? () => false : await movedSince(engine, spec, kept, since);
  await remove(found.unlike.filter(({ key }) => hasMoved(key)));
  changed.push(...found.unlike.filter(({ key }) => !hasMoved(key)).map(({ key }) => key));
  return { counts: { removed, changed: changed.length }, changedKeys: changed.slice(0, namedMax).map(keyToJson) };
}

/** @returns whether the source's record of a target key was changed after the position */
async function movedSince(
  engine: Engine,
  spec: MigrationSpec,
  kept: ReadonlySet<Key>,
  since: Position,
): Promise<(targetKey: Key) => boolean> {
  const { rule } = imageRule(spec);
  const { keys, ranges } = await changedSince(engine, { route: forwardRoute(engine, spec, kept) }, since);
  const moved = new Set(keys.map((key) => toTargetKey(rule, key)));
  return (targetKey) => moved.has(targetKey) || ranges.some((range) => rangeHolds(range, toSourceKey(rule, targetKey)));
}

const isGone = ({ kind }: ChangeOutcome): boolean => kind === 'deleted' || kind === 'missing';

async function claimClearing(engine: Engine, { migration }: MigrationSpec, epoch: Fence): Promise<ChunkWriter> {
  const control = engine.target.control(migration);
  for (;;) {
    const held = await withRetry(engine, 'fence', () => control.readFence(clearing));
    const fence = { attempt: epoch.attempt, token: nextToken(epoch.attempt, 0, held) };
    const claim = await withRetry(engine, 'claim', () => control.claimChunk(clearing, fence, epoch));
    if (claim.kind === 'claimed') return claim.writer;
    const isEpoch = claim.epoch !== null && claim.epoch.attempt === epoch.attempt && claim.epoch.token === epoch.token;
    if (!isEpoch) throw new KeyferryError('fence.lost', { chunk: `all of ${migration}` });
  }
}

class Copies implements JoinVisitor {
  /** In the target and not as in the source. */
  readonly unlike: GuardedDelete[] = [];
  private copies: GuardedDelete[] = [];
  private readonly spec: MigrationSpec;
  private readonly kept: ReadonlySet<Key>;

  constructor(spec: MigrationSpec, kept: ReadonlySet<Key>) {
    this.spec = spec;
    this.kept = kept;
  }

  takeCopies(): readonly GuardedDelete[] {
    const { copies } = this;
    this.copies = [];
    return copies;
  }

  sourceOnly(): void {
    // Not in the target: nothing to take away.
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    const isCopy = recordsEqual(permanentRecord(source), permanentRecord(target));
    this.add(target, isCopy ? this.copies : this.unlike);
  }

  targetOnly(target: StoredRecord): void {
    this.add(target, this.unlike);
  }

  notCarried(): void {
    // Neither of the two has an image.
  }

  unplaced(): void {
    // It never came to the target.
  }

  private add({ key, version }: StoredRecord, to: GuardedDelete[]): void {
    if (this.kept.has(key) || !this.spec.inScope(key)) return;
    to.push({ kind: 'delete', key, expect: { version } });
  }
}
