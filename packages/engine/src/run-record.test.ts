/**
 * Goal: a run leaves an account of itself that adds up to what it did, survives interruptions, and never gets in its way.
 * Method: whole runs on memory stores, quiet and disturbed; the account is read back from the state.
 */
import { latencyCount, totalOf, type RunRecord } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { failureOf, Stage } from '../testing/stage.ts';

async function recordsOf(stage: Stage): Promise<readonly RunRecord[]> {
  const { entries } = await stage.state.list('run-record', 'shop', { after: null, itemsMax: 100 });
  return entries.map(({ item }) => item).toSorted((a, b) => a.startedAtMs - b.startedAtMs);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('the record of a run', () => {
  it('adds up to what was written, and has each request and each chunk', async () => {
    const stage = new Stage();
    stage.fillSourceWith(95);
    const { counts, run } = await stage.apply(await stage.plan());
    const [record] = await recordsOf(stage);
    expect(record).toMatchObject({ run, command: 'apply', attempt: 1, outcome: 'done', deviations: [] });
    expect(record?.endedAtMs).not.toBeNull();
    const samples = record?.samples.samples ?? [];
    expect(sum(samples.map(({ written }) => written))).toBe(counts.written);
    expect(sum(samples.map(({ writes }) => latencyCount(writes)))).toBeGreaterThan(0);
    expect(sum((record?.chunks ?? []).map(({ chunks }) => chunks))).toBe(10);
    expect(record?.verify).toMatchObject({ verdict: 'agree', source: { count: 95 } });
    expect(totalOf(record?.verify?.targetBuckets ?? [])).toEqual(record?.verify?.target);
  });

  it('of an interrupted run says why it ended, and the next one has its own', async () => {
    const stage = new Stage();
    stage.fillSourceWith(95);
    const plan = await stage.plan();
    const during = ({ code }: { readonly code: string }, interrupt: () => void): void => {
      if (code === 'chunk.done') interrupt();
    };
    expect(await failureOf(stage.apply(plan, { during }))).toMatchObject({ code: 'run.interrupted' });
    const { counts } = await stage.apply(plan);
    const records = await recordsOf(stage);
    expect(records.map(({ outcome }) => outcome ?? '').toSorted()).toEqual(['done', 'run.interrupted']);
    const written = records.flatMap(({ samples }) => samples.samples.map((sample) => sample.written));
    expect(sum(written)).toBe(counts.written);
  });

  it('counts requests that failed', async () => {
    const stage = new Stage();
    stage.fillSourceWith(20);
    stage.target.failNext('write');
    await stage.apply(await stage.plan());
    const [record] = await recordsOf(stage);
    expect(sum((record?.samples.samples ?? []).map(({ failures }) => failures))).toBe(1);
  });

  it('is there of a verify too, with what differs by key and by bucket, and no value', async () => {
    const stage = new Stage();
    stage.fillSourceWith(20);
    await stage.apply(await stage.plan());
    stage.putTarget('k0007', 'canary-value');
    await stage.verifyApplied();
    const record = (await recordsOf(stage)).find(({ command }) => command === 'verify');
    expect(record).toMatchObject({ outcome: 'deviated', verify: { verdict: 'differ', differencesTotal: 1 } });
    expect(record?.verify?.differences).toEqual([{ key: { text: 'dst/k0007' }, what: 'value differs' }]);
    const buckets = record?.verify?.sourceBuckets.filter(
      (each, i) => each.sum !== record.verify?.targetBuckets[i]?.sum,
    );
    expect(buckets).toHaveLength(1);
    expect(JSON.stringify(record)).not.toContain('canary-value');
  });

  it('that cannot be written is a warning, and the run is done all the same', async () => {
    const stage = new Stage();
    stage.fillSourceWith(5);
    const plan = await stage.plan();
    const { state } = stage;
    const broken = {
      read: state.read.bind(state),
      remove: state.remove.bind(state),
      list: state.list.bind(state),
      close: () => state.close(),
      write: ((kind, scope, id, item, expected) => {
        if (kind === 'run-record') return state.write(kind, scope, id, item, 'never' as typeof expected);
        return state.write(kind, scope, id, item, expected);
      }) as typeof state.write,
    };
    expect(await stage.apply(plan, { state: broken })).toMatchObject({ outcome: 'done' });
    expect(stage.messages).toContainEqual({
      code: 'history.not-kept',
      data: { type: 'the record of this run', code: 'state.conflict' },
    });
  });
});
