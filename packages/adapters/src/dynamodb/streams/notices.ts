/**
 * Records of a stream as Lambda hands them to a function: by the stream's ARN, a number, and the item's key as JSON. The
 * shard is not among it, so whether one was read is asked of all shards (place.ts, `hasRead`).
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { FeedNotice } from '@keyferry/core';
import type { Attributes } from '../item-text.ts';
import type { Stream } from './stream-api.ts';

/** The stream that told it; null: it is of another table. */
export function streamOf({ log }: FeedNotice, table: string): Stream | null {
  const [, name, label] = /:table\/([^/]+)\/stream\/([^/]+)$/.exec(log) ?? [];
  if (name === undefined || label === undefined) return null;
  return table === name || table.endsWith(`:table/${name}`) ? { arn: log, label } : null;
}

/** Key attributes; in JSON a binary one is base64. */
export function keysOf({ keys }: FeedNotice): Attributes {
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, value] of Object.entries(keys)) {
    const { S, B } = value as { readonly S?: string; readonly B?: string };
    if (S !== undefined) attributes[name] = { S };
    else if (B !== undefined) attributes[name] = { B: Buffer.from(B, 'base64') };
  }
  return attributes;
}
