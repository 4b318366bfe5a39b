/**
 * An event source mapping over the stream of a table on DynamoDB Local, as Lambda has one for each shard: batches in order,
 * one after another; what an answer does not acknowledge, or nobody answers, comes again from there. Every fourth batch is
 * delivered twice at once, as delivery is at least once.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { LocalInvocation } from '@keyferry/lambda/local';
import { readStream, streamOf, type StreamedRecord } from './dynamodb-data.ts';

const recordsMax = 500;
const pollMs = 100;

export class StreamMapping {
  /** How often the stream had nothing more, one time after another, with all before acknowledged. */
  quietPolls = 0;
  batches = 0;
  /** Batches that came again, whole or in part. */
  again = 0;
  private readonly stop = new AbortController();
  private running: Promise<void> | null = null;

  /** From what is written after it resolves. */
  static async start(
    endpoint: string,
    table: string,
    call: (event: { readonly Records: readonly object[] }) => Promise<LocalInvocation>,
  ): Promise<StreamMapping> {
    const mapping = new StreamMapping();
    const stream = await streamOf(endpoint, table);
    const next = await readStream(endpoint, stream, 'LATEST');
    mapping.running = mapping.poll(async () => {
      const records = await next(recordsMax);
      let left = records;
      for (let tries = 0; left.length > 0 && !mapping.stop.signal.aborted; tries += 1) {
        if (tries > 0) mapping.again += 1;
        const Records = left.map((record) => ({ ...record, eventSourceARN: stream.arn }));
        mapping.batches += 1;
        const other = mapping.batches % 4 === 0 ? call({ Records }) : null;
        left = leftOf(left, await call({ Records }));
        await other;
        if (left.length > 0) await wait(pollMs);
      }
      return records.length;
    });
    mapping.running.catch(() => undefined); // `end` is told of it
    return mapping;
  }

  /** @throws what ended it before */
  async end(): Promise<void> {
    this.stop.abort();
    await this.running;
  }

  private async poll(step: () => Promise<number>): Promise<void> {
    while (!this.stop.signal.aborted) {
      const taken = await step();
      this.quietPolls = taken === 0 ? this.quietPolls + 1 : 0;
      if (taken === 0) await wait(pollMs);
    }
  }
}

function leftOf(records: readonly StreamedRecord[], end: LocalInvocation): readonly StreamedRecord[] {
  if (end.kind !== 'returned') return records;
  const { batchItemFailures } = end.result as { readonly batchItemFailures: readonly { itemIdentifier: string }[] };
  const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
  const first = records.findIndex(({ dynamodb }) => failed.has(dynamodb.SequenceNumber));
  return first < 0 ? [] : records.slice(first);
}
