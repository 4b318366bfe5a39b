/** Steps that the suites of a target share: beginning a migration, claiming a chunk, building puts. */
import { expect } from 'vitest';
import {
  chunkId,
  type ChunkId,
  type ChunkWriter,
  type Fence,
  type GuardedPut,
  type KeyferryError,
  type MigrationId,
  type TargetControl,
  type TargetStore,
} from '../../src/index.ts';
import { bytes, type TargetHarness } from './harness.ts';

export const fence = (attempt: number, token: number): Fence => ({ attempt, token });
export const firstChunk = chunkId(0);

export interface Begun {
  readonly migration: MigrationId;
  readonly control: TargetControl;
  readonly writer: ChunkWriter;
}

/** Raises the epoch to (attempt, 1) and claims the first chunk with (attempt, 1). */
export async function begin(store: TargetStore, attempt = 1, name = 'contract'): Promise<Begun> {
  const migration = name as MigrationId;
  const control = store.control(migration);
  expect(await control.raiseEpoch(fence(attempt, 1))).toEqual({ kind: 'raised' });
  return { migration, control, writer: await claim(control, fence(attempt, 1), fence(attempt, 1)) };
}

export async function claim(
  control: TargetControl,
  withFence: Fence,
  epoch: Fence,
  chunk: ChunkId = firstChunk,
): Promise<ChunkWriter> {
  const outcome = await control.claimChunk(chunk, withFence, epoch);
  expect(outcome.kind).toBe('claimed');
  if (outcome.kind !== 'claimed') throw new Error(`the claim of ${chunk} was refused`);
  return outcome.writer;
}

/** A permanent put that expects nothing to be there; its value is the name unless given. */
export function putOf(harness: Pick<TargetHarness, 'key'>, name: string, value = name): GuardedPut {
  return { kind: 'put', key: harness.key(name), value: bytes(value), expiresAtMs: null, expect: 'absent' };
}

export function kindsOf(outcomes: readonly { readonly kind: string }[]): readonly string[] {
  return outcomes.map(({ kind }) => kind);
}

export async function expectFenceLost(promise: Promise<unknown>): Promise<void> {
  await expect(promise).rejects.toMatchObject({
    name: 'KeyferryError',
    code: 'fence.lost',
  } satisfies Partial<KeyferryError>);
}
