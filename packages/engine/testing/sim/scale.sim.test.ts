/**
 * Goal: a thousand functions at once find work without reading the whole list, without meeting at one place, and without
 * asking more of a partition of the state than DynamoDB gives.
 * Method: the search that slices use, over 20,000 chunks in virtual time, each look and claim as late as a request is; one
 * chunk in a hundred loses its function in the middle of a chunk, whose lease has to end. What the table is asked is counted second by second.
 * The figures are those of docs/guides/scheduled-functions.md.
 */
import { chunkId, type ChunkId } from '@keyferry/core';
import { expect, it } from 'vitest';
import { Search, shuffled } from '../../src/slices/search.ts';
import { Kernel } from './kernel.ts';
import { Prng } from './prng.ts';

const workers = 1000;
/** Twenty for each: the fewer, the more they are in each other's way. */
const chunks = 20_000;
const pageItems = 100;
const shards = 16;
const requestMs = 10;
/** 10,000 records at 2,000 a second. */
const chunkMs = 5000;
const eventsMax = 5_000_000;
const leaseMs = 20_000;
/** Who finds nothing is called again by the next tick. */
const tickMs = 60_000;
/** What one partition of DynamoDB gives, in write units a second. */
const partitionWritesMax = 1000;

interface Chunk {
  done: number;
  leaseEndsAtMs: number;
}

it(
  'a thousand workers share twenty thousand chunks out within the limits of the state',
  { timeout: 300_000 },
  async () => {
    const kernel = new Kernel(false, eventsMax);
    const startedAtMs = kernel.nowMs;
    const prng = new Prng('scale');
    const table: Chunk[] = Array.from({ length: chunks }, () => ({ done: 0, leaseEndsAtMs: 0 }));
    const writes = new Map<string, number>();
    const met = { pages: 0, looks: 0, claims: 0, lost: 0, deaths: 0 };
    const isFree = ({ done, leaseEndsAtMs }: Chunk): boolean => done === 0 && leaseEndsAtMs <= kernel.nowMs;
    const indexOf = (id: string): number => Number(id.slice(1));
    const request = (): Promise<void> => kernel.sleep(requestMs / 2 + prng.below(requestMs));
    const write = async (index: number): Promise<void> => {
      await request();
      const second = `${index % shards}/${Math.floor(kernel.nowMs / 1000)}`;
      writes.set(second, (writes.get(second) ?? 0) + 1);
    };
    const readPage = async (after: string | null, upTo: string | null) => {
      await request();
      met.pages += 1;
      const from = after === null ? 0 : indexOf(after) + 1;
      const end = Math.min(chunks, from + pageItems, upTo === null ? chunks : indexOf(upTo) + 1);
      const page = Array.from({ length: Math.max(0, end - from) }, (_, i) => from + i);
      const open = page.filter((index) => table[index]?.done === 0);
      const last = upTo === null ? chunks : indexOf(upTo) + 1;
      return {
        found: shuffled(open.filter((index) => isFree(table[index] as Chunk)).map(chunkId), prng),
        items: page.length,
        open: open.length,
        next: end < last && page.length > 0 ? chunkId(end - 1) : null,
      };
    };
    const work = async (): Promise<void> => {
      // The next invocation of the schedule begins at another place.
      while (table.some(({ done }) => done === 0)) {
        const search = new Search<ChunkId>(chunkId(prng.below(chunks)), readPage);
        for (let id = await search.next(); id !== null; id = await search.next()) {
          const index = indexOf(id);
          const chunk = table[index] as Chunk;
          // As claim-chunk.ts: what somebody has is seen by a read; who is quicker in between costs a write.
          await request();
          met.looks += 1;
          if (!isFree(chunk)) continue;
          await write(index);
          met.claims += 1;
          if (!isFree(chunk)) {
            met.lost += 1;
            continue;
          }
          chunk.leaseEndsAtMs = kernel.nowMs + leaseMs;
          const dies = prng.chance(0.01);
          await kernel.sleep(dies ? chunkMs / 2 : chunkMs * (0.5 + prng.below(1000) / 1000));
          if (dies) {
            met.deaths += 1;
            break;
          }
          await write(index);
          chunk.done += 1;
        }
        await kernel.sleep(tickMs);
      }
    };
    await kernel.run(() => Promise.all(Array.from({ length: workers }, work)));
    expect(table.every(({ done }) => done === 1)).toBe(true);
    expect(met.deaths).toBeGreaterThan(10);
    // Measured: 196 s, 19 pages, 7 looks, 1 %, 74 writes.
    expect(kernel.nowMs - startedAtMs).toBeLessThan(300_000);
    expect(met.pages / chunks).toBeLessThan(30);
    expect(met.looks / chunks).toBeLessThan(10);
    expect(met.lost / met.claims).toBeLessThan(0.05);
    expect(Math.max(...writes.values())).toBeLessThan(partitionWritesMax / 5);
  },
);
