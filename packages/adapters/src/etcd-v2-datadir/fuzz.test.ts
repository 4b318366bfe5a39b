/**
 * Goal: damaged files never crash the readers and never give a wrong record: either a coded error, or a state that the
 * store once had.
 * Method: bytes flipped, cut off, zeroed and spliced, in the log and in the snapshot that an etcd 2.3.8 wrote and in a log
 * with padded lengths; what is read must be one of the states that the undamaged log goes through.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyferryError } from '@keyferry/core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  memberChange,
  put,
  requestBytes,
  SegmentWriter,
  writeDatadir,
  type Framing,
} from '../../test/datadir-writer.ts';
import { anyDamage } from '../../test/damage.ts';
import { findDataDirectory } from './layout.ts';
import { Malformed } from './protobuf.ts';
import { replay } from './replay.ts';
import { readEntryContent } from './request.ts';
import { SnapshotTreeReader } from './snapshot-tree.ts';
import type { V2Tree } from './v2-tree.ts';

// Thousands of damaged inputs: seconds on a machine that is idle, many times that on one that is not.
vi.setConfig({ testTimeout: 120_000 });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Everything that a tree says. */
function stateOf(tree: V2Tree): string {
  const lines: string[] = [String(tree.currentIndex)];
  const walk = (path: string, node: V2Tree['root']): void => {
    const { createdIndex, modifiedIndex, expiresAtNs, value, children } = node;
    lines.push(JSON.stringify([path, createdIndex, modifiedIndex, String(expiresAtNs), value, children === null]));
    for (const name of [...(children?.keys() ?? [])].toSorted()) {
      const child = children?.get(name);
      if (child !== undefined) walk(`${path}/${name}`, child);
    }
  };
  walk('', tree.root);
  return lines.join('\n');
}

async function stateIn(dataDir: string, upTo: 'end' | 'last-good'): Promise<string> {
  const { tree } = await replay(await findDataDirectory(dataDir, null), { upTo });
  return stateOf(tree);
}

/** What came of reading: a state, or the code of an error. */
async function outcomeOf(
  dataDir: string,
  upTo: 'end' | 'last-good',
): Promise<{ readonly state: string } | { readonly code: string }> {
  try {
    return { state: await stateIn(dataDir, upTo) };
  } catch (error) {
    if (error instanceof KeyferryError) return { code: error.code };
    throw error;
  }
}

const acceptable = /^(datadir\.(damaged|incomplete)|a state that it had)$/;

function verdictOn(outcome: Awaited<ReturnType<typeof outcomeOf>>, states: ReadonlySet<string>): string {
  if ('code' in outcome) return outcome.code;
  return states.has(outcome.state) ? 'a state that it had' : `a state that it never had:\n${outcome.state}`;
}

interface Victim {
  readonly name: string;
  readonly file: string;
  readonly original: Buffer;
  readonly dataDir: string;
  readonly states: ReadonlySet<string>;
}

/** Every state that the store had: after each entry of its log, and the one of its snapshot. */
async function statesOf(entries: readonly SegmentWriter[], dataDir: string): Promise<Set<string>> {
  const states = new Set<string>([await stateIn(dataDir, 'end')]);
  for (const [at, writer] of entries.entries()) {
    const prefix = await writeDatadir(join(folder, `prefix-${at}`), { segments: [[0, writer.bytes()]] });
    states.add(await stateIn(prefix, 'end'));
    await rm(prefix, { recursive: true });
  }
  return states;
}

function logOf(framing: Framing, entries: number): SegmentWriter {
  const log = new SegmentWriter(framing).metadata().snapshot(0, 0);
  if (entries >= 1) log.entry(1, memberChange(0, 1n, { id: 1, peerURLs: ['http://a:1'] }), { type: 1 }).hardState(1);
  const requests = [
    (i: number) => put(`/k${i % 5}`, `value ${i}`),
    (i: number) => put(`/d/k${i}`, 'x'.repeat(i * 11), { expiration: 4_000_000_000_000_000_000n }),
    (i: number) => put(`/k${i % 5}`, 'swapped', { prevValue: `value ${i - 2}` }),
    () => requestBytes({ method: 'POST', path: '/1/queue', value: 'job' }),
    (i: number) => requestBytes({ method: 'DELETE', path: `/1/k${(i + 1) % 5}` }),
    () => requestBytes({ method: 'PUT', path: '/0/version', value: '3.4.0' }),
  ] as const;
  for (let i = 2; i <= entries; i += 1) {
    log.entry(i, (requests[i % requests.length] as (i: number) => Buffer)(i)).hardState(i);
  }
  return log;
}

describe.each(['bare', 'padded'] as const)('a damaged log with %s lengths', (framing) => {
  const entries = 24;
  let victim: Victim;
  beforeAll(async () => {
    const original = logOf(framing, entries).bytes(framing === 'bare' ? 0 : 1024);
    const dataDir = await writeDatadir(join(folder, framing), { segments: [[0, original]] });
    const prefixes = Array.from({ length: entries + 1 }, (_, i) => logOf(framing, i));
    const file = join(dataDir, 'member/wal/0000000000000000-0000000000000000.wal');
    victim = { name: framing, file, original, dataDir, states: await statesOf(prefixes, dataDir) };
  });

  it.each(['end', 'last-good'] as const)('gives a coded error or a state that the store had, up to %s', (upTo) =>
    fc.assert(
      fc.asyncProperty(fc.array(anyDamage, { minLength: 1, maxLength: 2 }), async (damages) => {
        await writeFile(
          victim.file,
          damages.reduce((bytes, damage) => (bytes.length === 0 ? bytes : damage(bytes)), victim.original),
        );
        const outcome = await outcomeOf(victim.dataDir, upTo);
        expect(verdictOn(outcome, victim.states)).toMatch(acceptable);
      }),
      { numRuns: 150 },
    ),
  );
});

describe('what an etcd 2.3.8 wrote, damaged', () => {
  const input = join(import.meta.dirname, '../../../../examples/06-etcd-v2-datadir-to-sqlite/input/data/member');
  const wal = 'wal/0000000000000000-0000000000000000.wal';
  const snap = 'snap/0000000000000002-0000000000000029.snap';
  let [log, snapshot] = [Buffer.alloc(0), Buffer.alloc(0)];
  const states = new Set<string>();
  let dataDir = '';
  beforeAll(async () => {
    log = await readFile(join(input, wal));
    snapshot = await readFile(join(input, snap));
    dataDir = await writeDatadir(join(folder, 'real'), {});
    // Each state is what is read of the log when it is cut off at some byte: with the snapshot and without.
    for (const whole of [true, false]) {
      await (whole ? writeFile(join(dataDir, 'member', snap), snapshot) : rm(join(dataDir, 'member', snap)));
      for (let length = log.length; length > 0; length -= 41) {
        await writeFile(join(dataDir, 'member', wal), log.subarray(0, length));
        const outcome = await outcomeOf(dataDir, 'end');
        if ('state' in outcome) states.add(outcome.state);
      }
    }
  }, 60_000);

  it('has many states to be compared with', () => expect(states.size).toBeGreaterThan(50));

  it.each(['end', 'last-good'] as const)('gives a coded error or a state that the store had, up to %s', (upTo) =>
    fc.assert(
      fc.asyncProperty(anyDamage, fc.boolean(), async (damage, inSnapshot) => {
        await writeFile(join(dataDir, 'member', snap), inSnapshot ? damage(snapshot) : snapshot);
        await writeFile(join(dataDir, 'member', wal), inSnapshot ? log : damage(log));
        const outcome = await outcomeOf(dataDir, upTo);
        expect(verdictOn(outcome, states)).toMatch(acceptable);
      }),
      { numRuns: 120 },
    ),
  );
});

describe('the readers below the checksums', () => {
  it('law: take any bytes for an entry, or refuse them', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        refusedOnlyAsMalformed(() => readEntryContent(Buffer.from(bytes), 0, bytes.length));
      }),
      { numRuns: 1000 },
    ));

  it('law: take any damaged JSON for a tree, or refuse it', () => {
    const node = (value: string, children: object | null): object => ({
      Path: '/x',
      CreatedIndex: 1,
      ModifiedIndex: 2,
      ExpireTime: '2099-01-01T00:00:00Z',
      Value: value,
      Children: children,
    });
    const json = Buffer.from(
      JSON.stringify({ Root: node('', { a: node('é"', null), b: node('', {}) }), WatcherHub: {}, CurrentIndex: 9 }),
    );
    fc.assert(
      fc.property(anyDamage, (damage) => {
        refusedOnlyAsMalformed(() => {
          const reader = new SnapshotTreeReader();
          reader.write(damage(json));
          reader.end();
        });
      }),
      { numRuns: 1000 },
    );
  });
});

function refusedOnlyAsMalformed(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
}
