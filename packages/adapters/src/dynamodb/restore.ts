/**
 * Going back on DynamoDB: before-images are put where what the migration wrote, or its deletion, still stands; each by a
 * write that expects exactly what was looked at. What it put back is noted in marks of its own.
 */
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import {
  KeyferryError,
  restoreStep,
  type BeforeImage,
  type Fence,
  type Restoration,
  type RestoreOutcome,
} from '@keyferry/core';
import { attribute, sameFence } from './control-items.ts';
import type { Guard, Step } from './guarded-writes.ts';
import type { Attributes } from './item-text.ts';
import { versionOf } from './items.ts';
import { writesMax } from './limits.ts';
import type { MarkBook } from './mark-book.ts';
import { encodeMark, type MarkEntry } from './marks.ts';
import { assertEpoch, deleteExactly, putOver, readItems, type TargetContext } from './target-context.ts';

/** A record that others write again and again. */
const roundsMax = 20;

/** One outcome for each, in order. @throws {KeyferryError} `fence.lost` */
export async function restoreAll(
  context: TargetContext,
  book: MarkBook,
  restorations: readonly Restoration[],
  epoch: Fence,
): Promise<readonly RestoreOutcome[]> {
  const outcomes: RestoreOutcome[] = [];
  for (let at = 0; at < restorations.length; at += writesMax) {
    outcomes.push(...(await restorePart(context, book, restorations.slice(at, at + writesMax), epoch)));
  }
  return outcomes;
}

async function restorePart(
  context: TargetContext,
  book: MarkBook,
  restorations: readonly Restoration[],
  epoch: Fence,
): Promise<readonly RestoreOutcome[]> {
  const guard = await EpochGuard.open(context, epoch);
  const outcomes = Array.from<RestoreOutcome>({ length: restorations.length });
  let open = [...restorations.keys()];
  for (let round = 1; open.length > 0; round += 1) {
    const found = await readItems(
      context,
      open.map((i) => (restorations[i] as Restoration).image.key),
    );
    const sent: { readonly at: number; readonly step: Step; readonly outcome: RestoreOutcome }[] = [];
    for (const at of open) {
      const restoration = restorations[at] as Restoration;
      const decision = await decide(context, book, restoration, found.get(restoration.image.key) ?? null);
      if (decision.step === null || round > roundsMax)
        outcomes[at] = decision.step === null ? decision.outcome : 'changed';
      else sent.push({ at, step: decision.step, outcome: decision.outcome });
    }
    const results = await context.writes.run(
      sent.map(({ step }) => step),
      guard,
    );
    for (const [i, { at, outcome }] of sent.entries()) if (results[i] === 'done') outcomes[at] = outcome;
    open = sent.filter((_, i) => results[i] !== 'done').map(({ at }) => at);
  }
  return outcomes;
}

async function decide(
  { items, nowMs }: TargetContext,
  book: MarkBook,
  restoration: Restoration,
  there: Attributes | null,
): Promise<{ readonly outcome: RestoreOutcome; readonly step: Step | null }> {
  const { image } = restoration;
  const { key, origin } = image;
  const found = there === null ? null : items.find(there, nowMs());
  if (found?.kind === 'unmapped' || found?.kind === 'own') return { outcome: 'changed', step: null };
  const wasDeleted = found?.kind !== 'tombstone' && (await book.wasDeleted(key));
  const present = found?.kind === 'record' ? await imageOf(book, found.record) : null;
  const step = restoreStep(restoration, present, wasDeleted, nowMs());
  const before = found?.kind === 'tombstone' ? null : there;
  if (step.kind === 'leave') return { outcome: step.outcome, step: null };
  const back: MarkEntry | null = origin === 'foreign' ? { key, kind: 'back', version: null } : null;
  if (step.kind === 'remove') {
    if (before === null) return { outcome: step.outcome, step: null };
    const action = deleteExactly(items, key, before);
    return typeof action === 'string'
      ? { outcome: 'changed', step: null }
      : { outcome: step.outcome, step: { action, entry: back } };
  }
  const item = items.build(image, before === null ? {} : items.restOf(before));
  const action = putOver(items, item, before);
  if (typeof action === 'string') return { outcome: 'changed', step: null };
  const entry: MarkEntry | null = step.own ? { key, kind: 'replaced', version: versionOf(item) } : back;
  return { outcome: step.outcome, step: { action, entry } };
}

export async function imageOf(book: MarkBook, record: Omit<BeforeImage, 'origin'>): Promise<BeforeImage> {
  return { ...record, origin: await book.originOf(record.key, record.version) };
}

/** The epoch, checked with each transaction; marks only for what they are needed for. */
export class EpochGuard implements Guard {
  private readonly context: TargetContext;
  private readonly epoch: Fence;
  private marks: number;

  private constructor(context: TargetContext, epoch: Fence, marks: number) {
    this.context = context;
    this.epoch = epoch;
    this.marks = marks;
  }

  /** @throws {KeyferryError} `fence.lost` */
  static async open(context: TargetContext, epoch: Fence): Promise<EpochGuard> {
    return new EpochGuard(context, epoch, marksOf(await assertEpoch(context, epoch)));
  }

  items(entries: readonly MarkEntry[]): readonly TransactWriteItem[] {
    const { control } = this.context;
    const epochKey = control.epoch(0);
    if (entries.length === 0) return [control.checkFence(epochKey, this.epoch)];
    return [
      control.countMark(epochKey, this.epoch, attribute.back, this.marks),
      control.putBody(control.back(this.marks + 1), encodeMark(entries)),
    ];
  }

  async refused(): Promise<void> {
    const { connection, control } = this.context;
    const [item] = await connection.getMany([control.epoch(0)]);
    if (!sameFence(control.fenceOf(item), this.epoch)) {
      throw new KeyferryError('fence.lost', { chunk: `all of ${control.migration}` });
    }
    this.marks = marksOf(item ?? {});
  }

  done(entries: readonly MarkEntry[]): void {
    if (entries.length === 0) return;
    this.marks += 1;
    this.context.noteMarks(entries);
  }

  async amend(entries: readonly MarkEntry[]): Promise<void> {
    const { connection, control } = this.context;
    await connection.transact([control.putBody(control.back(this.marks), encodeMark(entries))]);
  }
}

const marksOf = (item: Attributes): number => Number(item[attribute.back]?.N ?? 0);
