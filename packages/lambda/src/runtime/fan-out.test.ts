/**
 * Goal: what dispatch puts into a queue and backfill gives back to it is what a queue of SQS would get, signed, in requests
 * that it takes; and nothing is sent twice while there is something in it.
 * Method: the local cloud's queue over HTTP, which keeps SQS's limit of a request.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openWorkQueue, systemClock, systemRandom } from '@keyferry/adapters';
import { LocalQueue, recordOf } from '../local/local-queue.ts';
import { queueAnswer, queuedItems } from './events.ts';
import { fillQueue, giveBack, workQueue } from './fan-out.ts';

const env = { clock: systemClock, random: systemRandom, host: { emit: () => undefined } };
const region = { AWS_REGION: 'eu-west-1' };
const items = (count: number) => Array.from({ length: count }, (_, i) => ({ first: 'c00000', last: 'c00000', i }));
const host = { log: () => undefined };
let queue: LocalQueue;

beforeEach(async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'a-key-of-the-test' });
  queue = await LocalQueue.start({ visibilityMs: 60_000, receivesMax: 2 });
});
afterEach(async () => {
  await queue.close();
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
});

describe('a queue', () => {
  it('gets all items, in as many requests as it takes', async () => {
    expect(await fillQueue(env, openWorkQueue(queue.url, region), items(207))).toBe(207);
    expect(queue.depth).toBe(207);
    expect(JSON.parse(queue.receive()?.body ?? '')).toEqual({ first: 'c00000', last: 'c00000', i: 0 });
  });

  it('gets nothing while there is something in it, worked on or not, and all again once it has run dry', async () => {
    const work = openWorkQueue(queue.url, region);
    await fillQueue(env, work, items(1));
    expect(await fillQueue(env, work, items(5))).toBe(0);
    const received = queue.receive();
    expect(await fillQueue(env, work, items(5))).toBe(0);
    queue.delete({ messageId: received?.messageId ?? '' });
    expect(await fillQueue(env, work, items(5))).toBe(5);
  });

  it('that is not there, or out of reach, is named', async () => {
    const other = queue.url.replace('items', 'others');
    await expect(openWorkQueue(other, region).depth()).rejects.toMatchObject({
      code: 'queue.unusable',
      details: { url: other, detail: 'AmazonSQS.GetQueueAttributes answered 400 QueueDoesNotExist' },
    });
    const gone = await LocalQueue.start({ visibilityMs: 1 });
    const { url } = gone;
    await gone.close();
    await expect(openWorkQueue(url, region).depth()).rejects.toMatchObject({
      code: 'queue.unreachable',
    });
  });

  it('is none where the deployment names none', () => {
    expect(workQueue({})).toBeNull();
    expect(workQueue({ KEYFERRY_QUEUE_URL: '' })).toBeNull();
    expect(workQueue({ KEYFERRY_QUEUE_URL: queue.url })).not.toBeNull();
  });
});

describe('an item that is not done', () => {
  const work = () => openWorkQueue(queue.url, region);
  const receive = async () => {
    const message = queue.receive();
    if (message === null) throw new TypeError('nothing is visible');
    const received = queuedItems({ Records: [recordOf(message)] });
    return { received, answer: queueAnswer(received, () => false) };
  };

  it('comes again at once when its time ran out, and is a dead letter when that happens too often', async () => {
    await fillQueue(env, work(), items(1));
    for (const _ of [1, 2]) {
      const { received, answer } = await receive();
      expect(queue.receive()).toBeNull();
      await giveBack(work(), host, received, answer, 'more');
    }
    expect(queue.receive()).toBeNull();
    expect([queue.depth, queue.deadLetters.length]).toEqual([0, 1]);
  });

  it('stays away while others have its chunks', async () => {
    await fillQueue(env, work(), items(1));
    const { received, answer } = await receive();
    await giveBack(work(), host, received, answer, 'waiting');
    expect(queue.receive()).toBeNull();
  });

  it('comes when the queue says where it cannot be given back', async () => {
    await fillQueue(env, work(), items(1));
    const { received, answer } = await receive();
    const logged: string[] = [];
    const log = (_level: string, message: string): void => void logged.push(message);
    await giveBack(openWorkQueue(queue.url.replace('items', 'others'), region), { log }, received, answer, 'more');
    expect(logged).toEqual(['queue.unusable']);
  });
});
