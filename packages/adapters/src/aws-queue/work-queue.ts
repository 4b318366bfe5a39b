/**
 * A queue of SQS, as far as sharing work out needs it: how much is in it, more into it, and what was received and not done
 * back to it early. Receiving and deleting is Lambda's.
 *
 * Nothing rests on the numbers: SQS calls them approximate, and says of none when it was true. A message that is sent twice
 * or never is mended by whoever looks next.
 */
import { KeyferryError } from '@keyferry/core';
import { awsCauseOf, awsDetailOf, awsFailureOf } from '../aws/failures.ts';
import { callAws, type AwsEnv, type AwsJsonService } from '../aws/signed-call.ts';

export interface WorkQueue {
  /** Messages in it, those included that somebody works on or that wait for their time; approximate. */
  depth(): Promise<number>;
  /** @returns how many it took; the others are lost until whoever calls sends them again */
  send(bodies: readonly string[]): Promise<number>;
  /** Has a message that is being worked on come again after so many seconds. */
  giveBack(receiptHandle: string, seconds: number): Promise<void>;
}

const service: AwsJsonService = { name: 'sqs', version: '1.0', endpointVariable: 'AWS_ENDPOINT_URL_SQS' };

/** Messages of one request (SQS developer guide, "Message quotas"). */
const batchMax = 10;
const requestsAtOnce = 8;
const counters = [
  'ApproximateNumberOfMessages',
  'ApproximateNumberOfMessagesNotVisible',
  'ApproximateNumberOfMessagesDelayed',
] as const;

interface Attributes {
  readonly Attributes?: Readonly<Partial<Record<(typeof counters)[number], string>>>;
}

/**
 * @param url of the queue, which is where requests go to
 * @throws {KeyferryError} each of its calls: `queue.unreachable`, `queue.unusable`
 */
export function openWorkQueue(url: string, env: AwsEnv): WorkQueue {
  const call = async <Answer>(operation: string, request: object): Promise<Answer> => {
    try {
      const target = `AmazonSQS.${operation}`;
      return await callAws<Answer>(service, target, { QueueUrl: url, ...request }, { env, endpoint: url });
    } catch (error) {
      throw toQueueError(url, error);
    }
  };
  const sendBatch = async (bodies: readonly string[]): Promise<number> => {
    const Entries = bodies.map((MessageBody, i) => ({ Id: String(i), MessageBody }));
    const { Successful = [] } = await call<{ Successful?: readonly unknown[] }>('SendMessageBatch', { Entries });
    return Successful.length;
  };
  return {
    depth: async () => {
      const { Attributes = {} } = await call<Attributes>('GetQueueAttributes', { AttributeNames: counters });
      return counters.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0);
    },
    send: async (bodies) => {
      let taken = 0;
      for (let at = 0; at < bodies.length; at += batchMax * requestsAtOnce) {
        const some = bodies.slice(at, at + batchMax * requestsAtOnce);
        const batches = Array.from({ length: Math.ceil(some.length / batchMax) }, (_, i) =>
          some.slice(i * batchMax, (i + 1) * batchMax),
        );
        for (const count of await Promise.all(batches.map(sendBatch))) taken += count;
      }
      return taken;
    },
    giveBack: async (ReceiptHandle, VisibilityTimeout) => {
      await call('ChangeMessageVisibility', { ReceiptHandle, VisibilityTimeout });
    },
  };
}

function toQueueError(url: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const details = { url, detail: awsDetailOf(error) };
  const options = { cause: awsCauseOf(error) };
  switch (awsFailureOf(error)) {
    case 'throttled':
    case 'unreachable':
    case 'conflict':
      return new KeyferryError('queue.unreachable', details, options);
    default:
      return new KeyferryError('queue.unusable', details, options);
  }
}
