/**
 * An application of several instances, which puts and deletes records of one etcd v3 at a steady rate until it is led to another:
 * by the switch of a migration (`follows`), or by lines on standard input, as an operator does it by hand:
 *
 *     hold        writes wait from now on; says `held` once none is under way
 *     lead N      instance N writes to the target from now on, and does not wait
 *
 * Says `ready` when it works, ends with its standard input, and then tells what it did (ApplicationRun). Of a key one operation
 * runs at a time, whichever instance has it, so that it is known what must be there in the end.
 */
import { createInterface } from 'node:readline';
import { openEtcdV3PrimarySwitch } from '@keyferry/adapters/etcd-v3';
import { followPrimary } from '@keyferry/client';
import type { PrimarySide } from '@keyferry/core';
import type { Etcd3 } from 'etcd3';
import { instanceCount, type ApplicationRun } from '../workload/application.ts';
import { openPlainEtcd } from '../workload/fill-v3.ts';
import { randomBits, recordAt } from '../workload/records.ts';
import { switchKey } from '../workload/replicate.ts';
import { childOptions } from './measured.ts';

type Work = (etcd: Etcd3) => Promise<unknown>;

interface Instance {
  write(key: string, work: Work): Promise<unknown>;
  close(): Promise<void>;
}

interface InstanceByHand extends Instance {
  hold(): void;
  lead(): void;
}

/** So many keys get half of the operations: what is written again and again is what goes wrong first. */
const hotKeys = 200;
/** One operation in so many is a delete. */
const deleteEvery = 5;

const { endpoint, targetEndpoint, keys, rate, follows } = childOptions();
const stores: Readonly<Record<PrimarySide, Etcd3>> = {
  source: openPlainEtcd(endpoint),
  target: openPlainEtcd(targetEndpoint),
};
const names = Array.from({ length: instanceCount }, (_, n) => `api-${n}`);
const byHand = follows ? null : names.map(startByHand);
const instances: readonly Instance[] = byHand ?? (await Promise.all(names.map(startFollower)));
const next = randomBits(keys);
const lastOf = new Map<number, string | null>();
const busy = new Set<number>();
const writes: [number, number][] = [];
const requests = new Set<Promise<unknown>>();
const told = new AbortController();

createInterface({ input: process.stdin })
  .on('line', (line) => void obey(line))
  .on('close', () => told.abort());
process.stdout.write('ready\n');

const startedAtMs = performance.now();
const open: Promise<void>[] = [];
for (let n = 0; !told.signal.aborted; n += 1) {
  const dueMs = startedAtMs + (n * 1000) / rate;
  // On schedule and not one after the other: what waits holds no other key up.
  while (performance.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, 1));
  open.push(operate(n));
}
await Promise.all(open);
const seconds = (performance.now() - startedAtMs) / 1000;
await Promise.all(instances.map((instance) => instance.close()));
const last = [...lastOf].map(([index, value]) => [recordAt(index).key, value] as const);
const result: ApplicationRun = { writes, last, writesPerSecond: writes.length / seconds };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));

async function operate(n: number): Promise<void> {
  const index = freeKey();
  busy.add(index);
  const { key } = recordAt(index);
  const value = next() % deleteEvery === 0 ? null : recordAt(keys + n).value;
  const work: Work = async (etcd) => {
    const request =
      value === null
        ? etcd.kv.deleteRange({ key: Buffer.from(key) })
        : etcd.kv.put({ key: Buffer.from(key), value: Buffer.from(value) });
    requests.add(request);
    await request;
    requests.delete(request);
  };
  const askedAtMs = performance.now();
  await instances[next() % instances.length]?.write(key, work);
  writes.push([performance.timeOrigin + askedAtMs, performance.now() - askedAtMs]);
  lastOf.set(index, value);
  busy.delete(index);
}

function freeKey(): number {
  for (;;) {
    const index = next() % (next() % 2 === 0 ? Math.min(hotKeys, keys) : keys);
    if (!busy.has(index)) return index;
  }
}

async function obey(line: string): Promise<void> {
  const [word = '', number = ''] = line.split(' ');
  if (byHand === null) throw new Error(`the switch leads, not ${line}`);
  if (word === 'lead') byHand[Number(number)]?.lead();
  else {
    for (const instance of byHand) instance.hold();
    await Promise.all(requests);
    process.stdout.write('held\n');
  }
}

async function startFollower(name: string): Promise<Instance> {
  const place = openEtcdV3PrimarySwitch({ name: 'target', endpoints: [targetEndpoint], key: switchKey });
  const follower = await followPrimary({ name, switch: place });
  return {
    write: (key, work) => follower.write(key, (primary) => work(stores[primary])),
    close: () => follower.close(),
  };
}

function startByHand(): InstanceByHand {
  let primary: PrimarySide = 'source';
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  return {
    hold: () => (gate = Promise.withResolvers<void>()),
    lead: () => {
      primary = 'target';
      gate.resolve();
    },
    write: async (_key, work) => {
      await gate.promise;
      return await work(stores[primary]);
    },
    close: () => Promise.resolve(),
  };
}
