/**
 * In place of changes that nobody can tell any more: both sides are compared, and the target is made like the source.
 *
 *     new position ─► scan both, each at or after it ─► puts and deletes ─► store the new position
 *
 * The position comes first, so that whatever moves during the scan is told by the feed again (SPEC R44). Deletes follow
 * only from a scan that shows one state of the source, never from an empty one, and past the plan's guards only if that
 * was accepted by name.
 */
import {
  changedRecord,
  countText,
  imageRule,
  KeyferryError,
  recordsEqual,
  toTargetKey,
  type JoinVisitor,
  type Key,
  type MigrationSpec,
  type StoredRecord,
  type TailChange,
} from '@keyferry/core';
import { openViews, spansOf } from '../image.ts';
import type { Engine } from '../migration.ts';
import { joinViews } from '../pages.ts';
import { withRetry } from '../retry.ts';
import { permanentRecord } from './permanent-source.ts';
import type { Tail } from './tail.ts';

export interface ReconcileContext {
  readonly kept: ReadonlySet<Key>;
  readonly deletesAccepted: boolean;
  readonly signal: AbortSignal;
}

/** The forward tail alone: a reverse tail that lost its position has no side that is right about all of it. */
export async function reconcilePass(
  engine: Engine,
  spec: MigrationSpec,
  tail: Tail,
  context: ReconcileContext,
): Promise<void> {
  const { feed } = tail.route;
  const position = await withRetry(engine, 'head of feed', () => feed.head(), context.signal);
  const found = new Differing(spec, context.kept);
  const views = await openViews(engine, spec, context.signal);
  try {
    await joinViews(engine, imageRule(spec).rule, views, spansOf(spec).source, found, async () => {
      // Puts may go at once: each is what the source held at or after the new position.
      await tail.applyAll(found.takePuts(), null);
    });
  } finally {
    await views.close();
  }
  const { deletes, targetKeys, sourceKeys } = found;
  assertDeletesAllowed(engine, spec, { deletes: deletes.length, targetKeys, sourceKeys }, context.deletesAccepted);
  await tail.applyAll([...found.takePuts(), ...deletes.map((key): TailChange => ({ kind: 'delete', key }))], position);
  tail.count({ reconciled: 1 });
  engine.host.emit({
    code: 'tail.reconciled',
    data: { tail: tail.route.tail, puts: found.putsTotal, deletes: deletes.length },
  });
}

/** @throws {KeyferryError} `tail.deletes-guarded` */
function assertDeletesAllowed(
  engine: Engine,
  { migration, guards }: MigrationSpec,
  found: { readonly deletes: number; readonly targetKeys: number; readonly sourceKeys: number },
  accepted: boolean,
): void {
  const { deletes, targetKeys: keys, sourceKeys } = found;
  if (deletes === 0) return;
  const refuse = (why: string): never => {
    throw new KeyferryError('tail.deletes-guarded', { migration, deletes, keys, why });
  };
  if (sourceKeys === 0) refuse('the source shows no record at all, which is not taken for an answer');
  if (!engine.source.capabilities.pinnedView) refuse('the source cannot be read at one position');
  if (accepted) return;
  if (deletes > guards.deletesMax) refuse(`the guard is ${countText(guards.deletesMax)} keys`);
  if (deletes > keys * guards.deleteShareMax) refuse(`the guard is a share of ${guards.deleteShareMax}`);
}

class Differing implements JoinVisitor {
  readonly deletes: Key[] = [];
  putsTotal = 0;
  sourceKeys = 0;
  targetKeys = 0;
  private puts: TailChange[] = [];
  private readonly spec: MigrationSpec;
  private readonly kept: ReadonlySet<Key>;

  constructor(spec: MigrationSpec, kept: ReadonlySet<Key>) {
    this.spec = spec;
    this.kept = kept;
  }

  takePuts(): readonly TailChange[] {
    const { puts } = this;
    this.puts = [];
    return puts;
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.sourceKeys += 1;
    this.put(source, targetKey);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.sourceKeys += 1;
    this.targetKeys += 1;
    const { rule } = imageRule(this.spec);
    const wanted = changedRecord(source, { key: toTargetKey(rule, source.key), expiresAtMs: null });
    if (!recordsEqual(wanted, permanentRecord(target))) this.put(source, target.key);
  }

  targetOnly({ key }: StoredRecord): void {
    this.targetKeys += 1;
    if (this.isOurs(key)) this.deletes.push(key);
  }

  notCarried(): void {
    // Neither of the two: it has no image.
  }

  /** Named by the next generation, which cannot prove it. */
  unplaced(): void {
    this.sourceKeys += 1;
  }

  private put({ value }: StoredRecord, key: Key): void {
    if (!this.isOurs(key)) return;
    this.putsTotal += 1;
    this.puts.push({ kind: 'put', key, value, expiresAtMs: null });
  }

  private isOurs(key: Key): boolean {
    return this.spec.inScope(key) && !this.kept.has(key);
  }
}
