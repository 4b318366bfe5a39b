/**
 * The run's account of itself, for its report: gathered in memory, written into the state at the pace of the heartbeat
 * and once at the end, never with a batch. It proves nothing and nobody decides by it; so what cannot be written is a
 * warning, and the run goes on.
 */
import {
  addSpan,
  KeyferryError,
  SampleSeries,
  scannedOf,
  type ChunkCounts,
  type ChunkId,
  type ChunkSpan,
  type MigrationId,
  type RunRecord,
  type StateVersion,
  type VerifyRecord,
} from '@keyferry/core';
import type { BackfillRecorder } from './backfill-context.ts';
import type { Environment } from './migration.ts';
import { writeItem } from './state-items.ts';
import type { VerifyResult } from './verify.ts';

export const recordEveryMs = 5000;

export type RunFacts = Pick<RunRecord, 'run' | 'command' | 'plan' | 'attempt' | 'by'>;

export class RunRecorder implements BackfillRecorder {
  private readonly env: Environment;
  private readonly migration: MigrationId;
  private readonly facts: RunFacts;
  private readonly startedAtMs: number;
  private readonly startedMonotonicMs: number;
  private readonly stop = new AbortController();
  private readonly series = new SampleSeries();
  private chunks: readonly ChunkSpan[] = [];
  private verify: VerifyRecord | null = null;
  private deviations: readonly string[] = [];
  private version: StateVersion | 'absent' = 'absent';
  private givenUp = false;
  private beating: Promise<void> = Promise.resolve();

  constructor(env: Environment, migration: MigrationId, facts: RunFacts) {
    this.env = env;
    this.migration = migration;
    this.facts = facts;
    this.startedAtMs = env.clock.nowMs();
    this.startedMonotonicMs = env.clock.monotonicMs();
  }

  /** Runs `work`, whose account is written as it goes and, however it ends, at its end. */
  async during<T>(work: () => Promise<T>, outcomeOf: (result: T) => string): Promise<T> {
    this.beating = this.beat();
    try {
      const result = await work();
      await this.end(outcomeOf(result));
      return result;
    } catch (error) {
      await this.end(error instanceof KeyferryError ? error.code : 'internal.invariant');
      throw error;
    }
  }

  dealtWith(added: ChunkCounts): void {
    this.series.addRecords(this.elapsedMs(), added.written, scannedOf(added) - added.written);
  }

  /** Measures one request that writes: how long it took, or that it failed and has to be repeated. */
  async timed<T>(request: () => Promise<T>): Promise<T> {
    const fromMs = this.elapsedMs();
    try {
      const answer = await request();
      const toMs = this.elapsedMs();
      this.series.addWrite(toMs, toMs - fromMs);
      return answer;
    } catch (error) {
      this.series.addFailure(this.elapsedMs());
      throw error;
    }
  }

  onChunk(worker: number, chunk: ChunkId): () => void {
    const fromMs = this.elapsedMs();
    return () => {
      this.chunks = addSpan(this.chunks, { worker, chunk, chunks: 1, fromMs, toMs: this.elapsedMs() });
    };
  }

  verified(result: VerifyResult, deviations: readonly string[]): void {
    this.verify = verifyRecord(result, this.env.clock.nowMs());
    this.deviations = deviations;
  }

  private elapsedMs(): number {
    return this.env.clock.monotonicMs() - this.startedMonotonicMs;
  }

  private async beat(): Promise<void> {
    for (;;) {
      await this.env.clock.sleep(recordEveryMs, this.stop.signal);
      if (this.stop.signal.aborted) return;
      await this.write(null, null);
    }
  }

  private async end(outcome: string): Promise<void> {
    this.stop.abort();
    await this.beating;
    await this.write(this.env.clock.nowMs(), outcome);
  }

  private async write(endedAtMs: number | null, outcome: string | null): Promise<void> {
    if (this.givenUp) return;
    const { env, migration, facts, startedAtMs, chunks, verify, deviations } = this;
    const record: RunRecord = {
      ...facts,
      startedAtMs,
      endedAtMs,
      outcome,
      samples: this.series.value(),
      chunks,
      verify,
      deviations,
    };
    try {
      const change = await writeItem(env, 'run-record', migration, facts.run, record, this.version);
      if (change.kind === 'written') this.version = change.version;
      else this.giveUp('state.conflict'); // somebody threw it away: it is theirs to decide
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      this.giveUp(error.code);
    }
  }

  private giveUp(code: string): void {
    this.givenUp = true;
    this.env.host.emit({ code: 'history.not-kept', data: { type: 'the record of this run', code } });
  }
}

function verifyRecord(result: VerifyResult, atMs: number): VerifyRecord {
  const { verdict, source, target, sourceBuckets, targetBuckets, sourcePosition, targetPosition } = result;
  const { kept, targetOnly, expired, differences, differencesTotal } = result;
  return {
    verdict,
    atMs,
    source,
    target,
    sourceBuckets,
    targetBuckets,
    sourcePosition,
    targetPosition,
    kept,
    targetOnly,
    expired,
    differences,
    differencesTotal,
  };
}
