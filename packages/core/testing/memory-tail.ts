/**
 * The tails of a memory store, as one who writes to it sees them. Every method does all its work inside the call: changes
 * and position are one transaction. The reference for adapters, as memory-control.ts is.
 */
import {
  compareFences,
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
} from '../src/index.ts';
import type { ControlContext, MemoryTail } from './memory-control.ts';

/** For the simulator, where an answer may be lost on its way: then the caller repeats with the number of the write before. */
export interface MemoryTailWriter extends TailWriter {
  applyAs(sequence: number, changes: readonly TailChange[], position: Position | null): Promise<readonly TailOutcome[]>;
}

export class MemoryTailControl implements TailControl {
  readonly capabilities: TailCapabilities;
  private readonly context: ControlContext;

  constructor(context: ControlContext) {
    this.context = context;
    this.capabilities = { atomic: true, fencing: true, changesMax: context.capabilities.batchKeysMax };
  }

  async readTail(tail: TailName): Promise<TailRecord | null> {
    return this.context.run('readTail', () => {
      const record = this.context.own.tails.get(tail);
      return record === undefined ? null : { fence: record.fence, position: record.position };
    });
  }

  async claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim> {
    const { run, own, rules } = this.context;
    return run('claimTail', () => {
      const held = own.tails.get(tail) ?? null;
      const isHigher = !rules.tailFence || held === null || compareFences(fence, held.fence) > 0;
      if (!isHigher || !this.epochIs(epoch)) return { kind: 'refused', fence: held?.fence ?? null, epoch: own.epoch };
      const claimed: MemoryTail = { fence, position: held?.position ?? null, sequence: 0, outcomes: [] };
      own.tails.set(tail, claimed);
      return { kind: 'claimed', position: claimed.position, writer: this.writer(tail, fence, epoch) };
    });
  }

  private writer(tail: TailName, fence: Fence, epoch: Fence): MemoryTailWriter {
    const { run, own, rules, capabilities } = this.context;
    // Of the writes of this owner that were answered. The one after them carries it, and so does its repeat.
    let answered = 0;
    const apply = (
      changes: readonly TailChange[],
      position: Position | null,
      sequence: number,
    ): readonly TailOutcome[] => {
      invariant(changes.length <= capabilities.batchKeysMax, `${changes.length} changes at once`);
      invariant(new Set(changes.map(({ key }) => key)).size === changes.length, 'a key twice in one apply');
      const held = own.tails.get(tail);
      const isMine = !rules.tailFence || (held !== undefined && compareFences(held.fence, fence) === 0);
      const isOwn = held !== undefined && compareFences(held.fence, fence) === 0;
      const isLate = rules.tailSequence && isOwn && held.sequence > sequence;
      if (!isMine || isLate || !this.epochIs(epoch)) throw new KeyferryError('fence.lost', { chunk: tail });
      // It was applied before, and only the answer was lost.
      if (rules.tailSequence && isOwn && held.sequence === sequence) return held.outcomes;
      const outcomes = changes.map((change) => this.change(tail, change));
      own.tails.set(tail, { fence, position: position ?? held?.position ?? null, sequence, outcomes });
      return outcomes;
    };
    const applyAs: MemoryTailWriter['applyAs'] = async (sequence, changes, position) => {
      return run('apply', () => apply(changes, position, sequence));
    };
    return {
      applyAs,
      apply: async (changes, position) => {
        const outcomes = await applyAs(answered + 1, changes, position);
        answered += 1;
        return outcomes;
      },
    };
  }

  private change(tail: TailName, change: TailChange): TailOutcome {
    const { data, own, rules } = this.context;
    const detail = this.refusal(change);
    if (detail !== null) return { kind: 'refused', detail };
    const { key } = change;
    if (change.kind === 'delete') {
      data.delete(key);
      if (tail === 'forward' && rules.tailTombstones) own.tombstones.add(key);
      return { kind: 'deleted' };
    }
    own.tombstones.delete(key);
    return { kind: 'written', version: data.put(key, change.value, change.expiresAtMs) };
  }

  private refusal(change: TailChange): string | null {
    const { recordBytesMax, emptyKeys } = this.context.capabilities;
    if (change.key.length === 0 && !emptyKeys) return 'the key is empty';
    const bytes = recordBytes(change);
    return recordBytesMax !== null && bytes > recordBytesMax ? `${bytes} bytes, at most ${recordBytesMax}` : null;
  }

  private epochIs(epoch: Fence): boolean {
    const { own, rules } = this.context;
    return !rules.epoch || (own.epoch !== null && compareFences(own.epoch, epoch) === 0);
  }
}
