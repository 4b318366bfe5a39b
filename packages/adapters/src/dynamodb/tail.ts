/**
 * What carries a feed's changes into a table.
 *
 *     transactions   [ record of the tail as its owner left it → next, epoch mine, changes … ]     one step, with the position
 *     single         [ record → next, epoch mine ]  then  change, change …  then  [ position ]     half the price, and no fence
 *
 * The record counts its writes, and each expects the count that its owner knows: a request that comes late finds another one
 * and does nothing, and one whose answer was lost is known by it, and sent once more. Changes expect nothing of what is there;
 * attributes that belong to no record are read before and kept.
 */
import { GetItemCommand, type TransactWriteItem } from '@aws-sdk/client-dynamodb';
import {
  fenceToText,
  invariant,
  KeyferryError,
  recordBytes,
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
} from '@keyferry/core';
import type { Lanes } from '../lanes.ts';
import { actionBytes, type Action } from './connection.ts';
import { attribute, sameFence, shards } from './control-items.ts';
import { attributesBytes, type Attributes } from './item-text.ts';
import { versionOf } from './items.ts';
import { itemBytesMax, transactionBytesMax, writesMax, type WriteMode } from './limits.ts';
import { recordBytesMaxOf, tombstoneAttribute, tombstoneOf, unfitFor } from './mapping.ts';
import { readItems, type TargetContext } from './target-context.ts';

export interface TailContext extends Pick<TargetContext, 'connection' | 'items' | 'control'> {
  readonly writeMode: WriteMode;
  readonly lanes: Lanes;
}

export class DynamoDbTailControl implements TailControl {
  readonly capabilities: TailCapabilities;
  private readonly context: TailContext;

  constructor(context: TailContext) {
    this.context = context;
    const isFenced = context.writeMode === 'transactions';
    this.capabilities = { atomic: isFenced, fencing: isFenced, changesMax: writesMax };
  }

  async readTail(tail: TailName): Promise<TailRecord | null> {
    const held = await readHeld(this.context, tail);
    return held === null ? null : { fence: held.fence, position: held.position };
  }

  async claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { connection, control } = this.context;
    const result = await connection.transact([
      control.checkFence(control.epoch(tailShard), epoch),
      control.raiseFence(control.tail(tail), fence),
    ]);
    const held = await readHeld(this.context, tail);
    if (result.kind === 'cancelled' || held === null || !sameFence(held.fence, fence)) {
      return { kind: 'refused', fence: held?.fence ?? null, epoch: await readEpoch(this.context) };
    }
    const writer = new DynamoDbTailWriter(this.context, tail, epoch, held);
    return { kind: 'claimed', position: held.position, writer };
  }
}

/** The epoch is the same in every shard; chunks begin at 0, tails look at the last. */
const tailShard = shards - 1;

interface HeldTail extends TailRecord {
  /** Writes of all owners so far. */
  readonly sequence: number;
}

interface Part {
  readonly at: number;
  readonly action: Action;
  readonly outcome: TailOutcome;
}

class DynamoDbTailWriter implements TailWriter {
  private readonly context: TailContext;
  private readonly tail: TailName;
  private readonly epoch: Fence;
  private readonly unfit;
  /** As this owner left it. */
  private held: HeldTail;

  constructor(context: TailContext, tail: TailName, epoch: Fence, held: HeldTail) {
    this.context = context;
    this.tail = tail;
    this.epoch = epoch;
    this.held = held;
    this.unfit = unfitFor(context.items.mapping);
  }

  async apply(changes: readonly TailChange[], position: Position | null): Promise<readonly TailOutcome[]> {
    invariant(changes.length <= writesMax, `${changes.length} changes at once`);
    const outcomes = Array.from<TailOutcome>({ length: changes.length });
    const parts: Part[] = [];
    const rest = await this.readRest(changes);
    for (const [at, change] of changes.entries()) {
      const made = this.partOf(change, rest.get(change.key) ?? null);
      if ('kind' in made) outcomes[at] = made;
      else parts.push({ at, ...made });
    }
    const groups = groupsOf(parts);
    if (this.context.writeMode === 'single') await this.sendApart(parts, position);
    else for (const [i, group] of groups.entries()) await this.send(group, i === groups.length - 1 ? position : null);
    for (const { at, outcome } of parts) outcomes[at] = outcome;
    return outcomes;
  }

  private async sendApart(parts: readonly Part[], position: Position | null): Promise<void> {
    await this.send([], null);
    await this.context.lanes.all(parts, ({ action }) => this.context.connection.write(action));
    if (position !== null) await this.send([], position);
  }

  private async send(parts: readonly Part[], position: Position | null): Promise<void> {
    const { connection, control } = this.context;
    for (let tries = 1; ; tries += 1) {
      const next: HeldTail = {
        fence: this.held.fence,
        sequence: this.held.sequence + 1,
        position: position ?? this.held.position,
      };
      const result = await connection.transact([
        moveTail(this.context, this.tail, this.held, next),
        control.checkFence(control.epoch(tailShard), this.epoch),
        ...parts.map(({ action }) => connection.transactItem(action)),
      ]);
      if (result.kind === 'done') {
        this.held = next;
        return;
      }
      await this.adopt(next, tries);
    }
  }

  /**
   * The record is not as it was left. Its own write did that, if that is the one whose answer was lost.
   * @throws {KeyferryError} `fence.lost`
   */
  private async adopt(sent: HeldTail, tries: number): Promise<void> {
    const [held, epoch] = await Promise.all([readHeld(this.context, this.tail), readEpoch(this.context)]);
    const isOwn = held !== null && sameFence(held.fence, sent.fence) && held.sequence === sent.sequence;
    if (!isOwn || tries > 1 || !sameFence(epoch, this.epoch)) {
      throw new KeyferryError('fence.lost', { chunk: `${this.tail} tail` });
    }
    this.held = held;
  }

  /** What is there, where a put has to keep something of it. */
  private async readRest(changes: readonly TailChange[]): Promise<ReadonlyMap<string, Attributes | null>> {
    if (this.context.items.mapping.leaveOut.size === 0) return new Map();
    const keys = changes.filter(({ kind }) => kind === 'put').map(({ key }) => key);
    return await readItems(this.context, keys);
  }

  private partOf(change: TailChange, there: Attributes | null): Omit<Part, 'at'> | TailOutcome {
    const { items, control } = this.context;
    const { key } = change;
    if (key.startsWith(items.reservedPrefix)) {
      return { kind: 'refused', detail: `the key lies under ${items.reservedPrefix}, where keyferry keeps its own` };
    }
    if (change.kind === 'delete') {
      const itemKey = items.keyOf(key);
      // No item can have such a key, so none is there.
      if (itemKey === null) return { kind: 'deleted' };
      const tombstone = { ...itemKey, [tombstoneAttribute]: { S: tombstoneOf(control.migration) } };
      const action = this.tail === 'forward' ? { put: tombstone, when: null } : { delete: itemKey, when: null };
      return { action, outcome: { kind: 'deleted' } };
    }
    const bytes = recordBytes(change);
    const bytesMax = recordBytesMaxOf(items.mapping);
    const detail = bytesMax !== null && bytes > bytesMax ? `${bytes} bytes, at most ${bytesMax}` : this.unfit(change);
    if (detail !== null) return { kind: 'refused', detail };
    const item = items.build(change, there === null ? {} : items.restOf(there));
    const itemBytes = attributesBytes(item);
    if (itemBytes > itemBytesMax) {
      return { kind: 'refused', detail: `an item of ${itemBytes} bytes, at most ${itemBytesMax}` };
    }
    return { action: { put: item, when: null }, outcome: { kind: 'written', version: versionOf(item) } };
  }
}

/** Cut at what a transaction takes; one at least, for the position. */
function groupsOf(parts: readonly Part[]): readonly (readonly Part[])[] {
  const groups: Part[][] = [[]];
  let bytes = 0;
  for (const part of parts) {
    const size = actionBytes(part.action);
    if (bytes > 0 && bytes + size > transactionBytesMax) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(part);
    bytes += size;
  }
  return groups;
}

function moveTail({ control }: TailContext, tail: TailName, held: HeldTail, next: HeldTail): TransactWriteItem {
  const isFirst = held.sequence === 0;
  return {
    Update: {
      TableName: control.table,
      Key: control.tail(tail),
      UpdateExpression: `SET #sequence = :next${next.position === null ? '' : ', #position = :position'}`,
      ConditionExpression: `#fence = :fence AND ${isFirst ? '(attribute_not_exists(#sequence) OR #sequence = :sequence)' : '#sequence = :sequence'}`,
      ExpressionAttributeNames: {
        '#fence': attribute.fence,
        '#sequence': attribute.sequence,
        ...(next.position !== null && { '#position': attribute.position }),
      },
      ExpressionAttributeValues: {
        ':fence': { S: fenceToText(held.fence) },
        ':sequence': { N: String(held.sequence) },
        ':next': { N: String(next.sequence) },
        ...(next.position !== null && { ':position': { S: next.position } }),
      },
    },
  };
}

async function readHeld(context: TailContext, tail: TailName): Promise<HeldTail | null> {
  const { control } = context;
  const item = await readItem(context, control.tail(tail));
  const fence = control.fenceOf(item);
  if (fence === null) return null;
  const position = (item?.[attribute.position]?.S ?? null) as Position | null;
  return { fence, position, sequence: Number(item?.[attribute.sequence]?.N ?? 0) };
}

async function readEpoch(context: TailContext): Promise<Fence | null> {
  const { control } = context;
  return control.fenceOf(await readItem(context, control.epoch(tailShard)));
}

async function readItem({ connection, control }: TailContext, key: Attributes): Promise<Attributes | undefined> {
  const input = { TableName: control.table, Key: { ...key }, ConsistentRead: true };
  return (await connection.send((client) => client.send(new GetItemCommand(input)))).Item;
}
