/**
 * What functions are called with. Each takes an object, and what it does not know it leaves alone: a schedule's own event,
 * a test event of the console, `{}`.
 *
 *     schedule, direct        {}                              whatever is to be done
 *                             { again: true } …               as the handler says
 *     Distributed Map         { first, last }                 an item: chunks one after another, both ends included
 *                             { Items: [item, …] }            with an ItemBatcher
 *     SQS                     { Records: [{ body: item }] }   answered record by record
 *     a stream of DynamoDB    { Records: [{ dynamodb }] }     a tail is woken; answered record by record
 *
 * Items name chunks; truth stays in the state. So an item that comes twice, late, or for another plan does no harm.
 */
import { chunkId, type ChunkId, type FeedNotice } from '@keyferry/core';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';

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

export function isStreamEvent(event: unknown): event is DynamoDBStreamEvent {
  const records = (event as Partial<DynamoDBStreamEvent> | null)?.Records;
  return Array.isArray(records) && records.length > 0 && records.every((each) => each.eventSource === 'aws:dynamodb');
}

/** Of each record no more than that it is there. @throws {TypeError} for a record without stream, number or key */
export function streamNotices({ Records }: DynamoDBStreamEvent): readonly FeedNotice[] {
  return Records.map(({ eventSourceARN: log, dynamodb }) => {
    const { SequenceNumber: number = '', Keys: keys } = dynamodb ?? {};
    if (log === undefined || !/^\d{1,40}$/.test(number) || keys === undefined)
      throw new TypeError('a record of a stream has an ARN, a sequence number and the keys of an item');
    return { log, number, keys: { ...keys } };
  });
}

/** What is left comes again, from the first of it on; an empty answer acknowledges all. */
export function streamAnswer(left: readonly FeedNotice[]): DynamoDBBatchResponse {
  return { batchItemFailures: left.map(({ number }) => ({ itemIdentifier: number })) };
}

/** A flag of a direct call. */
export function flagOf(event: unknown, name: string): boolean {
  return typeof event === 'object' && event !== null && (event as Record<string, unknown>)[name] === true;
}

export function textsOf(event: unknown, name: string): readonly string[] {
  const value = typeof event === 'object' && event !== null ? (event as Record<string, unknown>)[name] : undefined;
  return Array.isArray(value) ? value.filter((text): text is string => typeof text === 'string') : [];
}
