/**
 * What carries a feed's changes into etcd v2, most of all back to it after a cutover.
 *
 *     look (record as this owner left it, epoch mine) ──► changes, several at once ──► record with the position, compared
 *
 * One request changes one key, so nothing holds the parts together: a look is no guard, an owner that was replaced and stood
 * still may still write what it had begun, and the position comes after the changes. The capabilities say so. Changes are
 * repeated until the position is stored; they say what is to be and not what to do to it, so a repeat has the same end.
 *
 * A put clears its tombstone behind it, a delete writes it before: in between backfill sees a record, or a tombstone.
 */
import {
  compareFences,
  invariant,
  keyForDisplay,
  KeyferryError,
  type Fence,
  type Position,
  type TailCapabilities,
  type TailChange,
  type TailClaim,
  type TailControl,
  type TailName,
  type TailOutcome,
  type TailRecord,
  type TailWriter,
  type Version,
} from '@keyferry/core';
import { tailFromText, tailToText, type HeldTail } from '../tail-record.ts';
import { refusalOf } from './chunk-writer.ts';
import { fenceOf } from './control-keys.ts';
import { directoriesAbove } from './key-form.ts';
import { newValue, type TargetContext } from './target-context.ts';
import type { NewValue } from './write-api.ts';

const changesMax = 128;

export class EtcdV2TailControl implements TailControl {
  readonly capabilities: TailCapabilities = { atomic: false, fencing: false, changesMax };
  private readonly context: TargetContext;

  constructor(context: TargetContext) {
    this.context = context;
  }

  async readTail(tail: TailName): Promise<TailRecord | null> {
    const { held } = await readHeld(this.context, tail);
    return held === null ? null : { fence: held.fence, position: held.position };
  }

  async claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { writes, keys } = this.context;
    for (;;) {
      const [{ held, index }, currentEpoch] = await Promise.all([
        readHeld(this.context, tail),
        readEpoch(this.context),
      ]);
      const isHigher = held === null || compareFences(fence, held.fence) > 0;
      if (!isHigher || currentEpoch === null || compareFences(epoch, currentEpoch) !== 0) {
        return { kind: 'refused', fence: held?.fence ?? null, epoch: currentEpoch };
      }
      const claimed: HeldTail = { fence, sequence: 0, position: held?.position ?? null };
      const key = keys.tail(tail);
      const answer =
        index === null
          ? await writes.create(key, contentOf(claimed))
          : await writes.compareAndSwap(key, index, contentOf(claimed));
      if (answer.kind !== 'written') continue;
      const writer = new EtcdV2TailWriter(this.context, tail, epoch, claimed, answer.index);
      return { kind: 'claimed', writer, position: claimed.position };
    }
  }
}

class EtcdV2TailWriter implements TailWriter {
  private readonly context: TargetContext;
  private readonly tail: TailName;
  private readonly epoch: Fence;
  /** As this owner left it. */
  private held: HeldTail;
  private index: number;

  constructor(context: TargetContext, tail: TailName, epoch: Fence, held: HeldTail, index: number) {
    this.context = context;
    this.tail = tail;
    this.epoch = epoch;
    this.held = held;
    this.index = index;
  }

  async apply(changes: readonly TailChange[], position: Position | null): Promise<readonly TailOutcome[]> {
    invariant(changes.length <= changesMax, `${changes.length} changes at once`);
    await this.look();
    const outcomes: TailOutcome[] = [];
    for (const group of groupsOf(changes)) {
      outcomes.push(...(await this.context.lanes.all(group, (change) => this.change(change))));
    }
    if (position !== null) await this.store(position);
    return outcomes;
  }

  /** @throws {KeyferryError} `fence.lost` */
  private async look(): Promise<void> {
    const [{ held, index }, epoch] = await Promise.all([readHeld(this.context, this.tail), readEpoch(this.context)]);
    if (epoch === null || compareFences(epoch, this.epoch) !== 0) throw this.lost();
    if (held === null || index === null || compareFences(held.fence, this.held.fence) !== 0) throw this.lost();
    // Of this owner: at most one write of it is in doubt, and that is the one before.
    this.held = held;
    this.index = index;
  }

  private async store(position: Position): Promise<void> {
    const next: HeldTail = { fence: this.held.fence, sequence: this.held.sequence + 1, position };
    const key = this.context.keys.tail(this.tail);
    const answer = await this.context.writes.compareAndSwap(key, this.index, contentOf(next));
    if (answer.kind !== 'written') throw this.lost();
    this.held = next;
    this.index = answer.index;
  }

  private async change(change: TailChange): Promise<TailOutcome> {
    const { writes, keys, nowMs, reservedPrefix } = this.context;
    const { key } = change;
    const detail = refusalOf(change, reservedPrefix);
    if (detail !== null) {
      const cannotBeThere = change.kind === 'delete' && !key.startsWith(reservedPrefix);
      return cannotBeThere ? { kind: 'deleted' } : { kind: 'refused', detail };
    }
    const tomb = keys.tomb(key);
    if (change.kind === 'delete') {
      if (this.tail === 'forward') await writes.set(tomb, { value: noBytes, ttlSeconds: null });
      // Where a directory stands, or a value above it, there is no such record either.
      await writes.remove(key);
      return { kind: 'deleted' };
    }
    const value = newValue(change, nowMs());
    let answer = await writes.set(key, value);
    // What is left of keys that went is a directory that nobody sees.
    if (answer.kind === 'no-place' && (await writes.removeDirectory(key)).kind === 'written') {
      answer = await writes.set(key, value);
    }
    if (answer.kind !== 'written') {
      const why = answer.kind === 'no-place' ? answer.detail : 'the store takes no value there';
      return { kind: 'refused', detail: why };
    }
    await writes.remove(tomb);
    return { kind: 'written', version: String(answer.index) as Version };
  }

  private lost(): KeyferryError {
    return new KeyferryError('fence.lost', { chunk: `${this.tail} tail` });
  }
}

/** Stretches of changes whose order is nobody's matter: in none of them one key lies below another. */
export function groupsOf<T extends Pick<TailChange, 'key'>>(changes: readonly T[]): readonly (readonly T[])[] {
  const groups: T[][] = [];
  let group: T[] = [];
  let keys = new Set<string>();
  let directories = new Set<string>();
  for (const change of changes) {
    const above = directoriesAbove(change.key);
    if (directories.has(change.key) || above.some((directory) => keys.has(directory))) {
      groups.push(group);
      [group, keys, directories] = [[], new Set(), new Set()];
    }
    group.push(change);
    keys.add(change.key);
    for (const directory of above) directories.add(directory);
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

const noBytes = new Uint8Array();

const contentOf = (held: HeldTail): NewValue => ({ value: Buffer.from(tailToText(held), 'utf8'), ttlSeconds: null });

async function readEpoch({ store, writes, keys }: TargetContext): Promise<Fence | null> {
  return fenceOf(store, keys.epoch, await writes.read(keys.epoch));
}

async function readHeld(
  { store, writes, keys }: TargetContext,
  tail: TailName,
): Promise<{ readonly held: HeldTail | null; readonly index: number | null }> {
  const key = keys.tail(tail);
  const node = await writes.read(key);
  if (node === null) return { held: null, index: null };
  const held = node.value === null ? null : tailFromText(Buffer.from(node.value).toString('utf8'));
  if (held === null) throw new KeyferryError('fence.unreadable', { store, where: keyForDisplay(key) });
  return { held, index: node.modifiedIndex };
}
