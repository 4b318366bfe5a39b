/**
 * Follows a prefix of etcd v3 into another through keyferry's own adapters, as a tail does: what the feed has, in batches,
 * each with its position. Says `ready` when it follows, and never ends by itself.
 */
import { openEtcdV3Store } from '@keyferry/adapters/etcd-v3';
import { keyFromText, prefixRange, type MigrationId, type TailChange } from '@keyferry/core';
import { benchPrefix } from '../workload/records.ts';
import { childOptions } from './measured.ts';

const { endpoint, targetEndpoint } = childOptions();
const open = (name: string, at: string) => openEtcdV3Store({ name, endpoints: [at], nowMs: () => Date.now() });
const source = open('source', endpoint);
const target = open('target', targetEndpoint);
const migration = 'bench' as MigrationId;
const fence = { attempt: 1, token: 1 };
await target.control(migration).raiseEpoch(fence);
const tail = target.tail(migration);
const claimed = await tail.claimTail('forward', fence, fence);
if (claimed.kind !== 'claimed') throw new Error('the tail was not claimed');
const feed = await source.feed.open(prefixRange(keyFromText(benchPrefix)), await source.feed.head());
process.stdout.write('ready\n');
for (;;) {
  const step = await feed.read({ changesMax: 500, waitMs: 1000 });
  if (step.kind === 'lost') throw new Error(step.why);
  const last = new Map<string, TailChange>();
  for (const change of step.changes) {
    if (change.kind === 'delete-range') throw new Error('etcd v3 has no such change');
    last.delete(change.key);
    last.set(change.key, change);
  }
  const changes = [...last.values()];
  for (let at = 0; at < changes.length; at += tail.capabilities.changesMax) {
    const part = changes.slice(at, at + tail.capabilities.changesMax);
    const isLast = at + part.length === changes.length;
    await claimed.writer.apply(part, isLast ? step.position : null);
  }
}
