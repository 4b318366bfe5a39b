/**
 * What functions are called with. Each takes an object, and what it does not know it leaves alone: a schedule's own event,
 * a test event of the console, `{}`.
 *
 *     schedule, direct        {}                              whatever is to be done
 *                             { again: true } …               as the handler says
 *     Distributed Map         { first, last }                 an item: chunks one after another, both ends included
 *                             { Items: [item, …] }            with an ItemBatcher
 *     SQS                     { Records: [{ body: item }] }   answered record by record
 *
 * Items name chunks; truth stays in the state. So an item that comes twice, late, or for another plan does no harm.
 */
import { chunkId, type ChunkId } from '@keyferry/core';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';

/** Chunks by name, for a plan if it is named: of another one there is nothing to do. */
export interface WorkItem {
  readonly plan: string | null;
  readonly chunks: readonly ChunkId[];
}

/** Most chunks that one item may name: a span that is larger is a mistake of whoever wrote it. */
const itemChunksMax = 100_000;

/** Null: it names no chunks, so that whatever is to be done is meant. @throws {TypeError} when it is no item */
export function parseItem(value: unknown): WorkItem | null {
  if (typeof value !== 'object' || value === null) return null;
  const { first, last, chunks, plan, Items } = value as Record<string, unknown>;
  if (Array.isArray(Items)) {
    const items = Items.map(parseItem).filter((item) => item !== null);
    if (items.length === 0) return null;
    return { plan: items[0]?.plan ?? null, chunks: items.flatMap((item) => item.chunks) };
  }
  const named = { plan: typeof plan === 'string' ? plan : null };
  if (Array.isArray(chunks)) return { ...named, chunks: chunks.map((chunk) => chunkId(chunkIndex(chunk))) };
  if (first === undefined && last === undefined) return null;
  const [from, to] = [chunkIndex(first), chunkIndex(last)];
  if (to < from || to - from >= itemChunksMax)
    throw new TypeError(`from ${String(first)} to ${String(last)} is no span`);
  return { ...named, chunks: Array.from({ length: to - from + 1 }, (_, i) => chunkId(from + i)) };
}

function chunkIndex(value: unknown): number {
  const digits = typeof value === 'string' ? /^c(\d{5,9})$/.exec(value)?.[1] : undefined;
  if (digits === undefined) throw new TypeError('first, last and chunks are names of chunks, such as c00042');
  return Number(digits);
}

export function isQueueEvent(event: unknown): event is SQSEvent {
  const records = (event as Partial<SQSEvent> | null)?.Records;
  return Array.isArray(records) && records.every(({ eventSource }) => eventSource === 'aws:sqs');
}

export interface QueuedItem {
  readonly record: SQSRecord;
  /** Null: the body is none, and never will be. */
  readonly item: WorkItem | null;
}

export function queuedItems({ Records }: SQSEvent): readonly QueuedItem[] {
  return Records.map((record) => {
    try {
      return { record, item: parseItem(JSON.parse(record.body)) };
    } catch {
      return { record, item: null };
    }
  });
}

/** Records whose item is done are taken off the queue; the others come again, and end in the dead-letter queue at last. */
export function queueAnswer(items: readonly QueuedItem[], isDone: (item: WorkItem) => boolean): SQSBatchResponse {
  const failed = items.filter(({ item }) => item === null || !isDone(item));
  return { batchItemFailures: failed.map(({ record }) => ({ itemIdentifier: record.messageId })) };
}

/** A flag of a direct call. */
export function flagOf(event: unknown, name: string): boolean {
  return typeof event === 'object' && event !== null && (event as Record<string, unknown>)[name] === true;
}

export function textsOf(event: unknown, name: string): readonly string[] {
  const value = typeof event === 'object' && event !== null ? (event as Record<string, unknown>)[name] : undefined;
  return Array.isArray(value) ? value.filter((text): text is string => typeof text === 'string') : [];
}
