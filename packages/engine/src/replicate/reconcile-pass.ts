/**
 * In place of changes that nobody can tell any more: both sides are compared, and the store that follows is made like the
 * one that is primary.
 *
 *     new position ─► scan both, each at or after it ─► puts and deletes ─► store the new position
 *
 * The position comes first, so that whatever moves during the scan is told by the feed again (SPEC R44). Which keys were
 * deleted needs no memory: a cutover goes through only once both sides are equal, so what the follower has and the primary
 * has not was deleted there since, either way. Deletes follow only from a scan that shows one state of the primary, or else from
 * a look at each key by itself (SPEC R114); never from an empty one, and past the plan's guards only if that was accepted by
 * name.
 */
import {
  changedRecord,
  countText,
  imageRule,
  KeyferryError,
  recordsEqual,
  toSourceKey,
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
import type { TailRoute } from './route.ts';
import { readBothSides } from './side-by-side.ts';
import type { Tail } from './tail.ts';

export interface ReconcileContext {
  readonly kept: ReadonlySet<Key>;
  readonly deletesAccepted: boolean;
  readonly signal: AbortSignal;
}

/** @throws {KeyferryError} `tail.deletes-guarded`: nothing was deleted */
export async function reconcilePass(
  engine: Engine,
  spec: MigrationSpec,
  tail: Tail,
  context: ReconcileContext,
): Promise<void> {
  const { feed } = tail.route;
  const position = await withRetry(engine, 'head of feed', () => feed.head(), context.signal);
  const found = new Differing(spec, tail.route, context.kept);
  const views = await openViews(engine, spec, context.signal);
  try {
    await joinViews(engine, imageRule(spec).rule, views, spansOf(spec).source, found, async () => {
      // Puts may go at once: each is what the primary held at or after the new position.
      await tail.applyAll(found.takePuts(), null);
    });
  } finally {
    await views.close();
  }
  const deletes = await provenDeletes(engine, spec, tail.route, found.deletes, context.signal);
  assertDeletesAllowed(spec, found, deletes.length, context.deletesAccepted);
  await tail.applyAll([...found.takePuts(), ...deletes], position);
  tail.count({ reconciled: 1 });
  engine.host.emit({
    code: 'tail.reconciled',
    data: { tail: tail.route.tail, puts: found.putsTotal, deletes: deletes.length },
  });
}

/** Of a primary that shows no one state, those whose keys are gone when each is looked at; what came since is told by the feed. */
async function provenDeletes(
  engine: Engine,
  spec: MigrationSpec,
  { tail, targetKeyOf }: TailRoute,
  deletes: readonly TailChange[],
  signal: AbortSignal,
): Promise<readonly TailChange[]> {
  const primary = tail === 'forward' ? engine.source : engine.target;
  if (primary.capabilities.pinnedView || deletes.length === 0) return deletes;
  const keys = deletes.map(({ key }) => targetKeyOf(key));
  const sides = await readBothSides(engine, spec, keys, signal);
  const gone = new Set(
    sides.filter((each) => (tail === 'forward' ? each.wanted : each.target) === null).map(({ targetKey }) => targetKey),
  );
  return deletes.filter((_, i) => gone.has(keys[i] as Key));
}

/** @throws {KeyferryError} `tail.deletes-guarded` */
function assertDeletesAllowed(
  { migration, guards }: MigrationSpec,
  { followerKeys: keys, primaryKeys }: Differing,
  deletes: number,
  accepted: boolean,
): void {
  if (deletes === 0) return;
  const refuse = (why: string): never => {
    throw new KeyferryError('tail.deletes-guarded', { migration, deletes, keys, why });
  };
  if (primaryKeys === 0) refuse('the primary store shows no record at all, which is not taken for an answer');
  if (accepted) return;
  if (deletes > guards.deletesMax) refuse(`the guard is ${countText(guards.deletesMax)} keys`);
  if (deletes > keys * guards.deleteShareMax) refuse(`the guard is a share of ${guards.deleteShareMax}`);
}

/** What the follower needs so that it is as the primary, as the route carries changes. */
class Differing implements JoinVisitor {
  readonly deletes: TailChange[] = [];
  putsTotal = 0;
  primaryKeys = 0;
  followerKeys = 0;
  private puts: TailChange[] = [];
  private readonly spec: MigrationSpec;
  private readonly route: TailRoute;
  private readonly kept: ReadonlySet<Key>;
  private readonly isBack: boolean;

  constructor(spec: MigrationSpec, route: TailRoute, kept: ReadonlySet<Key>) {
    this.spec = spec;
    this.route = route;
    this.kept = kept;
    this.isBack = route.tail === 'reverse';
  }

  takePuts(): readonly TailChange[] {
    const { puts } = this;
    this.puts = [];
    return puts;
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    if (this.isBack) this.followerOnly(targetKey);
    else this.primaryOnly(source, targetKey);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.primaryKeys += 1;
    this.followerKeys += 1;
    const { rule } = imageRule(this.spec);
    const wanted = changedRecord(source, { key: toTargetKey(rule, source.key), expiresAtMs: null });
    if (!recordsEqual(wanted, permanentRecord(target))) this.put(this.isBack ? target : source, target.key);
  }

  targetOnly(target: StoredRecord): void {
    if (this.isBack) this.primaryOnly(target, target.key);
    else this.followerOnly(target.key);
  }

  notCarried(): void {
    // Neither of the two: it has no image.
  }

  /** Named by the next generation, which cannot prove it. */
  unplaced(): void {
    if (!this.isBack) this.primaryKeys += 1;
  }

  private primaryOnly(record: StoredRecord, targetKey: Key): void {
    this.primaryKeys += 1;
    this.put(record, targetKey);
  }

  private followerOnly(targetKey: Key): void {
    this.followerKeys += 1;
    if (!this.isOurs(targetKey)) return;
    const { rule } = imageRule(this.spec);
    this.deletes.push({ kind: 'delete', key: this.isBack ? toSourceKey(rule, targetKey) : targetKey });
  }

  private put(record: StoredRecord, targetKey: Key): void {
    if (!this.isOurs(targetKey)) return;
    const change = this.isBack ? this.carriedBack(record) : copyOf(record, targetKey);
    if (change === null) return;
    this.putsTotal += 1;
    this.puts.push(change);
  }

  /** Null: it has no form in the source, which the next generation names. */
  private carriedBack({ key, value, version }: StoredRecord): TailChange | null {
    const carried = this.route.carry({ kind: 'put', key, value, version, expiresAtMs: null });
    return carried.kind === 'change' ? carried.change : null;
  }

  private isOurs(targetKey: Key): boolean {
    return this.spec.inScope(targetKey) && !this.kept.has(targetKey);
  }
}

/** Of an image, which has the value that the target takes. */
const copyOf = ({ value }: StoredRecord, key: Key): TailChange => ({ kind: 'put', key, value, expiresAtMs: null });
