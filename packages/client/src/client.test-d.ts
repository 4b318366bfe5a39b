/** Goal: wrong use does not compile. Method: each line below must be an error, or the compiler stops at the remark above it. */
import type { OnlineSource, OnlineTarget, Switch, Token } from '@keyferry/core';
import { directory, inOrder, openClient, type OnlineClient } from './index.ts';

declare const place: Switch;
declare const source: OnlineSource;
declare const target: OnlineTarget;
declare const client: OnlineClient;

export async function rightUse(): Promise<void> {
  const opened = await openClient({ name: 'api', switch: place, source, target });
  const found = await opened.get('/k');
  const swapped = await opened.compareAndSwap('/k', found?.token ?? null, 'v', { ttlMs: 1000 });
  if (swapped.kind === 'written' && swapped.token !== null) await opened.compareAndDelete('/k', swapped.token);
  const { previous }: { readonly previous: { readonly token: Token } | null } = await opened.putAndGet(
    '/k',
    new Uint8Array(),
  );
  void previous;
  const queue = inOrder(directory('/queue'), '/queue.last');
  const { key } = await opened.createInOrder(queue, 'first', { ttlMs: 1000 });
  if ((await opened.createDirectory(queue.directory)) === 'exists') await opened.delete(key);
  const { deleted }: { readonly deleted: number } = await opened.deleteTree(queue.directory);
  void deleted;
}

export async function wrongUse(): Promise<void> {
  // @ts-expect-error the stores change places
  await openClient({ name: 'api', switch: place, source: target, target: source });
  // @ts-expect-error there is no migration without a switch
  await openClient({ name: 'api', source, target });
  // @ts-expect-error a version is no text to be made up
  await client.compareAndSwap('/k', '17', 'v');
  // @ts-expect-error nor a value
  await client.compareAndSwap('/k', { value: 'old' }, 'v');
  // @ts-expect-error whether something must be there is to be said
  await client.compareAndSwap('/k', undefined, 'v');
  // @ts-expect-error only a state that was read can be deleted under a condition
  await client.compareAndDelete('/k', null);
  // @ts-expect-error a TTL has its unit in its name
  await client.put('/k', 'v', { ttl: 60 });
  // @ts-expect-error values are bytes or text
  await client.put('/k', 17);
  // @ts-expect-error a plain delete does not tell what was there
  void (await client.delete('/k')).previous;
  const swapped = await client.compareAndSwap('/k', null, 'v');
  // @ts-expect-error a swap may have been lost, and then has no token
  void swapped.token;
  // @ts-expect-error a tree is deleted by its directory, and not by what happens to begin like it
  await client.deleteTree('/app');
  // @ts-expect-error nor is a directory a key that was read
  client.listDirectory('/app/queue/');
  // @ts-expect-error keys in order need their counter
  await client.createInOrder(directory('/queue'), 'v');
  // @ts-expect-error which is not made up beside it
  await client.createInOrder({ directory: directory('/queue'), counter: '/queue.last' }, 'v');
  // @ts-expect-error the key is the client's to choose
  await client.createInOrder(inOrder(directory('/queue'), '/queue.last'), { key: '7', value: 'v' });
}
