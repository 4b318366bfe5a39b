/**
 * Goal: every form in which work reaches a function names the same chunks, and a message is taken off its queue only when
 * its chunks are done; a record of a stream only when it is carried.
 * Method: events as their senders write them, malformed ones among them.
 */
import type { SQSEvent, SQSRecord } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import {
  flagOf,
  isQueueEvent,
  isStreamEvent,
  parseItem,
  queueAnswer,
  queuedItems,
  streamAnswer,
  streamNotices,
  textsOf,
} from './events.ts';

const record = (messageId: string, body: string) => ({ messageId, body, eventSource: 'aws:sqs' }) as SQSRecord;
const queue = (...Records: SQSRecord[]): SQSEvent => ({ Records });

describe('an event', () => {
  it.each([
    { name: 'a span', event: { first: 'c00002', last: 'c00004' }, chunks: ['c00002', 'c00003', 'c00004'] },
    { name: 'one chunk', event: { first: 'c00009', last: 'c00009', plan: 'pln_A' }, plan: 'pln_A', chunks: ['c00009'] },
    { name: 'names', event: { chunks: ['c00001', 'c00007'] }, chunks: ['c00001', 'c00007'] },
    {
      name: 'a batch of items',
      event: { BatchInput: {}, Items: [{ first: 'c00000', last: 'c00001', plan: 'pln_A' }, { chunks: ['c00005'] }] },
      plan: 'pln_A',
      chunks: ['c00000', 'c00001', 'c00005'],
    },
  ])('of $name names its chunks', ({ event, chunks, plan = null }) => {
    expect(parseItem(event)).toEqual({ plan, chunks });
  });

  it.each([
    {},
    null,
    'tick',
    { Items: [] },
    { again: true },
    { source: 'aws.scheduler', 'detail-type': 'Scheduled Event', detail: {} },
  ])('that names none means whatever is to be done: %j', (event) => expect(parseItem(event)).toBeNull());

  it.each([
    { first: 'c00004', last: 'c00002' },
    { first: 'c00000' },
    { first: '4', last: '5' },
    { chunks: [7] },
    { first: 'c00000', last: 'c999999999' },
  ])('that is malformed is refused: %j', (event) => expect(() => parseItem(event)).toThrow(TypeError));

  it('has flags and texts, where they are what they should be', () => {
    expect([flagOf({ again: true }, 'again'), flagOf({ again: 'yes' }, 'again'), flagOf(null, 'again')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(textsOf({ accept: ['backup.none', 3] }, 'accept')).toEqual(['backup.none']);
    expect(textsOf({}, 'accept')).toEqual([]);
  });
});

describe('a message of a queue', () => {
  const event = queue(
    record('done', '{"first":"c00000","last":"c00001"}'),
    record('left', '{"chunks":["c00001","c00002"]}'),
    record('broken', 'not json'),
    record('empty', '{}'),
  );

  it('comes again unless all of its chunks are done', () => {
    expect(isQueueEvent(event)).toBe(true);
    const left = new Set(['c00002']);
    const answer = queueAnswer(queuedItems(event), ({ chunks }) => !chunks.some((chunk) => left.has(chunk)));
    expect(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)).toEqual(['left', 'broken', 'empty']);
  });

  it('is told from other records', () => {
    expect(isQueueEvent({ Records: [{ eventSource: 'aws:dynamodb' }] })).toBe(false);
    expect([isQueueEvent({}), isQueueEvent(null), isQueueEvent(queue())]).toEqual([false, false, true]);
  });
});

describe('a batch of a stream', () => {
  const log = 'arn:aws:dynamodb:eu-west-1:123456789012:table/flags/stream/2026-11-28T10:22:00.633';
  const changed = (number: string, id: string) => ({
    eventID: 'c4ca4238a0b923820dcc509a6f75849b',
    eventName: 'MODIFY' as const,
    eventVersion: '1.1',
    eventSource: 'aws:dynamodb',
    awsRegion: 'eu-west-1',
    dynamodb: {
      ApproximateCreationDateTime: 1_795_861_320,
      Keys: { id: { S: id } },
      NewImage: { id: { S: id }, value: { S: 'secret' } },
      SequenceNumber: number,
      SizeBytes: 26,
      StreamViewType: 'NEW_AND_OLD_IMAGES' as const,
    },
    eventSourceARN: log,
  });
  const event = { Records: [changed('111000000000000000001', 'a'), changed('111000000000000000002', 'b')] };

  it('says what changed and nothing of what it holds', () => {
    expect(isStreamEvent(event)).toBe(true);
    expect(streamNotices(event)).toEqual([
      { log, number: '111000000000000000001', keys: { id: { S: 'a' } } },
      { log, number: '111000000000000000002', keys: { id: { S: 'b' } } },
    ]);
  });

  it('is answered with what is left, and with nothing where all is carried', () => {
    expect(streamAnswer(streamNotices(event).slice(1))).toEqual({
      batchItemFailures: [{ itemIdentifier: '111000000000000000002' }],
    });
    expect(streamAnswer([])).toEqual({ batchItemFailures: [] });
  });

  it('is told from other records, and refused where it cannot be answered', () => {
    expect([{}, null, { Records: [] }, queue(record('a', '{}'))].some(isStreamEvent)).toBe(false);
    const [first] = event.Records;
    for (const part of [
      { eventSourceARN: undefined },
      { dynamodb: {} },
      { dynamodb: { Keys: {}, SequenceNumber: 'x' } },
    ]) {
      const broken = { Records: [{ ...first, ...part }] } as typeof event;
      expect(() => streamNotices(broken)).toThrow(TypeError);
    }
  });
});
